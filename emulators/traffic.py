"""What reached an emulator (`Traffic`) and what is made to go wrong on the way (`Faults`).

    edge = Edge(app, traffic=Traffic(), faults=Faults(), latency=0.0)     # an ASGI app
    edge.faults.inject(method="PUT", path=r"/v2/.*/manifests/.*", nth=2, status=503)
    edge.traffic.count("GET", r"/v2/.*")

A request passes, in this order: recording, latency, faults, app.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emulators.server import CONNECTION

_RECORDED_HEADERS = frozenset(
    {
        "accept",
        "content-length",
        "content-range",
        "content-type",
        "if-match",
        "range",
        "retry-after",
        "user-agent",
        "x-meta-source-client",
        "x-ms-client-request-id",
    }
)
_CUT = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRequest:
    """One request and the status it was answered with; 0 when the connection was cut unanswered."""

    method: str
    path: str
    """Percent-decoded."""
    query: str
    status: int
    authorized: bool
    """An Authorization header was sent, whatever it was worth."""
    headers: Mapping[str, str]
    """Harmless request headers, names in lower case."""


class Traffic:
    """Remembers the latest requests in order of their answers; safe to read from any thread."""

    def __init__(self, *, limit: int = 100_000) -> None:
        self._requests: deque[RecordedRequest] = deque(maxlen=limit)
        self._lock = threading.Lock()

    @property
    def requests(self) -> list[RecordedRequest]:
        """A snapshot; a request is in it before its client sees the answer."""
        with self._lock:
            return list(self._requests)

    def record(self, request: RecordedRequest) -> None:
        with self._lock:
            self._requests.append(request)

    def clear(self) -> None:
        with self._lock:
            self._requests.clear()

    def count(
        self, method: str | None = None, path_regex: str | None = None, *, status: int | None = None
    ) -> int:
        """How many requests match; the expression must match the whole decoded path."""
        pattern = None if path_regex is None else re.compile(path_regex)
        return sum(
            (method is None or request.method == method)
            and (pattern is None or pattern.fullmatch(request.path) is not None)
            and (status is None or request.status == status)
            for request in self.requests
        )


@dataclass(slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong; ``fired`` counts how often it did."""

    method: str | None
    path: re.Pattern[str] | None
    query: re.Pattern[str] | None
    first: int
    times: int | None
    status: int | None
    headers: Mapping[str, str]
    body: bytes
    delay: float
    cut: bool
    unanswered: bool
    cut_after: int | None
    corrupt: bool
    seen: int = field(default=0, init=False)
    fired: int = field(default=0, init=False)

    def matches(self, method: str, path: str, query: str) -> bool:
        return (
            (self.method is None or self.method == method)
            and (self.path is None or self.path.fullmatch(path) is not None)
            and (self.query is None or self.query.search(query) is not None)
        )

    def take(self) -> bool:
        """Count one matching request; true when the fault strikes it."""
        self.seen += 1
        if self.seen < self.first or (self.times is not None and self.fired >= self.times):
            return False
        self.fired += 1
        return True


