"""Messages that were given up are sent again, once whatever stopped them is mended."""

import base64
import binascii
from dataclasses import dataclass, replace
from typing import Any

from shared.errors import InvalidMessage
from shared.jobs.services import Services
from shared.messages import ReconcileRepository, ReplicateTag, parse_message
from shared.storage.queues import WorkQueue


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """Where a message went."""

    name: str
    origin: str
    queue: str

    def to_json(self) -> dict[str, Any]:
        """Return the form in which people are told."""
        return {"name": self.name, "origin": self.origin, "queue": self.queue}


def replay(services: Services, name: str) -> Replayed | None:
    """Send a poisoned message to the queue it came from and drop its record; ``None`` without a record.

    The record goes last: after a failure in between the message is there twice, which does no harm.

    :raises InvalidMessage: when the record is damaged, or of a queue that the app does not have.
    :raises StorageError: when the message could not be sent.
    """
    document = services.poison.read(name)
    if document is None:
        return None
    origin = str(document.get("origin"))
    queue = _queue(services, origin)
    if queue is None:
        raise InvalidMessage(f"{name}: origin {origin!r} has no queue")
    try:
        text = base64.b64decode(document["body"], validate=True).decode()
    except (KeyError, TypeError, binascii.Error, UnicodeDecodeError) as error:
        raise InvalidMessage(f"{name}: body: {type(error).__name__}") from error
    queue.send_text(_fresh(text))
    services.poison.remove(name)
    return Replayed(name=name, origin=origin, queue=queue.name)


def _fresh(text: str) -> str:
    """Return the message with its patience restored; what is no message of ours goes as it is."""
    try:
        message = parse_message(text)
    except InvalidMessage:
        return text
    if isinstance(message, ReplicateTag | ReconcileRepository):
        return replace(message, deferrals=0).to_json()
    return text


def _queue(services: Services, origin: str) -> WorkQueue | None:
    queues = {
        "registry-event": services.events_queue,
        "replicate-tag": services.replication_queue,
        "clean-repository": services.cleanup_queue,
    }
    return queues.get(origin)
