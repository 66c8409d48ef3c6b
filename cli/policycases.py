"""Cases for policies: a repository in a few lines, and what must stay in it and what must go.

The format is described in ``docs/policy-tests.md``.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, ValidationError

from shared.errors import InvalidPolicy
from shared.oci.graph import Edges
from shared.oci.manifest import digest_of
from shared.oci.media_types import OCI_INDEX, OCI_MANIFEST
from shared.oci.names import (
    Digest,
    LoginServer,
    RepositoryName,
    TagName,
    parse_login_server,
    parse_repository,
    parse_tag,
)
from shared.policy.document import read_document
from shared.retention.durations import Duration, parse_duration
from shared.retention.plan import check_limits, plan_repository
from shared.retention.rules import RetentionPolicy
from shared.retention.snapshot import ManifestRecord, RepositorySnapshot, TagRecord

_NOW: Final = datetime(2030, 1, 1, tzinfo=UTC)
"""Any moment: cases speak of ages only."""

_WORDINGS: Final = {"missing": "missing", "extra_forbidden": "unknown key", "too_short": "an empty list"}


def _wording(kind: str, message: str) -> str:
    return _WORDINGS.get(kind, message.removeprefix("Value error, "))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("expected a text")  # noqa: TRY004 - what the model reports
    return str(value)


def _age(value: Any) -> Duration:
    return parse_duration(_text(value), zero=True)


def _list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Text = Annotated[str, PlainValidator(_text)]
Age = Annotated[Duration, PlainValidator(_age)]
Tag = Annotated[TagName, PlainValidator(lambda value: parse_tag(_text(value)))]
Names = Annotated[tuple[Text, ...], BeforeValidator(_list)]
Tags = Annotated[tuple[Tag, ...], BeforeValidator(_list)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Image(_Section):
    """One image, or an index with an image per platform; ``name`` is what its manifest is called here."""

    name: Text | None = None
    tags: Tags = ()
    age: Age
    created: Age | None = None
    size: int = 0
    platforms: Names = ()
    signed: Literal["cosign", "referrer"] | None = None
    subject: Text | None = None
    locked: Literal["tags", "manifest", "both"] | None = None


class Case(_Section):
    """A repository, and what must become of what is in it."""

    name: Text
    registry: Annotated[LoginServer, PlainValidator(lambda value: parse_login_server(_text(value)))] = (
        LoginServer("registry.example")
    )
    repository: Annotated[RepositoryName, PlainValidator(lambda value: parse_repository(_text(value)))]
    locked: bool = False
    snapshot: tuple[Image, ...] = Field(min_length=1)
    stay: Names = ()
    go: Names = ()
    refused: bool | None = None


class Cases(_Section):
    """All cases of a file, and the policy that they are about."""

    policy: Text = "policy.yaml"
    cases: tuple[Case, ...] = Field(min_length=1)


def read_cases(file: Path) -> Cases:
    """Return the cases in the file.

    :raises InvalidPolicy: with every problem and its line.
    """
    document = read_document(file.read_bytes())
    problems = list(document.problems)
    if not problems:
        try:
            cases = Cases.model_validate(document.value)
        except ValidationError as error:
            problems = [
                document.problem(found["loc"], _wording(found["type"], found["msg"]))
                for found in error.errors(include_url=False, include_input=False)
            ]
        else:
            problems = [
                document.problem(("cases", place), message)
                for place, case in enumerate(cases.cases)
                for message in Repository(case).problems()
            ]
            if not problems:
                return cases
    raise InvalidPolicy(str(file), sorted(problems, key=lambda problem: (problem.line or 0, problem.path)))


def run_case(case: Case, policy: RetentionPolicy) -> list[str]:
    """Return what is not as the case wants it, each with the reason that the plan gives."""
    repository = Repository(case)
    plan = check_limits(plan_repository(repository.snapshot(), policy, now=_NOW), policy.limits)
    verdicts: dict[str, tuple[bool, str]] = {
        repository.names[verdict.digest]: (verdict.keep, repository.named(str(verdict.reason)))
        for verdict in plan.manifest_verdicts
    }
    verdicts |= {
        verdict.tag: (verdict.keep, repository.named(str(verdict.reason))) for verdict in plan.tag_verdicts
    }
    failures = [
        f"{name} must {'stay' if stays else 'go'}, and {'stays' if keep else 'goes'}: {reason}"
        for stays, names in ((True, case.stay), (False, case.go))
        for name in names
        for keep, reason in [verdicts[name]]
        if keep != stays
    ]
    if case.refused is not None and case.refused != (plan.refused is not None):
        failures.append(
            f"a limit must refuse it, and none does ({plan.counts['untag']} tags, "
            f"{plan.counts['delete']} manifests)"
            if plan.refused is None
            else f"no limit must refuse it, and one does: {plan.refused}"
        )
    return failures


class Repository:
    """The repository that a case describes."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self.names: dict[Digest, str] = {}
        self._tags: list[TagRecord] = []
        self._manifests: list[ManifestRecord] = []
        self._edges: dict[Digest, Edges] = {}
        self._repeated: list[str] = []
        for place, image in enumerate(case.snapshot):
            self._add(image, image.name or (image.tags[0] if image.tags else f"image {place}"))

    def problems(self) -> Iterator[str]:
        """Yield what is wrong with the case in itself."""
        known = {*self.names.values(), *(tag.name for tag in self._tags)}
        for name in (*self._case.stay, *self._case.go):
            if name not in known:
                yield f"{name!r} is nothing in the snapshot"
        for name in {*self._case.stay} & {*self._case.go}:
            yield f"{name!r} cannot both stay and go"
        if not self._case.stay and not self._case.go and self._case.refused is None:
            yield "expects nothing: say what must stay, or go"
        for name in self._repeated:
            yield f"{name!r} stands in the snapshot twice"
        for image in self._case.snapshot:
            if image.subject is not None and image.subject not in known:
                yield f"the subject {image.subject!r} is nothing in the snapshot"

    def snapshot(self) -> RepositorySnapshot:
        """Return it as a registry would show it."""
        return RepositorySnapshot(
            registry=self._case.registry,
            repository=self._case.repository,
            taken_at=_NOW,
            tags=self._tags,
            manifests=self._manifests,
            edges=self._edges,
            locked=self._case.locked,
        )

    def named(self, text: str) -> str:
        """Put names in the place of digests."""
        for digest, name in self.names.items():
            text = text.replace(digest, name)
        return text

    def _add(self, image: Image, label: str) -> None:
        children = tuple(
            self._manifest(image, f"{platform} of {label}", OCI_MANIFEST) for platform in image.platforms
        )
        name = image.name or f"manifest of {label}"
        subject = None if image.subject is None else self._subject(image.subject)
        digest = self._manifest(image, name, OCI_INDEX if children else OCI_MANIFEST)
        if children or subject:
            self._edges[digest] = Edges(children, subject)
        for tag in image.tags:
            self._tag(image, tag, digest)
        if image.signed is not None:
            signature = self._manifest(image, f"signature of {label}", OCI_MANIFEST)
            if image.signed == "referrer":
                self._edges[signature] = Edges((), digest)
            else:
                self._tag(image, TagName(f"{digest.replace(':', '-')}.sig"), signature)

    def _subject(self, name: str) -> Digest:
        tagged = next((tag.digest for tag in self._tags if tag.name == name), None)
        return tagged or digest_of(name.encode())

    def _manifest(self, image: Image, name: str, media_type: str) -> Digest:
        digest = digest_of(name.encode())
        if digest in self.names:
            self._repeated.append(name)
        self.names[digest] = name
        updated, created = self._times(image)
        locked = image.locked in {"manifest", "both"}
        self._manifests.append(ManifestRecord(digest, media_type, created, updated, image.size, locked))
        return digest

    def _tag(self, image: Image, tag: TagName, digest: Digest) -> None:
        if any(other.name == tag for other in self._tags):
            self._repeated.append(tag)
        updated, created = self._times(image)
        self._tags.append(TagRecord(tag, digest, created, updated, image.locked in {"tags", "both"}))

    @staticmethod
    def _times(image: Image) -> tuple[datetime, datetime]:
        created: timedelta = (image.created or image.age).delta
        return _NOW - image.age.delta, _NOW - created