class Faults:
    """A list of faults; the first that strikes a request decides its fate."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def inject(
        self,
        *,
        method: str | None = None,
        path: str | None = None,
        query: str | None = None,
        nth: int | None = None,
        after: int | None = None,
        times: int | None = 1,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | str | None = None,
        delay: float = 0.0,
        cut: bool = False,
        unanswered: bool = False,
        cut_after: int | None = None,
        corrupt: bool = False,
    ) -> Fault:
        """Strike requests whose method, whole decoded path and query (searched) match.

        The fault begins with the ``nth`` match, or when ``after`` matches have passed unharmed, and strikes
        ``times`` requests (None: for ever). With ``status`` it answers by itself; ``cut`` closes the
        connection instead of an answer, and ``unanswered`` does so when the request has been carried out;
        ``cut_after`` lets so many bytes of the body through first; ``corrupt`` flips the bits of the body;
        ``delay`` seconds pass before anything else.
        """
        if nth is not None and after is not None:
            raise ValueError("a fault begins by nth or by after, not by both")
        first = nth if nth is not None else (after or 0) + 1
        fault = Fault(
            method=method,
            path=None if path is None else re.compile(path),
            query=None if query is None else re.compile(query),
            first=first,
            times=times,
            status=status,
            headers=dict(headers or {}),
            body=body.encode() if isinstance(body, str) else body or b"",
            delay=delay,
            cut=cut,
            unanswered=unanswered,
            cut_after=cut_after,
            corrupt=corrupt,
        )
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def strike(self, method: str, path: str, query: str) -> Fault | None:
        """Return the fault that strikes this request, if any."""
        if not self._faults:
            return None
        with self._lock:
            for fault in self._faults:
                if fault.matches(method, path, query) and fault.take():
                    return fault
        return None


class Edge:
    """Wraps an ASGI app: records every request, then lets latency and faults have their way with it."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        traffic: Traffic | None = None,
        faults: Faults | None = None,
        latency: float = 0.0,
    ) -> None:
        self.app = app
        self.traffic = traffic if traffic is not None else Traffic()
        self.faults = faults if faults is not None else Faults()
        self.latency = latency

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        method, path = scope["method"], scope["path"]
        query = scope["query_string"].decode("latin-1")

        async def recording_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._record(scope, message["status"])
            await send(message)

        if self.latency:
            await asyncio.sleep(self.latency)
        fault = self.faults.strike(method, path, query)
        if fault is None:
            await self.app(scope, receive, recording_send)
        else:
            await self._suffer(fault, scope, receive, recording_send)

    async def _suffer(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        if fault.delay:
            await asyncio.sleep(fault.delay)
        if fault.cut or fault.unanswered:
            if fault.unanswered:
                await self.app(scope, receive, _nowhere)
            self._record(scope, _CUT)
            _transport(scope).abort()
            await _disconnection(receive)
        elif fault.cut_after is not None:
            await self._cut_after(fault, scope, receive, send)
        elif fault.status is not None:
            await _answer(fault, fault.status, send)
        elif fault.corrupt:
            await self.app(scope, receive, _corrupting(send))
        else:
            await self.app(scope, receive, send)

    async def _cut_after(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        left = fault.cut_after or 0
        cut = False

        async def cutting_send(message: Message) -> None:
            nonlocal left, cut
            if cut:
                return
            if message["type"] == "http.response.body":
                body = bytes(message.get("body", b""))
                cut = len(body) > left or not message.get("more_body", False)
                message = {**message, "body": body[:left], "more_body": True}
                left -= len(message["body"])
            await send(message)
            if cut:
                _transport(scope).close()

        if fault.status is not None:
            await _answer(fault, fault.status, cutting_send)
        else:
            await self.app(scope, receive, cutting_send)
        await _disconnection(receive)

    def _record(self, scope: Scope, status: int) -> None:
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        names = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
        self.traffic.record(
            RecordedRequest(
                method=scope["method"],
                path=scope["path"],
                query=scope["query_string"].decode("latin-1"),
                status=status,
                authorized="authorization" in names,
                headers={name: value for name, value in names.items() if name in _RECORDED_HEADERS},
            )
        )


async def _answer(fault: Fault, status: int, send: Send) -> None:
    headers = {"content-type": "application/json; charset=utf-8", "content-length": str(len(fault.body))}
    headers |= {name.lower(): value for name, value in fault.headers.items()}
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": fault.body})


async def _nowhere(message: Message) -> None:
    del message


def _corrupting(send: Send) -> Send:
    async def corrupting_send(message: Message) -> None:
        if message["type"] == "http.response.body" and message.get("body"):
            message = {**message, "body": bytes(byte ^ 0xFF for byte in bytes(message["body"]))}
        await send(message)

    return corrupting_send


def _transport(scope: Scope) -> Any:
    return scope["extensions"][CONNECTION]["transport"]


async def _disconnection(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
