import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Mapping

from azure.core.exceptions import AzureError

from emulators.functions_host.bindings import Function
from emulators.functions_host.log import RunningInvocation, current, running
from emulators.functions_host.outputs import QueueOutputs
from emulators.functions_host.protos import RetryContext, TypedData
from emulators.functions_host.worker import Failure, Outcome, Worker

logger = logging.getLogger("host.executor")


class Executor:
    """Runs functions to their end: invocation, time limit, output bindings and the log of it."""

    def __init__(self, worker: Worker, outputs: QueueOutputs, *, timeout: float | None) -> None:
        self._worker = worker
        self._outputs = outputs
        self._timeout = timeout
        self._finished: list[Callable[[], None]] = []
        self._in_flight: set[asyncio.Task[Outcome]] = set()

    def on_finished(self, listener: Callable[[], None]) -> None:
        """Call the listener after every invocation: it may have left messages in queues."""
        self._finished.append(listener)

    async def execute(
        self,
        function: Function,
        value: TypedData,
        metadata: Mapping[str, TypedData] | None = None,
        retry: RetryContext | None = None,
    ) -> Outcome:
        """Run the function once; failures of the function or its outputs are in the outcome."""
        task = asyncio.create_task(self._run(function, value, metadata or {}, retry))
        self._in_flight.add(task)
        task.add_done_callback(self._in_flight.discard)
        return await asyncio.shield(task)

    async def drain(self, seconds: float) -> int:
        """Wait for the invocations in flight; return how many did not end in time."""
        if not self._in_flight:
            return 0
        _, pending = await asyncio.wait(self._in_flight, timeout=seconds)
        return len(pending)

    async def _run(
        self,
        function: Function,
        value: TypedData,
        metadata: Mapping[str, TypedData],
        retry: RetryContext | None,
    ) -> Outcome:
        invocation = RunningInvocation(invocation_id=str(uuid.uuid4()), function=function.name)
        running[invocation.invocation_id] = invocation
        current.set(invocation)
        started = time.monotonic()
        logger.info("Executing 'Functions.%s'", function.name)
        try:
            async with asyncio.timeout(self._timeout):
                outcome = await self._worker.invoke(
                    function,
                    invocation_id=invocation.invocation_id,
                    value=value,
                    metadata=metadata,
                    retry=retry,
                )
            if outcome.failure is None:
                await self._outputs.write(function, outcome.outputs)
        except TimeoutError:
            # Azure ends the whole worker process here; a thread of this one cannot be stopped.
            message = f"Timeout value of {self._timeout} s exceeded; its thread is left to itself"
            outcome = Outcome(failure=Failure(message=message), outputs={})
        except AzureError as error:
            message = f"output binding: {type(error).__name__}: {error}"
            outcome = Outcome(failure=Failure(message=message), outputs={})
        finally:
            running.pop(invocation.invocation_id, None)
        self._report(function, outcome, milliseconds=round((time.monotonic() - started) * 1000))
        for listener in self._finished:
            listener()
        return outcome

    def _report(self, function: Function, outcome: Outcome, *, milliseconds: int) -> None:
        fields: dict[str, object] = {"duration_ms": milliseconds}
        if outcome.failure is None:
            logger.info("Executed 'Functions.%s' (Succeeded)", function.name, extra=fields)
            return
        if outcome.failure.stack_trace:
            fields["exception"] = outcome.failure.stack_trace
        logger.error(
            "Executed 'Functions.%s' (Failed): %s", function.name, outcome.failure.message, extra=fields
        )
