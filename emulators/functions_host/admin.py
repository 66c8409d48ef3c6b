import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from emulators.functions_host.bindings import Function
from emulators.functions_host.keys import SYSTEM_KEY, HostKeys

type Fire = Callable[[Function, str], Awaitable[None]]


class AdminApi:
    """The `/admin` endpoints of the host that tools and tests use; all but ping want the master key."""

    def __init__(self, functions: Sequence[Function], keys: HostKeys, fire: Fire) -> None:
        self._functions = {function.name.lower(): function for function in functions}
        self._keys = keys
        self._fire = fire
        self._started = time.monotonic()
        self._fired: set[asyncio.Task[None]] = set()

    def routes(self) -> list[Route]:
        return [
            Route("/admin/host/ping", self._ping, methods=["GET", "POST"]),
            Route("/admin/host/status", self._guarded(self._status)),
            Route("/admin/host/systemkeys/{name}", self._guarded(self._system_key)),
            Route("/admin/functions", self._guarded(self._list)),
            Route("/admin/functions/{name}", self._guarded(self._one), methods=["GET"]),
            Route("/admin/functions/{name}", self._guarded(self._run), methods=["POST"]),
        ]

    def _guarded(
        self, endpoint: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def guarded(request: Request) -> Response:
            if not self._keys.opens(request):
                return Response(status_code=401)
            return await endpoint(request)

        return guarded

    async def _ping(self, _request: Request) -> Response:
        return Response()

    async def _status(self, _request: Request) -> Response:
        uptime = round((time.monotonic() - self._started) * 1000)
        return JSONResponse(
            {"id": "development", "state": "Running", "version": "4.0-development", "processUptime": uptime}
        )

    async def _system_key(self, request: Request) -> Response:
        if request.path_params["name"] != SYSTEM_KEY:
            return Response(status_code=404)
        return JSONResponse({"name": SYSTEM_KEY, "value": self._keys.event_grid})

    async def _list(self, request: Request) -> Response:
        return JSONResponse([_describe(function, request) for function in self._functions.values()])

    async def _one(self, request: Request) -> Response:
        function = self._functions.get(request.path_params["name"].lower())
        return JSONResponse(_describe(function, request)) if function else Response(status_code=404)

    async def _run(self, request: Request) -> Response:
        """Start any but an HTTP function with the input of the body; answer before it ends."""
        function = self._functions.get(request.path_params["name"].lower())
        if function is None:
            return Response(status_code=404)
        if function.trigger.type == "httpTrigger":
            return Response("call an HTTP function by its route", status_code=400)
        given = _input(await request.body())
        if given is None:
            return Response('the body must be JSON such as {"input": "text"}', status_code=400)
        task = asyncio.ensure_future(self._fire(function, given))
        self._fired.add(task)
        task.add_done_callback(self._fired.discard)
        return Response(status_code=202)


def _input(body: bytes) -> str | None:
    try:
        document = json.loads(body) if body else {}
    except ValueError:
        return None
    if not isinstance(document, dict):
        return None
    given = document.get("input") or ""
    return given if isinstance(given, str) else json.dumps(given)


def _describe(function: Function, request: Request) -> dict[str, Any]:
    bindings = [function.trigger, *function.outputs]
    return {
        "name": function.name,
        "language": "python",
        "isDisabled": False,
        "href": f"{request.base_url}admin/functions/{function.name}",
        "config": {"bindings": [dict(binding.properties) for binding in bindings]},
    }
