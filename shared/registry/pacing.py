"""How fast a registry is asked, for each class of endpoint apart: a bucket, a gate, and manners.

Registries count reads, writes, deletes, referrer listings and sign-ins separately (ACR, "Service tiers:
throttling"), so one class that is out of breath must not hold up the others.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter

from shared.errors import RateLimited
from shared.registry.addresses import Origin, origin_of
from shared.registry.layers import Layer
from shared.registry.wire import retry_after

type EndpointClass = Literal["read", "write", "delete", "referrers", "oauth"]

_FULL_RECOVERY: Final = 60.0
_SLOWEST: Final = 1 / 16
_DEFAULT_PAUSE: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Requests a minute, all of which may come at once after a quiet minute."""

    per_minute: float


type Paces = Mapping[EndpointClass, Pace]

ACR_BASIC_PACES: Final[Paces] = {
    "read": Pace(per_minute=4500),
    "write": Pace(per_minute=900),
    "delete": Pace(per_minute=450),
    "referrers": Pace(per_minute=225),
}
"""Nine tenths of what Basic and Standard registries allow one identity (ACR, "Service tiers: throttling")."""


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


@dataclass(slots=True, kw_only=True)
class _Bucket:
    """A token bucket that shrinks to half on each refusal and grows back within a minute."""

    pace: Pace | None
    clock: Callable[[], float]
    share: float = 1.0
    closed_until: float = 0.0
    tokens: float = 0.0
    at: float = 0.0
    guard: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.at = self.clock()
        self.tokens = 0.0 if self.pace is None else self.pace.per_minute

    def reserve(self, longest: float) -> float:
        """Return the seconds to wait before sending; nothing is taken when that is longer than allowed."""
        with self.guard:
            now = self.clock()
            wait = max(0.0, self.closed_until - now)
            if self.pace is None:
                return wait
            passed, self.at = now - self.at, now
            self.share = min(1.0, self.share + passed / _FULL_RECOVERY)
            rate = self.pace.per_minute / 60 * self.share
            self.tokens = min(self.pace.per_minute * self.share, self.tokens + passed * rate)
            wait = max(wait, (1 - self.tokens) / rate)
            if wait <= longest:
                self.tokens -= 1
            return wait

    def refused(self, pause: float) -> None:
        with self.guard:
            self.closed_until = max(self.closed_until, self.clock() + pause)
            self.share = max(_SLOWEST, self.share / 2)
            self.tokens = min(self.tokens, 0.0)


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
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(inner)
        self._registry = registry
        self._home = home
        self._patience = patience
        self._sleep = sleep
        classes: tuple[EndpointClass, ...] = ("read", "write", "delete", "referrers", "oauth")
        self._buckets = {each: _Bucket(pace=paces.get(each), clock=clock) for each in classes}

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        """Send the request when its class may be asked again."""
        method, url = request.method or "", request.url or ""
        kind = endpoint_class(method, url)
        if kind != "oauth" and origin_of(url) != self._home:
            return self.inner.send(request, *args, **options)
        bucket = self._buckets[kind]
        wait = bucket.reserve(self._patience)
        if wait > self._patience:
            raise RateLimited(
                f"the next {kind} request may be sent in {wait:.0f} s",
                registry=self._registry,
                retry_after=wait,
                method=method,
                status=None,
            )
        if wait > 0:
            self._sleep(wait)
        response = self.inner.send(request, *args, **options)
        if response.status_code == requests.codes.too_many_requests:
            stated = retry_after(response.headers)
            bucket.refused(_DEFAULT_PAUSE if stated is None else stated)
        return response
