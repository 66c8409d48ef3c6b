"""The app's HTTP functions, called in this process by method and path, as the host would."""

import json
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import azure.functions as func

from emulators.functions_host.routes import parse_template
from function_app import app


@dataclass(frozen=True, slots=True)
class Door:
    """One HTTP function."""

    name: str
    template: str
    route: Any
    methods: frozenset[str]
    level: str
    call: Any


@cache
def doors() -> list[Door]:
    """Return the HTTP functions, the most specific routes first."""
    app.functions_bindings = None  # an app refuses to be indexed twice, and other tests index it, too
    found = []
    for each in app.get_functions():
        trigger = each.get_trigger()
        if trigger is not None and trigger.type == "httpTrigger":
            binding = trigger.get_dict_repr()
            methods = frozenset(getattr(method, "name", str(method)) for method in binding["methods"])
            level = getattr(binding["authLevel"], "name", str(binding["authLevel"]))
            template = binding["route"]
            route = parse_template("api", template)
            found.append(
                Door(
                    each.get_function_name() or "", template, route, methods, level, each.get_user_function()
                )
            )
    app.functions_bindings = None
    return sorted(found, key=lambda door: door.route.precedence)


class Doors:
    """Calls them; keys are the host's business and not looked at."""

    def __init__(self) -> None:
        self._doors = doors()

    def get(self, path: str) -> func.HttpResponse:
        return self.send("GET", path)

    def json(self, path: str) -> dict[str, Any]:
        answer = self.get(path)
        assert answer.status_code == 200, answer.get_body()
        found: dict[str, Any] = json.loads(answer.get_body())
        return found

    def post(self, path: str, body: object, content_type: str = "application/json") -> func.HttpResponse:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.send("POST", path, content, {"content-type": content_type})

    def send(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> func.HttpResponse:
        address = urlsplit(path)
        for door in self._doors:
            parameters = door.route.match(f"/api/{address.path}")
            if parameters is not None and method in door.methods:
                request = func.HttpRequest(
                    method=method,
                    url=f"http://app/api/{path}",
                    headers=headers or {},
                    params=dict(parse_qsl(address.query)),
                    route_params=parameters,
                    body=body,
                )
                answer: func.HttpResponse = door.call(request)
                return answer
        raise LookupError(f"{method} {path}")


def problem(answer: func.HttpResponse) -> dict[str, Any]:
    """Return the problem details that the answer holds."""
    assert answer.mimetype == "application/problem+json"
    found: dict[str, Any] = json.loads(answer.get_body())
    assert found["status"] == answer.status_code
    return found
