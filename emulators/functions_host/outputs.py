import re
from collections.abc import Mapping

from azure.core.exceptions import ResourceNotFoundError

from emulators.functions_host.bindings import Binding, Function
from emulators.functions_host.errors import HostError
from emulators.functions_host.host_json import Encoding
from emulators.functions_host.protos import TypedData
from emulators.functions_host.queue_messages import encode_body, message_bodies
from emulators.functions_host.storage import StoragePool, StorageQueue, resolve_connection

_QUEUE_NAME = re.compile(r"(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")


def open_queue(
    binding: Binding, settings: Mapping[str, str], storage: StoragePool, *, function: str
) -> StorageQueue:
    """Open the queue that a trigger or output binding names."""
    where = f"function {function!r}, binding {binding.name!r}"
    queue = binding.text("queueName")
    if not _QUEUE_NAME.fullmatch(queue):
        raise HostError(f"{where}: {queue!r} is not a queue name (3-63 of a-z, 0-9 and single hyphens)")
    return storage.queue(resolve_connection(binding.text("connection"), settings, where=where), queue)


class QueueOutputs:
    """Writes what functions return or set into the queues that their output bindings name."""

    def __init__(
        self,
        functions: tuple[Function, ...],
        settings: Mapping[str, str],
        storage: StoragePool,
        encoding: Encoding,
    ) -> None:
        self._encoding = encoding
        self._queues: dict[tuple[str, str], StorageQueue] = {
            (function.name, binding.name): open_queue(binding, settings, storage, function=function.name)
            for function in functions
            for binding in function.outputs
            if binding.type == "queue"
        }

    async def write(self, function: Function, outputs: Mapping[str, TypedData]) -> None:
        """Send every queue output of one invocation, creating queues that do not exist yet."""
        for name, value in outputs.items():
            queue = self._queues.get((function.name, name))
            if queue is None:
                continue
            for body in message_bodies(value):
                await self._send(queue, encode_body(body, self._encoding))

    async def _send(self, queue: StorageQueue, text: str) -> None:
        try:
            await queue.send(text)
        except ResourceNotFoundError:
            await queue.create()
            await queue.send(text)
