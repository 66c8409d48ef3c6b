"""One tag on the target is made equal to the source's tag, as it is now."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from shared.errors import (
    AccessDenied,
    AuthenticationFailed,
    CopyFailed,
    InvalidMessage,
    RegistryUnavailable,
    StewardError,
)
from shared.jobs.deferring import MOST_DEFERRALS, message_document, wait_of
from shared.jobs.recording import RecordedTarget
from shared.jobs.rivals import describe_rival, find_rival
from shared.jobs.services import Services
from shared.messages import ReplicateTag, parse_message
from shared.metrics import count_replication, record_lag, record_pulls_left
from shared.oci.manifest import Descriptor
from shared.oci.names import DOCKER_HUB, Digest, Reference, RepositoryName, TagName
from shared.registry.acr import AcrClient
from shared.registry.content import ContentSource
from shared.registry.copy import CopyReport, copy_graph
from shared.registry.copy_transfer import blamed_on
from shared.registry.platforms import PlatformSource
from shared.replication.advice import advise
from shared.replication.replicas import Replica
from shared.replication.report import ReplicationOutcome, ReplicationResult
from shared.replication.routes import ReplicationTarget, route_push
from shared.retention.snapshot import TagRecord

ORIGIN: Final = "replicate-tag"
"""Under which poisoned messages of this kind are kept."""

_ROUNDS: Final = 3
"""How often a tag that moves while it is copied is followed, before the queue takes over."""


def replicate(services: Services, body: bytes, *, clock: Callable[[], datetime]) -> ReplicationOutcome:
    """Carry out one message and record what happened in its run.

    The source tag is resolved now: the message only says where to look. What a registry wants to be asked
    later goes back to the queue with that delay. Other errors that another try may cure are raised, so that
    the queue delivers again; all others are recorded with their reason.

    :raises InvalidMessage: when the body is no message of ours; it ends in the poison queue.
    :raises StewardError: of a temporary kind.
    """
    message = parse_message(body)
    if not isinstance(message, ReplicateTag):
        raise InvalidMessage(f"kind: {message.kind!r} does not belong in the replication queue")
    started = time.monotonic()
    try:
        outcome = _Replication(services, message, clock).run()
    except StewardError as error:
        outcome = _failed(services, message, error, clock())
    outcome = replace(outcome, seconds=time.monotonic() - started)
    services.runs.replications(message.run).append([outcome.to_json()])
    _count(services, message, outcome)
    return outcome


def record_failed_replication(
    services: Services, message: ReplicateTag, reason: str, *, now: datetime
) -> None:
    """Note in the message's run that the tag was given up."""
    outcome = _outcome(message, "failed", now, detail=reason)
    services.runs.replications(message.run).append([outcome.to_json()])


def _count(services: Services, message: ReplicateTag, outcome: ReplicationOutcome) -> None:
    registry = message.target.registry
    count_replication(registry, outcome.result, size=outcome.bytes_copied, seconds=outcome.seconds)
    if outcome.lag is not None:
        record_lag(registry, message.run, outcome.lag)
    pulls = services.registries.target(registry).pulls.remaining
    if pulls is not None:
        record_pulls_left(registry, pulls)


def _failed(
    services: Services, message: ReplicateTag, error: StewardError, now: datetime
) -> ReplicationOutcome:
    wait = wait_of(error, deferrals=message.deferrals)
    if wait is None:
        if error.temporary:
            raise error
        return _outcome(message, "failed", now, detail=advise(error))
    if message.deferrals < MOST_DEFERRALS:
        services.replication_queue.send(replace(message, deferrals=message.deferrals + 1), delay=wait)
        again = now + timedelta(seconds=wait)
        return _outcome(message, "deferred", now, detail=f"until {again:%Y-%m-%d %H:%M} UTC: {error}")
    reason = f"given up after {message.deferrals} waits: {error}"
    identity = f"{message.run}-{now:%H%M%S%f}"
    body = replace(message, deferrals=0).to_json().encode()
    services.poison.save(
        ORIGIN, identity, message_document(ORIGIN, identity, body, reason=reason, now=now), now=now
    )
    return _outcome(message, "failed", now, detail=reason)


