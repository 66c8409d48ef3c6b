"""How fast a registry is asked, for each class of endpoint apart: a pace that adapts, a gate, and manners.

Registries count reads, writes, deletes, referrer listings and sign-ins separately (ACR, "Service tiers:
throttling"), so one class that is out of breath must not hold up the others.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter

from shared.errors import RateLimited
from shared.registry.addresses import Origin, origin_of
from shared.registry.layers import Layer
from shared.registry.turns import Turn, Turns
from shared.registry.wire import retry_after

type EndpointClass = Literal["read", "write", "delete", "referrers", "oauth"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Requests a minute to begin with; what the registry allows is found out from there."""

    per_minute: float


type Paces = Mapping[EndpointClass, Pace]

ACR_BASIC_PACES: Final[Paces] = {
    "read": Pace(per_minute=4500),
    "write": Pace(per_minute=900),
    "delete": Pace(per_minute=450),
    "referrers": Pace(per_minute=225),
}
"""Nine tenths of what Basic and Standard registries allow one identity (ACR, "Service tiers: throttling").

That is where it is safe to begin; a Premium registry's four times as much is reached within two minutes.
"""


def endpoint_class(method: str, url: str) -> EndpointClass:
    """Return the class that a registry counts the request in."""
    path = urlsplit(url).path
    if path == "/v2/auth/token" or (not path.startswith("/v2/") and path.endswith(("/token", "/exchange"))):
        return "oauth"
    if method == "DELETE":
        return "delete"
    if method in {"PUT", "PATCH", "POST"}:
        return "write"
    return "referrers" if "/referrers/" in path else "read"


class Pacing(Layer):
    """Waits for a turn before each request to the registry, and closes the gate for all after a 429.

    A turn that is further away than the patience is not waited for: it is reported as the rate limit
    that it is, so that the queue can wait instead of a worker.
    """

    def __init__(
        self,
        inner: BaseAdapter,
        *,
        registry: str,
        home: Origin,
        paces: Paces,
        patience: float,
        delete_patience: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(inner)
        self._registry = registry
        self._home = home
        self._patience = patience
        self._delete_patience = patience if delete_patience is None else min(patience, delete_patience)
        self._sleep = sleep
        classes: tuple[EndpointClass, ...] = ("read", "write", "delete", "referrers", "oauth")
        self._turns: dict[EndpointClass, Turns] = {}
        for each in classes:
            pace = paces.get(each)
            self._turns[each] = Turns(per_minute=None if pace is None else pace.per_minute, clock=clock)

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        """Send the request when its class may be asked again."""
        method, url = request.method or "", request.url or ""
        kind = endpoint_class(method, url)
        if kind != "oauth" and origin_of(url) != self._home:
            return self.inner.send(request, *args, **options)
        turn = self._await_turn(kind, method)
        response = self.inner.send(request, *args, **options)
        if response.status_code == requests.codes.too_many_requests:
            self._turns[kind].refused(turn, retry_after(response.headers))
        return response

    def _await_turn(self, kind: EndpointClass, method: str) -> Turn:
        """Wait for a turn, and for another one when a refusal came in the meantime."""
        turns, left = self._turns[kind], self._delete_patience if kind == "delete" else self._patience
        while True:
            turn = turns.take(left)
            if turn.wait > left:
                raise RateLimited(
                    f"the next {kind} request may be sent in {turn.wait:.0f} s",
                    registry=self._registry,
                    retry_after=turn.wait,
                    method=method,
                    status=None,
                )
            if turn.wait > 0:
                self._sleep(turn.wait)
            if turns.stands(turn):
                return turn
            left -= turn.wait
