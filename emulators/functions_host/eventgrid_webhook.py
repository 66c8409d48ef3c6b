import asyncio
import json
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from emulators.functions_host.bindings import Function
from emulators.functions_host.executor import Executor
from emulators.functions_host.keys import HostKeys
from emulators.functions_host.protos import TypedData

PATH = "/runtime/webhooks/eventgrid"


class EventGridWebhook:
    """The endpoint through which Event Grid reaches Event Grid triggers, as its host extension answers.

    202 when every event of a delivery succeeded, 500 when one failed (the whole delivery comes
    again), 404 for a function that is not there, 400 for what is not a delivery.
    """

    def __init__(self, functions: Mapping[str, Function], executor: Executor, keys: HostKeys) -> None:
        self._functions = {name.lower(): function for name, function in functions.items()}
        self._executor = executor
        self._keys = keys

    async def answer(self, request: Request) -> Response:
        if not self._keys.opens(request, self._keys.event_grid):
            return Response(status_code=401)
        name = request.query_params.get("functionName", "")
        function = self._functions.get(name.lower())
        if function is None:
            return Response(f"cannot find function: '{name}'", status_code=404)
        if request.method == "OPTIONS":
            origin = request.headers.get("webhook-request-origin")
            return Response(headers={"Webhook-Allowed-Origin": origin} if origin else None)
        return await self._receive(function, request)

    async def _receive(self, function: Function, request: Request) -> Response:
        match request.headers.get("aeg-event-type", "").lower():
            case "subscriptionvalidation":
                return _echo_validation(await request.body())
            case "notification":
                return await self._dispatch(function, await request.body())
            case "unsubscribe":
                return Response(status_code=202)
        return Response(status_code=400)

    async def _dispatch(self, function: Function, body: bytes) -> Response:
        events = _events(body)
        if events is None:
            return Response("the body is neither an event nor an array of events", status_code=400)
        outcomes = await asyncio.gather(
            *(self._executor.execute(function, TypedData(json=json.dumps(event))) for event in events)
        )
        failed = any(outcome.failure is not None for outcome in outcomes)
        return Response(status_code=500 if failed else 202)


def _events(body: bytes) -> list[dict[str, Any]] | None:
    try:
        document = json.loads(body)
    except ValueError:
        return None
    events = document if isinstance(document, list) else [document]
    return events if all(isinstance(event, dict) for event in events) else None


def _echo_validation(body: bytes) -> Response:
    for event in _events(body) or ():
        code = event.get("data", {}).get("validationCode")
        if code:
            return JSONResponse({"validationResponse": code})
    return Response(status_code=400)
