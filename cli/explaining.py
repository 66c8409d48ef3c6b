"""Why one tag or manifest stays or goes: its verdict, its manifest's, and what holds what."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cli.cleanable import Times, cleanable
from cli.exits import FAILED, Failure
from cli.output import Output
from cli.places import parse_place
from cli.planning import moment, read_policy
from cli.registries import Registries
from cli.words import short
from shared.oci.graph import referrers_by_subject
from shared.oci.names import Digest, Reference, TagName
from shared.retention.plan import ManifestVerdict, RepositoryPlan, TagVerdict
from shared.retention.snapshot import RepositorySnapshot


def explain_reference(
    output: Output, registries: Registries, text: str, policy: Path, *, at: str | None, times: Times
) -> int:
    """Print the explanation and return the exit code."""
    when = moment(at)
    document = read_policy(policy)
    reference = parse_place(text)
    if reference.tag is None and reference.digest is None:
        raise Failure(f"{text} names no tag and no digest", hint="steward plan explains whole repositories")
    rules = document.retention
    cleaned = cleanable(registries, reference.registry, rules, purpose="be explained", times=times)
    snapshot = cleaned.snapshot(reference.repository)
    found = _Found(snapshot, cleaned.judge(snapshot, at=when), reference)
    if output.json:
        output.document(found.to_json())
    else:
        found.show(output)
    return 0


class _Found:
    """What the plan says of one reference."""

    def __init__(self, snapshot: RepositorySnapshot, plan: RepositoryPlan, reference: Reference) -> None:
        self._plan = plan
        self._digests: Mapping[TagName, Digest] = {tag.name: tag.digest for tag in snapshot.tags}
        self.tag: TagVerdict | None = None
        digest = reference.digest
        if digest is None:
            self.tag = next((verdict for verdict in plan.tag_verdicts if verdict.tag == reference.tag), None)
            if self.tag is None:
                raise Failure(
                    f"{reference} does not exist",
                    hint=f"steward tags {reference.registry}/{reference.repository} lists what does",
                    code=FAILED,
                )
            digest = self._digests[self.tag.tag]
        self.digest: Digest = digest
        self.manifest: ManifestVerdict | None = next(
            (verdict for verdict in plan.manifest_verdicts if verdict.digest == digest), None
        )
        if self.manifest is None and self.tag is None:
            place = f"{reference.registry}/{reference.repository}"
            hint = f"steward manifests {place} lists what does"
            raise Failure(f"{reference} does not exist", hint=hint, code=FAILED)
        self.tags = [verdict for verdict in plan.tag_verdicts if self._digests.get(verdict.tag) == digest]
        edges, referrers = snapshot.edges, referrers_by_subject(snapshot.edges)
        self.held_by = sorted(other for other, pointing in edges.items() if digest in pointing.children)
        own = edges.get(digest)
        self.subject = None if own is None else own.subject
        self.holds = [*(() if own is None else own.children), *sorted(referrers.get(digest, ()))]

    def show(self, output: Output) -> None:
        """Print it in words."""
        words = short if output.terminal and not output.verbose else str
        place = f"{self._plan.registry}/{self._plan.repository}"
        output.say(f"{place}:{self.tag.tag}" if self.tag else f"{place}@{words(self.digest)}", bold=True)
        if self.tag is not None:
            self._line(output, "", self.tag, words)
        if self.manifest is not None:
            manifest = f"its manifest {words(self.digest)} " if self.tag is not None else ""
            self._line(output, manifest, self.manifest, words)
        for other in self.tags:
            if self.tag is None or other.tag != self.tag.tag:
                self._line(output, f"also tagged {words(other.tag)}, which ", other, words)
        for holder in self.held_by:
            output.say(f"  listed by {words(holder)}{self._tagged(holder)}")
        if self.subject is not None:
            output.say(f"  refers to {words(self.subject)}{self._tagged(self.subject)}")
        for held in self.holds:
            output.say(f"  holds {words(held)}{self._tagged(held)}")
        for warning in self._plan.warnings:
            output.say_folded(f"  warning: {words(warning)}", indent=4, fg="yellow")
        if self._plan.refused is not None:
            output.say_folded(f"  but nothing goes: {self._plan.refused}", indent=4, fg="red")

    def _line(self, output: Output, name: str, verdict: TagVerdict | ManifestVerdict, words: Any) -> None:
        rule = f" (rule {verdict.rule})" if verdict.rule and verdict.rule not in str(verdict.reason) else ""
        text = f"  {name}{'stays' if verdict.keep else 'goes'}: {words(str(verdict.reason))}{rule}"
        output.say_folded(text, indent=4, fg="green" if verdict.keep else "red")

    def _tagged(self, digest: Digest) -> str:
        tags = sorted(tag for tag, target in self._digests.items() if target == digest)
        return f", tagged {', '.join(tags)}" if tags else ""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        plan = self._plan
        tag, manifest = self.tag, self.manifest
        return {
            "registry": plan.registry,
            "repository": plan.repository,
            "at": plan.at.isoformat(),
            "policy_digest": plan.policy_digest,
            "tag": None if tag is None else {"tag": tag.tag, "digest": self.digest, **_verdict(tag)},
            "manifest": None if manifest is None else {"digest": manifest.digest, **_verdict(manifest)},
            "tags": [{"tag": other.tag, **_verdict(other)} for other in self.tags],
            "held_by": self.held_by,
            "subject": self.subject,
            "holds": self.holds,
            "warnings": list(plan.warnings),
            "refused": None if plan.refused is None else plan.refused.to_json(),
        }


def _verdict(verdict: TagVerdict | ManifestVerdict) -> dict[str, Any]:
    return {"keep": verdict.keep, "rule": verdict.rule, "reason": str(verdict.reason)}
