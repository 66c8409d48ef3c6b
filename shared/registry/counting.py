"""Counting what one piece of work asks of registries, while others work at the same time.

The work opens a tally, and what its threads send is counted there: a client is shared by all messages that an
instance works on, so the difference between two readings of one counter would be everybody's.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

import requests
from requests.adapters import BaseAdapter

from shared.registry.addresses import Origin, origin_of
from shared.registry.layers import Layer
from shared.registry.pacing import endpoint_class
from shared.retention.traffic import Traffic

_ELSEWHERE: Final = "elsewhere"


class Tally:
    """Counts requests, refusals and waits; safe to share between threads."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._requests: Counter[str] = Counter()
        self._throttled = 0
        self._waited = 0.0

    @property
    def traffic(self) -> Traffic:
        """Return what was counted so far."""
        with self._guard:
            return Traffic(requests=dict(self._requests), throttled=self._throttled, waited=self._waited)

    def sent(self, kind: str) -> None:
        """Count a request."""
        with self._guard:
            self._requests[kind] += 1

    def refused(self) -> None:
        """Count an answer that says that there are too many requests."""
        with self._guard:
            self._throttled += 1

    def waited(self, seconds: float) -> None:
        """Count time that was spent on waiting."""
        with self._guard:
            self._waited += seconds


_current: ContextVar[Tally | None] = ContextVar("tally", default=None)


@contextmanager
def counted() -> Iterator[Tally]:
    """Count what is sent while this is open, by this thread and by those of its worker pools."""
    tally = Tally()
    token = _current.set(tally)
    try:
        yield tally
    finally:
        _current.reset(token)


def worker_pool(threads: int, name: str) -> ThreadPoolExecutor:
    """Return a pool whose threads count for whoever opens it."""
    return ThreadPoolExecutor(
        threads, thread_name_prefix=name, initializer=_current.set, initargs=(_current.get(),)
    )


def sleep_counted(seconds: float) -> None:
    """Sleep, and count it as waiting for a registry."""
    time.sleep(seconds)
    tally = _current.get()
    if tally is not None:
        tally.waited(seconds)


class Counting(Layer):
    """Counts every try of a request, in the class in which the registry counts it."""

    def __init__(self, inner: BaseAdapter, *, home: Origin) -> None:
        super().__init__(inner)
        self._home = home

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        """Send the request, counted."""
        tally = _current.get()
        if tally is None:
            return self.inner.send(request, *args, **options)
        url = request.url or ""
        kind = endpoint_class(request.method or "", url)
        tally.sent(kind if kind == "oauth" or origin_of(url) == self._home else _ELSEWHERE)
        response = self.inner.send(request, *args, **options)
        if response.status_code == requests.codes.too_many_requests:
            tally.refused()
        return response