class _Replication:
    """One message being carried out."""

    def __init__(self, services: Services, message: ReplicateTag, clock: Callable[[], datetime]) -> None:
        self._services = services
        self._message = message
        self._clock = clock
        self._source_tag = _tag(message.source)
        self._target_tag = _tag(message.target)
        self._pushed: datetime | None = None

    def run(self) -> ReplicationOutcome:
        routed = self._routed()
        if routed is None:
            return self._outcome("superseded", detail="the policy does not route it any more")
        source = self._source(routed)
        registry = self._services.registries.target(self._message.target.registry)
        target = registry.repository(self._message.target.repository)
        for _ in range(_ROUNDS):
            wanted = source.resolve(self._source_tag)
            if wanted is None:
                return self._outcome("gone", detail="the source tag does not exist any more")
            present = target.resolve(self._target_tag)
            right = present is not None and present.digest == wanted.digest
            if right and not self._message.refresh:
                return self._outcome("up_to_date", digest=wanted.digest)
            if present is None:
                self._ensure_repository(routed)
            elif not right and (rival := find_rival(self._services, self._message)) is not None:
                return self._outcome("failed", detail=describe_rival(self._message, rival))
            recorded = RecordedTarget(target, self._ledger_writer(routed, source))
            watch = _Watch(source, self._source_tag, wanted)
            try:
                report = self._copy(routed, source, recorded, wanted, watch)
            finally:
                self._services.ledger.record_blobs(
                    self._message.target.registry, self._message.target.repository, recorded.blobs
                )
            if not watch.is_overtaken():
                return self._copied(wanted.digest, report)
        place = self._message.source
        moved = RegistryUnavailable(
            f"{place} moved {_ROUNDS} times while it was copied", registry=place.registry
        )
        raise CopyFailed(str(place), origin="source", cause=moved)

    def _copied(self, digest: Digest, report: CopyReport) -> ReplicationOutcome:
        outcome = self._outcome("copied", digest=digest)
        lag = None if self._pushed is None else max(0.0, (outcome.at - self._pushed).total_seconds())
        return replace(outcome, bytes_copied=report.bytes_copied, pushed=self._pushed, lag=lag)

    def _copy(
        self,
        routed: ReplicationTarget,
        source: PlatformSource,
        target: RecordedTarget,
        wanted: Descriptor,
        watch: "_Watch",
    ) -> CopyReport:
        return copy_graph(
            source,
            target,
            wanted,
            tag=self._target_tag,
            referrers=routed.referrers,
            refresh_referrers=self._message.refresh,
            siblings=self._sibling,
            superseded=watch.is_overtaken,
        )

    def _routed(self) -> ReplicationTarget | None:
        """Return the route's target as the policy has it now, ``None`` when it does not have it any more."""
        targets = route_push(self._message.source, self._services.policy.current().replication)
        return next((routed for routed in targets if routed.target == self._message.target), None)

    def _source(self, routed: ReplicationTarget) -> PlatformSource:
        registry = self._services.registries.source(self._message.source.registry)
        return PlatformSource(registry.repository(self._message.source.repository), routed.platforms)

    def _sibling(self, digest: Digest) -> RepositoryName | None:
        """Return another repository of the target that has the blob, so that it need not be sent."""
        source, target = self._message.source, self._message.target
        if source.registry == target.registry:
            return source.repository
        holder = self._services.ledger.holder_of(target.registry, digest)
        return None if holder == target.repository else holder

    def _ledger_writer(
        self, routed: ReplicationTarget, copied: PlatformSource
    ) -> Callable[[TagName, Digest], None]:
        """Return what notes a tag, the message's own or a signature's, before it is written."""
        source, target = self._message.source, self._message.target
        registry = self._services.registries.source(source.registry)

        def record(tag: TagName, digest: Digest) -> None:
            origin = self._source_tag if tag == self._target_tag else tag
            original = copied.original(digest)
            with blamed_on("source", f"{source.registry}/{source.repository}:{origin}"):
                now = _attributes(registry, source.repository, origin)
            pushed = None if now is None or now.digest != original else now
            if tag == self._target_tag:
                self._pushed = None if pushed is None else pushed.updated
            self._services.ledger.record(
                replace(target, tag=tag),
                Replica(
                    source=replace(source, tag=origin),
                    route=routed.route,
                    digest=digest,
                    source_digest=original,
                    copied=self._clock(),
                    pushed=None if pushed is None else pushed.updated,
                    created=None if pushed is None else pushed.created,
                    platforms=",".join(routed.platforms),
                ),
            )

        return record

    def _ensure_repository(self, routed: ReplicationTarget) -> None:
        """Make a missing Docker Hub repository with the route's visibility: a push would make it public."""
        hub = self._services.registries.docker_hub()
        if routed.target.registry != DOCKER_HUB or hub is None:
            return
        repository = routed.target.repository
        if hub.find_repository(repository) is None:
            hub.create_repository(repository, private=routed.visibility == "private")

    def _outcome(
        self, result: ReplicationResult, *, detail: str = "", digest: Digest | None = None
    ) -> ReplicationOutcome:
        return _outcome(self._message, result, self._clock(), detail=detail, digest=digest)


def _attributes(registry: AcrClient, repository: RepositoryName, tag: TagName) -> TagRecord | None:
    """Return the source's tag with its times; ``None``, too, where the app may pull and may not look."""
    try:
        return registry.tag_attributes(repository, tag)
    except (AccessDenied, AuthenticationFailed):
        return None


class _Watch:
    """Looks whether the source tag still is what is being copied."""

    def __init__(self, source: ContentSource, tag: TagName, wanted: Descriptor) -> None:
        self._source = source
        self._tag = tag
        self._wanted = wanted
        self._overtaken = False

    def is_overtaken(self) -> bool:
        """Look, and tell whether the tag moved or is gone."""
        if not self._overtaken:
            now = self._source.resolve(self._tag)
            self._overtaken = now is None or now.digest != self._wanted.digest
        return self._overtaken


def _tag(reference: Reference) -> TagName:
    if reference.tag is None:
        raise InvalidMessage(f"{reference}: has no tag")
    return reference.tag


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
        run=message.run,
    )
