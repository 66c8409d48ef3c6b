"""A message that failed too often becomes a record that a person finds, and a failure in its run."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from shared.errors import InvalidMessage
from shared.jobs.cleaning import record_failed_repository
from shared.jobs.comparing import fail_comparison
from shared.jobs.deferring import message_document
from shared.jobs.replicating import record_failed_replication
from shared.jobs.services import Services
from shared.messages import (
    ApplyPlan,
    Message,
    PlanRepository,
    ReconcileRepository,
    ReplicateTag,
    parse_message,
)
from shared.storage.runs import Part

POISONED = "failed on every delivery; its last error is in the logs of the function"


@dataclass(frozen=True, slots=True, kw_only=True)
class PoisonRecord:
    """Where a poisoned message was put."""

    origin: str
    name: str
    run: str | None

    def log_fields(self) -> dict[str, object]:
        """Return the fields of a structured log line."""
        return {"origin": self.origin, "record": self.name, "run": self.run}


def record_poison(
    services: Services, origin: str, message_id: str, body: bytes, *, now: datetime
) -> PoisonRecord:
    """Keep the message as it came and, where it belongs to a run, note the failure there.

    The run goes on without the repository: it counts as finished, and as failed.

    :raises StorageError: when it could not be kept; then it stays in the poison queue.
    """
    message: Message | None = None
    with suppress(InvalidMessage):
        message = parse_message(body)
    document = message_document(origin, message_id, body, reason=POISONED, now=now)
    name = services.poison.save(origin, message_id, document, now=now)
    match message:
        case PlanRepository() | ApplyPlan():
            record_failed_repository(services, message, f"the message {name} {POISONED}", now=now)
        case ReconcileRepository():
            part = Part(run=message.run, registry=message.registry, repository=message.repository)
            fail_comparison(services, part, f"the message {name} {POISONED}", now=now)
        case ReplicateTag():
            record_failed_replication(services, message, f"the message {name} {POISONED}", now=now)
        case None:
            pass
    return PoisonRecord(origin=origin, name=name, run=None if message is None else message.run)
