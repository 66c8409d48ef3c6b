"""Index an app as Azure's worker does, and print each function with its bindings as JSON.

Run by the clean environment's interpreter: ``python indexing.py APP PROTOS``. The worker's library comes from
PYTHONPATH, as the platform's own comes from beside the app.
"""

import asyncio
import importlib.util
import json
import sys
from types import SimpleNamespace
from typing import Any


def load(path: str) -> Any:
    spec = importlib.util.spec_from_file_location("protos", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["protos"] = module
    spec.loader.exec_module(module)
    return module


async def index(app: str, protos: Any) -> dict[str, list[dict[str, Any]]]:
    sys.path.insert(0, app)
    import azure_functions_runtime as runtime  # noqa: PLC0415 (found where PYTHONPATH says)

    def message(**request: Any) -> SimpleNamespace:
        return SimpleNamespace(
            properties={"protos": protos, "host": "127.0.0.1"}, request=protos.StreamingMessage(**request)
        )

    runtime.start_threadpool_executor()
    started = protos.WorkerInitRequest(function_app_directory=app)
    answer = await runtime.worker_init_request(message(worker_init_request=started))
    if answer.result.status != protos.StatusResult.Success:
        sys.exit(f"{answer.result.exception.message}\n{answer.result.exception.stack_trace}")
    found = await runtime.functions_metadata_request(message())
    return {
        item.name: [json.loads(binding) for binding in item.raw_bindings]
        for item in found.function_metadata_results
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(index(sys.argv[1], load(sys.argv[2])))))
