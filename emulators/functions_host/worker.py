import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import azure_functions_runtime as runtime

from emulators.functions_host import protos
from emulators.functions_host.bindings import Function, read_function
from emulators.functions_host.errors import HostError


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    message: str
    stack_trace: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one invocation came to: its outputs by binding name, or its failure."""

    failure: Failure | None = None
    outputs: Mapping[str, protos.TypedData]


class Worker:
    """Microsoft's Python worker library, driven in this process as Azure's proxy worker drives it.

    The library keeps the indexed app in module globals: one worker, and one app, per process.
    """

    async def load(self, app: Path, settings: Mapping[str, str]) -> tuple[Function, ...]:
        """Import the app and index its functions; a HostError carries the app's own traceback."""
        sys.path.insert(0, str(app))
        runtime.start_threadpool_executor()
        response = await runtime.worker_init_request(
            self._message(worker_init_request=protos.WorkerInitRequest(function_app_directory=str(app)))
        )
        if response.result.status != protos.StatusResult.Success:
            exception = response.result.exception
            raise HostError(f"the app does not import: {exception.message}\n{exception.stack_trace}")
        metadata = (await runtime.functions_metadata_request(self._message())).function_metadata_results
        if not metadata:
            raise HostError(f"no functions found in {app}: is there a function_app.py that registers any?")
        functions = tuple(read_function(item, settings) for item in metadata)
        for function in functions:
            await runtime.function_load_request(
                self._message(
                    function_load_request=protos.FunctionLoadRequest(function_id=function.function_id)
                )
            )
        return functions

    async def invoke(
        self,
        function: Function,
        *,
        invocation_id: str,
        value: protos.TypedData,
        metadata: Mapping[str, protos.TypedData],
        retry: protos.RetryContext | None = None,
    ) -> Outcome:
        """Run the function once; sync functions run in the worker's thread pool."""
        request = protos.InvocationRequest(
            invocation_id=invocation_id,
            function_id=function.function_id,
            input_data=[protos.ParameterBinding(name=function.trigger.name, data=value)],
            trigger_metadata=dict(metadata),
            retry_context=retry or protos.RetryContext(),
        )
        response: protos.InvocationResponse = await runtime.invocation_request(
            self._message(invocation_request=request)
        )
        exception = response.result.exception
        if response.result.status != protos.StatusResult.Success:
            message, trace = (exception.message, exception.stack_trace) if exception else ("failed", "")
            return Outcome(failure=Failure(message=message, stack_trace=trace), outputs={})
        outputs = {item.name: item.data for item in response.output_data if item.data is not None}
        if response.return_value is not None:
            outputs["$return"] = response.return_value
        return Outcome(outputs=outputs)

    def _message(
        self,
        *,
        worker_init_request: protos.WorkerInitRequest | None = None,
        function_load_request: protos.FunctionLoadRequest | None = None,
        invocation_request: protos.InvocationRequest | None = None,
    ) -> SimpleNamespace:
        return SimpleNamespace(
            properties={"protos": protos, "host": "127.0.0.1"},
            request=protos.StreamingMessage(
                worker_init_request=worker_init_request,
                function_load_request=function_load_request,
                invocation_request=invocation_request,
            ),
        )
