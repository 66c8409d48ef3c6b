"""The three limiters of Docker Hub: of the API, of pulls, and of abuse.

They answer in three different forms, and a client has to understand each of them.
"""

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send


@dataclass(frozen=True, kw_only=True, slots=True)
class Allowance:
    """What one request finds in its window."""

    allowed: bool
    limit: int
    remaining: int
    resets_at: datetime
    refused: int


@dataclass(slots=True)
class _Window:
    ends: datetime
    used: int = 0
    refused: int = 0


class FixedWindows:
    """Counts requests of each key in windows that open at a key's first request."""

    def __init__(self, *, limit: int, length: timedelta, clock: Callable[[], datetime]) -> None:
        self.limit = limit
        self.length = length
        self._clock = clock
        self._windows: dict[str, _Window] = {}
        self._guard = threading.Lock()

    def take(self, key: str) -> Allowance:
        """Spend one request of the key's window, if one is left."""
        with self._guard:
            window = self._current(key)
            allowed = window.used < self.limit
            if allowed:
                window.used += 1
            else:
                window.refused += 1
            return self._allowance(window, allowed=allowed)

    def look(self, key: str) -> Allowance:
        """Look at the key's window without spending."""
        with self._guard:
            window = self._current(key)
            return self._allowance(window, allowed=window.used < self.limit)

    def _current(self, key: str) -> _Window:
        now = self._clock()
        window = self._windows.get(key)
        if window is None or window.ends <= now:
            window = self._windows[key] = _Window(ends=now + self.length)
        return window

    def _allowance(self, window: _Window, *, allowed: bool) -> Allowance:
        return Allowance(
            allowed=allowed,
            limit=self.limit,
            remaining=self.limit - window.used,
            resets_at=window.ends,
            refused=window.refused,
        )


def client_address(scope: Scope) -> str:
    """Return the address that limits by IP count against."""
    client = scope.get("client")
    return str(client[0]) if client else "unknown"


class ApiLimit:
    """Limits the Hub API: X-RateLimit-* on each answer, and X-Retry-After as a *unix time* on 429."""

    def __init__(self, app: ASGIApp, *, windows: FixedWindows) -> None:
        self._app = app
        self._windows = windows

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        allowance = self._windows.take(client_address(scope))
        reset = str(math.ceil(allowance.resets_at.timestamp()))
        headers = {
            "X-RateLimit-Limit": str(allowance.limit),
            "X-RateLimit-Remaining": str(allowance.remaining),
            "X-RateLimit-Reset": reset,
        }
        if not allowance.allowed:
            refusal = JSONResponse(
                {"detail": "Rate limit exceeded", "error": False},
                status_code=429,
                headers={**headers, "X-Retry-After": reset},
            )
            await refusal(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(headers)
            await send(message)

        await self._app(scope, receive, send_with_headers)


class AbuseLimit:
    """Limits an address over all hosts together: 429 in plain text with Retry-After in seconds.

    The second refusal of a window has an empty body: JSON parsers of clients have stumbled over
    both forms (docker/hub-feedback#1907, moby/moby#34267).
    """

    def __init__(self, app: ASGIApp, *, windows: FixedWindows, clock: Callable[[], datetime]) -> None:
        self._app = app
        self._windows = windows
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            allowance = self._windows.take(client_address(scope))
            if not allowance.allowed:
                await self._refusal(allowance)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refusal(self, allowance: Allowance) -> Response:
        wait = (allowance.resets_at - self._clock()).total_seconds()
        empty_bodied_refusal = 2
        body = "" if allowance.refused == empty_bodied_refusal else "Too Many Requests (HAP429).\n"
        return PlainTextResponse(body, status_code=429, headers={"Retry-After": str(max(1, math.ceil(wait)))})
