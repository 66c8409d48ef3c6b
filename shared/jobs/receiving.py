"""A registry event comes in; work for the queues comes out."""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from shared.errors import InvalidEvent, InvalidName
from shared.jobs.followers import signed_tags
from shared.jobs.reconciling import open_comparison
from shared.jobs.runs import open_push_cleanup, replication_run
from shared.jobs.services import Services
from shared.messages import ReplicateTag
from shared.metrics import count_replication
from shared.oci.names import LoginServer, Reference
from shared.policy import Policy
from shared.replication.advice import advise
from shared.replication.events import RegistryEvent, parse_registry_events
from shared.replication.report import ReplicationOutcome
from shared.replication.routes import UnmappablePush, route_push, unmappable

PUSH: Final = "push"
DELETE: Final = "delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedEvent:
    """What one event led to; ``unmappable`` is what a route takes and cannot name on its target."""

    event: RegistryEvent
    login_server: LoginServer
    targets: tuple[Reference, ...] = ()
    unmappable: tuple[UnmappablePush, ...] = ()
    cleanup: str | None = None
    comparison: str | None = None

    def log_fields(self) -> dict[str, object]:
        """Return the fields of a structured log line."""
        return {
            "event_id": self.event.id,
            "kind": self.event.kind,
            "registry": self.login_server,
            "repository": self.event.repository,
            "tag": self.event.tag,
            "digest": self.event.digest,
            "targets": [str(target) for target in self.targets],
            "unmappable": [f"{each.route}: {each.template}: {each.reason}" for each in self.unmappable],
            "cleanup": self.cleanup,
            "comparison": self.comparison,
        }


def receive_events(services: Services, body: bytes | dict[str, Any], *, now: datetime) -> list[ReceivedEvent]:
    """Queue what the events ask for, and return what that was, one item per event.

    A push of a tag queues one message per target of each route that takes it, and a cleanup of the
    repository where a rule is marked ``on_push``. A signature or another referrer queues the tags of the
    image that it belongs to. Child manifests are pushed without a tag, and deletes change nothing that has
    to be copied: both lead to nothing. The same event twice leads to the same work twice, which does nothing
    the second time.

    :raises InvalidEvent: when the body cannot be understood, or comes from a registry that no setting names.
    :raises StorageError: when the work could not be queued; the event must be delivered again.
    """
    return [_receive(services, event, now) for event in parse_registry_events(body)]


def _receive(services: Services, event: RegistryEvent, now: datetime) -> ReceivedEvent:
    login_server = _login_server(services, event)
    policy = services.policy.current()
    if event.kind == DELETE:
        place = (login_server, event.repository)
        comparison = open_comparison(services, policy, place, now=now)
        return ReceivedEvent(event=event, login_server=login_server, comparison=comparison)
    if event.kind != PUSH:
        return ReceivedEvent(event=event, login_server=login_server)
    pushed = Reference(registry=login_server, repository=event.repository, tag=event.tag, digest=event.digest)
    targets = _replicate(services, policy, pushed, now=now)
    for tag in signed_tags(services, policy, pushed):
        targets += _replicate(services, policy, replace(pushed, tag=tag, digest=None), now=now, refresh=True)
    cleanup = open_push_cleanup(services, policy, pushed, now=now) if event.tag is not None else None
    nameless = unmappable(pushed, policy.replication)
    for each in nameless:
        _record_unmappable(services, event, pushed, each, now=now)
    return ReceivedEvent(
        event=event,
        login_server=login_server,
        targets=tuple(targets),
        unmappable=nameless,
        cleanup=cleanup,
    )


def _replicate(
    services: Services, policy: Policy, pushed: Reference, *, now: datetime, refresh: bool = False
) -> list[Reference]:
    targets: list[Reference] = []
    source = replace(pushed, digest=None)
    for routed in route_push(source, policy.replication):
        services.replication_queue.send(
            ReplicateTag(
                run=replication_run(now),
                route=routed.route,
                source=source,
                target=routed.target,
                digest=pushed.digest,
                refresh=refresh,
            )
        )
        targets.append(routed.target)
    return targets


def _record_unmappable(
    services: Services, event: RegistryEvent, pushed: Reference, unmapped: UnmappablePush, *, now: datetime
) -> None:
    """Record the push as failed; no message asks for it, since it would fail until the policy changes.

    Once, however often its event comes: it is noted after it is recorded, so that none is lost.
    """
    run = replication_run(now)
    told = f"{event.id} {unmapped.route} {unmapped.template} {unmapped.reason}"
    key = hashlib.sha256(told.encode()).hexdigest()[:32]
    if services.runs.is_noted(run, key):
        return
    outcome = ReplicationOutcome(
        route=unmapped.route,
        source=replace(pushed, digest=None),
        target=unmapped.template,
        result="failed",
        detail=advise(InvalidName(unmapped.reason)),
        at=now,
        run=run,
    )
    services.runs.replications(run).append([outcome.to_json()])
    services.runs.note(run, key)
    count_replication(unmapped.template.partition("/")[0], outcome.result, size=0, seconds=0.0)


def _login_server(services: Services, event: RegistryEvent) -> LoginServer:
    """Return the configured registry that the event is about.

    The event's own host decides where it has one. Charts and connected registries send none; then the
    resource's name must be the first label of exactly one login server, or come before its dash in one
    with a domain name label (``name-hash.azurecr.io``).
    """
    configured = services.settings.login_servers
    if event.login_server is not None:
        if event.login_server in configured:
            return event.login_server
        raise InvalidEvent(
            f"event {event.id}: request.host: {event.login_server} is not in ACR_LOGIN_SERVERS"
        )
    name = event.registry_name.lower()
    found = [
        server
        for server in configured
        if (label := server.partition(".")[0]) == name or label.startswith(f"{name}-")
    ]
    if len(found) != 1:
        raise InvalidEvent(
            f"event {event.id}: topic: registry {event.registry_name!r} is "
            f"{'named by several login servers' if found else 'not'} in ACR_LOGIN_SERVERS"
        )
    return found[0]
