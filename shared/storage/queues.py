"""Work queues: where one invocation leaves messages for the next."""

from math import ceil
from typing import Final

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue import QueueServiceClient, TextBase64EncodePolicy

from shared.messages import Message
from shared.storage.account import storage_errors

LONGEST_DELAY: Final = 7 * 24 * 3600
"""The longest visibility timeout of a queue message, in seconds (Put Message, REST reference)."""


class WorkQueue:
    """One Storage queue of this app's messages, base64 as the Functions host expects (host.json)."""

    def __init__(self, service: QueueServiceClient, name: str) -> None:
        self.name = name
        self._queue = service.get_queue_client(name, message_encode_policy=TextBase64EncodePolicy())

    def send(self, message: Message, *, delay: float = 0.0) -> None:
        """Put the message, to be read no sooner than ``delay`` seconds from now. Makes a missing queue.

        A delay is a week at most.

        :raises StorageError: when it could not be put.
        """
        self._put(message.to_json(), delay)

    def send_text(self, text: str) -> None:
        """Put a text as it is, to be read at once: a message that was read from this queue before.

        :raises StorageError: when it could not be put.
        """
        self._put(text, 0.0)

    def _put(self, text: str, delay: float) -> None:
        visibility = ceil(min(max(0.0, delay), LONGEST_DELAY))
        with storage_errors(f"sending to queue {self.name}"):
            try:
                self._queue.send_message(text, visibility_timeout=visibility, time_to_live=-1)
            except ResourceNotFoundError:
                self._queue.create_queue()
                self._queue.send_message(text, visibility_timeout=visibility, time_to_live=-1)

    def length(self) -> int:
        """Return about how many messages wait; 0 when the queue does not exist.

        :raises StorageError: when the queue cannot be asked.
        """
        with storage_errors(f"reading queue {self.name}"):
            try:
                return self._queue.get_queue_properties().approximate_message_count or 0
            except ResourceNotFoundError:
                return 0
