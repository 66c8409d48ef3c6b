"""One tag on the target is made equal to the source's tag, as it is now."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final

from shared.errors import InvalidMessage, StewardError
from shared.jobs.services import Services
from shared.messages import ReplicateTag, parse_message
from shared.oci.manifest import Descriptor
from shared.oci.names import DOCKER_HUB, Digest, Reference, TagName
from shared.registry.copy import copy_graph
from shared.registry.repository import RepositoryClient
from shared.replication.report import ReplicationOutcome, ReplicationResult
from shared.replication.routes import ReplicationTarget, route_push

_WATCH_EVERY: Final = 5.0
_ROUNDS: Final = 3
"""How often a tag that moves while it is copied is followed, before the queue takes over."""


def replicate(services: Services, body: bytes, *, clock: Callable[[], datetime]) -> ReplicationOutcome:
    """Carry out one message and record what happened in its run.

    The source tag is resolved now: the message only says where to look. Errors that another try may cure
    are raised, so that the queue delivers again; all others are recorded with their reason.

    :raises InvalidMessage: when the body is no message of ours; it ends in the poison queue.
    :raises StewardError: of a temporary kind.
    """
    message = parse_message(body)
    if not isinstance(message, ReplicateTag):
        raise InvalidMessage(f"kind: {message.kind!r} does not belong in the replication queue")
    started = time.monotonic()
    try:
        outcome = _replicate(services, message, clock)
    except StewardError as error:
        if error.temporary:
            raise
        outcome = _outcome(message, "failed", clock(), detail=str(error))
    outcome = replace(outcome, seconds=time.monotonic() - started)
    services.runs.replications(message.run).append([outcome.to_json()])
    return outcome


def record_failed_replication(
    services: Services, message: ReplicateTag, reason: str, *, now: datetime
) -> None:
    """Note in the message's run that the tag was given up."""
    outcome = _outcome(message, "failed", now, detail=reason)
    services.runs.replications(message.run).append([outcome.to_json()])


def _replicate(
    services: Services, message: ReplicateTag, clock: Callable[[], datetime]
) -> ReplicationOutcome:
    source_tag, target_tag = _tag(message.source), _tag(message.target)
    routed = _routed(services, message)
    if routed is None:
        return _outcome(message, "superseded", clock(), detail="the policy does not route it any more")
    source = services.registries.acr(message.source.registry).repository(message.source.repository)
    target_registry = services.registries.target(message.target.registry)
    target = target_registry.repository(message.target.repository)
    for _ in range(_ROUNDS):
        wanted = source.resolve(source_tag)
        if wanted is None:
            return _outcome(message, "gone", clock(), detail="the source tag does not exist any more")
        present = target.resolve(target_tag)
        if present is not None and present.digest == wanted.digest and not message.refresh:
            return _outcome(message, "up_to_date", clock(), digest=wanted.digest)
        if present is None:
            _ensure_repository(services, routed)
        watch = _Watch(source, source_tag, wanted)
        report = copy_graph(
            source,
            target,
            wanted,
            tag=target_tag,
            referrers=routed.referrers,
            refresh_referrers=message.refresh,
            superseded=watch.may_be_overtaken,
        )
        if not watch.is_overtaken():
            outcome = _outcome(message, "copied", clock(), digest=wanted.digest)
            return replace(outcome, bytes_copied=report.bytes_copied)
    return _outcome(
        message, "superseded", clock(), detail=f"the source tag moved {_ROUNDS} times while it was copied"
    )


class _Watch:
    """Looks whether the source tag still is what is being copied, at most once in a few seconds."""

    def __init__(self, source: RepositoryClient, tag: TagName, wanted: Descriptor) -> None:
        self._source = source
        self._tag = tag
        self._wanted = wanted
        self._looked = time.monotonic()
        self._overtaken = False

    def may_be_overtaken(self) -> bool:
        """Tell whether the tag had moved when it was last looked at."""
        if not self._overtaken and time.monotonic() - self._looked >= _WATCH_EVERY:
            self._looked = time.monotonic()
            return self.is_overtaken()
        return self._overtaken

    def is_overtaken(self) -> bool:
        """Look, and tell whether the tag moved or is gone."""
        if not self._overtaken:
            now = self._source.resolve(self._tag)
            self._overtaken = now is None or now.digest != self._wanted.digest
        return self._overtaken


def _ensure_repository(services: Services, routed: ReplicationTarget) -> None:
    """Make a missing Docker Hub repository with the route's visibility: a push would make it public."""
    hub = services.registries.docker_hub()
    if routed.target.registry != DOCKER_HUB or hub is None:
        return
    repository = routed.target.repository
    if hub.find_repository(repository) is None:
        hub.create_repository(repository, private=routed.visibility == "private")


def target_digests(services: Services, target: Reference) -> dict[str, str]:
    """Return the digest of every tag of the target's repository, by the cheapest way its registry has.

    Docker Hub's own API lists digests; elsewhere each tag is asked for by HEAD.
    """
    hub = services.registries.docker_hub()
    repository = services.registries.target(target.registry).repository(target.repository)
    if target.registry == DOCKER_HUB and hub is not None:
        listed = {tag.name: tag.digest for tag in hub.list_tags(target.repository)}
    else:
        listed = dict.fromkeys(repository.list_tags())
    found: dict[str, str] = {}
    for name, digest in listed.items():
        if digest is not None:
            found[name] = digest
        elif (present := repository.resolve(name)) is not None:
            found[name] = present.digest
    return found


def _tag(reference: Reference) -> TagName:
    if reference.tag is None:
        raise InvalidMessage(f"{reference}: has no tag")
    return reference.tag


def _routed(services: Services, message: ReplicateTag) -> ReplicationTarget | None:
    """Return the route's target as the policy has it now, ``None`` when it does not have it any more."""
    targets = route_push(message.source, services.policy.current().replication)
    return next((routed for routed in targets if routed.target == message.target), None)


def _outcome(
    message: ReplicateTag,
    result: ReplicationResult,
    at: datetime,
    *,
    detail: str = "",
    digest: Digest | None = None,
) -> ReplicationOutcome:
    return ReplicationOutcome(
        route=message.route,
        source=message.source,
        target=message.target,
        result=result,
        digest=digest,
        detail=detail,
        at=at,
    )
