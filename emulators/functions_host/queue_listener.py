import asyncio
import logging
from dataclasses import dataclass

from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.queue import QueueMessage

from emulators.functions_host.bindings import Function
from emulators.functions_host.executor import Executor
from emulators.functions_host.host_json import QueueOptions
from emulators.functions_host.queue_messages import as_input, decode_body, trigger_metadata
from emulators.functions_host.storage import StorageQueue

logger = logging.getLogger("host.queues")

POISON_SUFFIX = "-poison"
_FIRST_WAIT = 0.05
_OUTAGE_WAIT = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Polling:
    """How often empty queues are looked at, and for how long a received message is hidden."""

    interval: float
    visibility: float


class QueueListener:
    """Feeds one queue trigger, with the rules of the Azure Functions queue extension.

    A message is hidden while its function runs and the hiding is renewed; it is deleted on success,
    shown again after `visibilityTimeout` on failure, and moved to `<queue>-poison` when it has failed
    `maxDequeueCount` times. A poison queue has no poison queue: its failed messages stay hidden until
    their time is over (QueueProcessor.CompleteProcessingMessageAsync of azure-sdk-for-net).
    """

    def __init__(
        self,
        function: Function,
        queue: StorageQueue,
        poison: StorageQueue | None,
        executor: Executor,
        *,
        options: QueueOptions,
        polling: Polling,
    ) -> None:
        self._function = function
        self._queue = queue
        self._poison = poison
        self._executor = executor
        self._options = options
        self._polling = polling
        self._wake = asyncio.Event()
        self._stopping = False
        self._in_flight: set[asyncio.Task[None]] = set()

    def wake(self) -> None:
        """Look at the queue now instead of at the end of the idle wait."""
        self._wake.set()

    def stop(self) -> None:
        """Receive nothing more; what is in flight goes on."""
        self._stopping = True
        self._wake.set()

    async def drain(self, seconds: float) -> None:
        """Wait until the messages in flight are deleted, released or moved."""
        if self._in_flight:
            await asyncio.wait(self._in_flight, timeout=seconds)

    async def run(self) -> None:
        wait = min(_FIRST_WAIT, self._polling.interval)
        while not self._stopping:
            self._wake.clear()
            if len(self._in_flight) > self._options.new_batch_threshold:
                await self._wake.wait()
                continue
            messages, reachable = await self._receive()
            for message in messages:
                task = asyncio.create_task(self._handle(message))
                self._in_flight.add(task)
                task.add_done_callback(self._done)
            if messages:
                wait = min(_FIRST_WAIT, self._polling.interval)
            else:
                await self._idle(wait if reachable else _OUTAGE_WAIT)
                wait = min(wait * 1.5, self._polling.interval)

    async def _idle(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _receive(self) -> tuple[list[QueueMessage], bool]:
        try:
            return await self._queue.receive(
                self._options.batch_size, visibility=self._polling.visibility
            ), True
        except ResourceNotFoundError:
            await self._recreate()
        except AzureError as error:
            logger.warning("queue %r cannot be read: %s", self._queue.name, error)
        return [], False

    async def _recreate(self) -> None:
        try:
            await self._queue.create()
        except AzureError as error:
            logger.warning("queue %r cannot be created: %s", self._queue.name, error)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._in_flight.discard(task)
        self._wake.set()

    async def _handle(self, message: QueueMessage) -> None:
        try:
            await self._settle(message)
        except AzureError as error:
            logger.warning(
                "message %s of queue %r was not settled and will be seen again: %s",
                message.id,
                self._queue.name,
                error,
            )

    async def _settle(self, message: QueueMessage) -> None:
        dequeued = int(message.dequeue_count or 0)
        if dequeued > self._options.max_dequeue_count:
            await self._give_up(message, f"dequeued {dequeued} times")
            return
        try:
            body = decode_body(message.content, self._options.message_encoding)
        except ValueError:
            await self._give_up(message, "its text is not base64, as messageEncoding asks")
            return
        lease = _Lease(self._queue, message, visibility=self._polling.visibility)
        async with lease:
            outcome = await self._executor.execute(
                self._function, as_input(body), trigger_metadata(message, body)
            )
        if outcome.failure is None:
            await self._queue.delete(message.id, lease.receipt)
        elif self._poison is None:
            logger.warning("message %s failed in a poison queue and stays hidden for now", message.id)
        elif dequeued >= self._options.max_dequeue_count:
            message.pop_receipt = lease.receipt
            await self._give_up(message, f"failed {dequeued} times")
        else:
            await self._queue.hide(message.id, lease.receipt, seconds=self._options.visibility_timeout)

    async def _give_up(self, message: QueueMessage, reason: str) -> None:
        if self._poison is None:
            return
        logger.warning(
            "message %s moves to queue %r: %s",
            message.id,
            self._poison.name,
            reason,
            extra={"function": self._function.name},
        )
        try:
            await self._poison.send(message.content)
        except ResourceNotFoundError:
            await self._poison.create()
            await self._poison.send(message.content)
        await self._queue.delete(message.id, str(message.pop_receipt))


class _Lease:
    """Keeps one message hidden while its function runs; `receipt` is the one to settle it with."""

    def __init__(self, queue: StorageQueue, message: QueueMessage, *, visibility: float) -> None:
        self._queue = queue
        self._message_id = message.id
        self._visibility = visibility
        self._over = asyncio.Event()
        self._renewal: asyncio.Task[None] | None = None
        self.receipt = str(message.pop_receipt)

    async def __aenter__(self) -> None:
        self._renewal = asyncio.create_task(self._renew())

    async def __aexit__(self, *exception: object) -> None:
        self._over.set()
        if self._renewal is not None:
            await self._renewal

    async def _renew(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._visibility / 2):
                    await self._over.wait()
            except TimeoutError:
                pass
            else:
                return
            try:
                self.receipt = await self._queue.hide(
                    self._message_id, self.receipt, seconds=self._visibility
                )
            except AzureError as error:
                logger.warning("message %s could not be kept hidden: %s", self._message_id, error)
