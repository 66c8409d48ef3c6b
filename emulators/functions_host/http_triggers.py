from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from emulators.functions_host import protos
from emulators.functions_host.bindings import Function
from emulators.functions_host.errors import HostError
from emulators.functions_host.executor import Executor
from emulators.functions_host.keys import HostKeys
from emulators.functions_host.routes import RouteTemplate, parse_template
from emulators.functions_host.worker import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpTrigger:
    """One function with its route, its methods (empty: any) and its authorization level."""

    function: Function
    route: RouteTemplate
    methods: frozenset[str]
    level: str


class HttpTriggers:
    """Answers requests with the functions whose routes they match."""

    def __init__(
        self, functions: Sequence[Function], executor: Executor, keys: HostKeys, *, route_prefix: str
    ) -> None:
        self._executor = executor
        self._keys = keys
        triggers = [_read_trigger(function, route_prefix) for function in functions]
        self._triggers = sorted(triggers, key=lambda trigger: trigger.route.precedence)

    async def answer(self, request: Request) -> Response:
        """Return the response of the first matching function: 404 without one, 401 without its key."""
        raw_path = bytes(request.scope["raw_path"]).decode("ascii")
        for trigger in self._triggers:
            parameters = trigger.route.match(raw_path)
            if parameters is None or (trigger.methods and request.method not in trigger.methods):
                continue
            if not self._allows(trigger, request):
                return Response(status_code=401)
            outcome = await self._executor.execute(
                trigger.function, protos.TypedData(http=await _to_rpc(request, parameters))
            )
            return to_response(outcome, trigger.function)
        return Response(status_code=404)

    def _allows(self, trigger: HttpTrigger, request: Request) -> bool:
        match trigger.level:
            case "anonymous":
                return True
            case "function":
                return self._keys.opens(request, self._keys.default)
        return self._keys.opens(request)


def _read_trigger(function: Function, route_prefix: str) -> HttpTrigger:
    binding = function.trigger
    try:
        route = parse_template(route_prefix, binding.text("route", function.name))
    except ValueError as error:
        raise HostError(f"{function.place}: {error}") from error
    return HttpTrigger(
        function=function,
        route=route,
        methods=frozenset(str(method).upper() for method in binding.properties.get("methods") or ()),
        level=binding.text("authLevel", "function").lower(),
    )


async def _to_rpc(request: Request, parameters: Mapping[str, str]) -> protos.RpcHttp:
    query: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        query.setdefault(name, []).append(value)
    return protos.RpcHttp(
        method=request.method,
        url=str(request.url),
        headers=dict(request.headers),
        params=dict(parameters),
        query={name: ",".join(values) for name, values in query.items()},
        body=protos.TypedData(bytes=await request.body()),
    )


def to_response(outcome: Outcome, function: Function) -> Response:
    """Turn one invocation into an HTTP answer: 500 without a body when it failed, as from Azure."""
    if outcome.failure is not None:
        return Response(status_code=500)
    name = next((binding.name for binding in function.outputs if binding.type == "http"), None)
    value = outcome.outputs.get(name or "")
    if value is None:
        return Response(status_code=204)
    if value.kind != "http":
        body = value.value if isinstance(value.value, bytes) else str(value.value).encode()
        return Response(body, media_type="text/plain; charset=utf-8")
    rpc: protos.RpcHttp = value.value
    body = rpc.body.value if rpc.body is not None else b""
    response = Response(body, status_code=int(rpc.status_code), headers=rpc.headers)
    for cookie in rpc.cookies or ():
        _set_cookie(response, cookie)
    return response


def _set_cookie(response: Response, cookie: protos.RpcHttpCookie) -> None:
    response.set_cookie(
        cookie.name,
        cookie.value,
        max_age=int(cookie.max_age.value) if cookie.max_age else None,
        path=cookie.path.value if cookie.path and cookie.path.value else "/",
        domain=cookie.domain.value if cookie.domain and cookie.domain.value else None,
        secure=bool(cookie.secure and cookie.secure.value),
        httponly=bool(cookie.http_only and cookie.http_only.value),
        samesite={1: "lax", 2: "strict", 3: "none"}.get(cookie.same_site),  # type: ignore[arg-type]
    )
