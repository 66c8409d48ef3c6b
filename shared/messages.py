"""The queue messages of this app: small, versioned JSON that names work and never carries decisions.

A message says *which* repository or tag to look at. What to do is decided when it is read, from the
registry as it is then, so that a message that comes late, twice or out of order does no harm.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from shared.errors import InvalidMessage, InvalidName
from shared.oci.names import (
    Digest,
    LoginServer,
    Reference,
    RepositoryName,
    TagName,
    parse_digest,
    parse_login_server,
    parse_repository,
    parse_tag,
)

VERSION: Final = 1
MAX_MESSAGE_BYTES: Final = 48 * 1024
"""Storage queues take 64 KiB of base64, which is 48 KiB of message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRepository:
    """Ask to look at one repository and to save what the policy no longer wants there.

    ``deferrals`` counts how often in a row a registry asked us to come back later.
    """

    kind: ClassVar[str] = "plan-repository"

    run: str
    registry: LoginServer
    repository: RepositoryName
    deferrals: int = 0

    def to_json(self) -> str:
        """Return the message's text."""
        return _dump(
            self.kind,
            run=self.run,
            registry=self.registry,
            repository=self.repository,
            deferrals=self.deferrals,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyPlan:
    """Ask to carry out the plan that the run saved for one repository, or what is left of it.

    ``continuation`` counts the invocations that stopped before the end and passed the rest on; ``outages``
    those in a row that got nothing done because the registry did not answer.
    """

    kind: ClassVar[str] = "apply-plan"

    run: str
    registry: LoginServer
    repository: RepositoryName
    continuation: int = 0
    outages: int = 0

    def to_json(self) -> str:
        """Return the message's text."""
        return _dump(
            self.kind,
            run=self.run,
            registry=self.registry,
            repository=self.repository,
            continuation=self.continuation,
            outages=self.outages,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicateTag:
    """Ask to make one tag on the target equal to the source's tag as it is when this is read.

    Both references carry a tag and no digest. ``digest`` is what the event announced: a hint for the
    log, never a decision. ``refresh`` asks to look for signatures and other referrers even if the target
    tag is right already. ``deferrals`` counts how often a registry asked us to come back later.
    """

    kind: ClassVar[str] = "replicate-tag"

    run: str
    route: str
    source: Reference
    target: Reference
    digest: Digest | None = None
    refresh: bool = False
    deferrals: int = 0

    def to_json(self) -> str:
        """Return the message's text."""
        return _dump(
            self.kind,
            run=self.run,
            route=self.route,
            source=_reference(self.source),
            target=_reference(self.target),
            digest=self.digest,
            refresh=self.refresh,
            deferrals=self.deferrals,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileRepository:
    """Ask to compare one source repository with its targets, and to queue what differs.

    ``after`` is the last tag that an earlier invocation dealt with. ``deferrals`` counts how often a
    registry asked us to come back later.
    """

    kind: ClassVar[str] = "reconcile-repository"

    run: str
    registry: LoginServer
    repository: RepositoryName
    after: TagName | None = None
    deferrals: int = 0

    def to_json(self) -> str:
        """Return the message's text."""
        return _dump(
            self.kind,
            run=self.run,
            registry=self.registry,
            repository=self.repository,
            after=self.after,
            deferrals=self.deferrals,
        )


type Message = PlanRepository | ApplyPlan | ReplicateTag | ReconcileRepository

_KINDS: Final = (PlanRepository, ApplyPlan, ReplicateTag, ReconcileRepository)

_RUN = re.compile(r"[a-z0-9][a-z0-9-]{0,99}")


def parse_message(text: str | bytes) -> Message:
    """Return the message that the text is.

    :raises InvalidMessage: naming the field, when it is not JSON, of another version, of no known
        kind, or when a name in it breaks its grammar.
    """
    content = text.encode(errors="surrogatepass") if isinstance(text, str) else text
    if len(content) > MAX_MESSAGE_BYTES:
        raise InvalidMessage(
            f"message of {len(content)} bytes, more than the {MAX_MESSAGE_BYTES} that are read"
        )
    try:
        body = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InvalidMessage(f"message is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise InvalidMessage(f"message is {_shown(body)}, expected a JSON object")
    version = body.get("version")
    if type(version) is not int or version != VERSION:
        raise InvalidMessage(f"version: {_shown(version)}, this app reads version {VERSION}")
    match body.get("kind"):
        case PlanRepository.kind:
            return PlanRepository(**_repository_of_a_run(body), deferrals=_count(body, "deferrals"))
        case ApplyPlan.kind:
            return ApplyPlan(
                **_repository_of_a_run(body),
                continuation=_count(body, "continuation"),
                outages=_count(body, "outages"),
            )
        case ReplicateTag.kind:
            return _replicate_tag(body)
        case ReconcileRepository.kind:
            return ReconcileRepository(
                **_repository_of_a_run(body),
                after=None if body.get("after") is None else _named(parse_tag, body, "after"),
                deferrals=_count(body, "deferrals"),
            )
        case kind:
            kinds = ", ".join(known.kind for known in _KINDS)
            raise InvalidMessage(f"kind: {_shown(kind)}, expected one of {kinds}")


def parse_run(text: str) -> str:
    """Return the name of a run that the text is; it becomes part of a path.

    :raises InvalidName: unless it is 1 to 100 lower-case letters, digits and dashes.
    """
    if not _RUN.fullmatch(text):
        raise InvalidName(f"{text[:140]!r} is not a run: expected lower-case letters, digits and dashes")
    return text


def _repository_of_a_run(body: dict[str, Any]) -> dict[str, Any]:
    return {
        "run": _named(parse_run, body, "run"),
        "registry": _named(parse_login_server, body, "registry"),
        "repository": _named(parse_repository, body, "repository"),
    }


def _flag(body: dict[str, Any], key: str) -> bool:
    value = body.get(key, False)
    if not isinstance(value, bool):
        raise InvalidMessage(f"{key}: {_shown(value)}, expected true or false")
    return value


def _count(body: dict[str, Any], key: str) -> int:
    value = body.get(key, 0)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InvalidMessage(f"{key}: {_shown(value)}, expected a count")
    return value


def _replicate_tag(body: dict[str, Any]) -> ReplicateTag:
    return ReplicateTag(
        run=_named(parse_run, body, "run"),
        route=_text(body, "route"),
        source=_parse_tagged(body, "source"),
        target=_parse_tagged(body, "target"),
        digest=None if body.get("digest") is None else _named(parse_digest, body, "digest"),
        refresh=_flag(body, "refresh"),
        deferrals=_count(body, "deferrals"),
    )


def _parse_tagged(body: dict[str, Any], key: str) -> Reference:
    place = body.get(key)
    if not isinstance(place, dict):
        raise InvalidMessage(f"{key}: expected an object with registry, repository and tag")
    return Reference(
        registry=_named(parse_login_server, place, "registry", key),
        repository=_named(parse_repository, place, "repository", key),
        tag=_named(parse_tag, place, "tag", key),
    )


def _reference(reference: Reference) -> dict[str, str | TagName | None]:
    return {"registry": reference.registry, "repository": reference.repository, "tag": reference.tag}


def _text(body: dict[str, Any], key: str, parent: str = "") -> str:
    value = body.get(key)
    if not isinstance(value, str) or not value or not value.isprintable():
        raise InvalidMessage(
            f"{parent}{'.' if parent else ''}{key}: {_shown(value)}, expected a printable text"
        )
    return value


def _named[N](parse: Callable[[str], N], body: dict[str, Any], key: str, parent: str = "") -> N:
    text = _text(body, key, parent)
    try:
        return parse(text)
    except InvalidName as error:
        raise InvalidMessage(f"{parent}{'.' if parent else ''}{key}: {error}") from error


def _dump(kind: str, **fields: object) -> str:
    return json.dumps({"version": VERSION, "kind": kind, **fields}, separators=(",", ":"))


def _shown(value: object) -> str:
    """Show what was found, cut to a readable length; of a container only what it is."""
    if isinstance(value, dict | list):
        return f"a JSON {'object' if isinstance(value, dict) else 'array'}"
    readable = 140
    text = repr(value)
    return text if len(text) <= readable else f"{text[:readable]}..."
