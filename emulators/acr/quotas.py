"""Throttling by SKU, per registry and per identity, as the SKU page of 25 March 2026 describes it.

A bucket is refilled continuously and holds one minute's worth. The request that finds it empty begins a
window of one minute in which everything of that kind is answered 429, with a Retry-After that counts down.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

type Sku = Literal["Basic", "Standard", "Premium"]
type Category = Literal["read", "write", "delete", "referrers", "oauth"]

_STANDARD: dict[Category, tuple[int, int | None]] = {
    "read": (10_000, 5_000),
    "write": (2_000, 1_000),
    "delete": (1_000, 500),
    "referrers": (500, 250),
    "oauth": (10_000, None),
}
_PREMIUM: dict[Category, tuple[int, int | None]] = {
    "read": (20_000, 10_000),
    "write": (4_000, 2_000),
    "delete": (4_000, 2_000),
    "referrers": (2_000, 1_000),
    "oauth": (20_000, None),
}
_CATEGORIES: dict[str, Category] = {
    "GET": "read",
    "HEAD": "read",
    "OPTIONS": "read",
    "PUT": "write",
    "PATCH": "write",
    "POST": "write",
    "DELETE": "delete",
}


@dataclass(slots=True, kw_only=True)
class _Bucket:
    capacity: float
    tokens: float
    filled: float
    blocked_until: float = 0.0

    def level(self, now: float, window: float) -> float:
        """Return how many tokens are there, those of a time in which all is refused included."""
        return min(self.capacity, self.tokens + (now - self.filled) * self.capacity / window)

    def wait(self, now: float, window: float) -> float:
        """Return the seconds until a token may be taken, 0 when one is there."""
        if now < self.blocked_until:
            return self.blocked_until - now
        self.tokens = self.level(now, window)
        self.filled = now
        if self.tokens >= 1:
            return 0.0
        self.blocked_until = now + window
        return window


class Quotas:
    """The buckets of one registry; ``enforced`` and ``scale`` may be changed at any time."""

    def __init__(
        self,
        *,
        sku: Sku,
        enforced: bool,
        clock: Callable[[], datetime],
        scale: float = 1.0,
        window: float = 60.0,
    ) -> None:
        self._limits = _PREMIUM if sku == "Premium" else _STANDARD
        self._clock = clock
        self._window = window
        self._buckets: dict[tuple[Category, str], _Bucket] = {}
        self.enforced = enforced
        self.scale = scale

    def take(self, identity: str | None, *categories: Category) -> int | None:
        """Count a request; when it is one too many, count nothing and return its Retry-After."""
        if not self.enforced:
            return None
        now = self._clock().timestamp()
        buckets = [bucket for category in categories for bucket in self._of(category, identity, now)]
        longest = max((bucket.wait(now, self._window) for bucket in buckets), default=0.0)
        if longest > 0:
            return max(1, math.ceil(longest))
        for bucket in buckets:
            bucket.tokens -= 1
        return None

    def left(self, category: Category, identity: str) -> float:
        """Return how many requests of a category one identity could still make at once."""
        now = self._clock().timestamp()
        return min(bucket.level(now, self._window) for bucket in self._of(category, identity, now))

    def per_second(self, category: Category) -> float:
        """Return the rate that the strictest bucket of a category allows."""
        registry, identity = self._limits[category]
        return (identity or registry) * self.scale / 60

    def _of(self, category: Category, identity: str | None, now: float) -> list[_Bucket]:
        registry, each = self._limits[category]
        found = [self._bucket(category, "", registry, now)]
        if each is not None and identity is not None:
            found.append(self._bucket(category, identity, each, now))
        return found

    def _bucket(self, category: Category, owner: str, limit: int, now: float) -> _Bucket:
        capacity = max(1.0, limit * self.scale)
        bucket = self._buckets.get((category, owner))
        if bucket is None or bucket.capacity != capacity:
            bucket = _Bucket(capacity=capacity, tokens=capacity, filled=now)
            self._buckets[category, owner] = bucket
        return bucket


def categories_of(method: str, path: str) -> tuple[Category, ...]:
    """Return what a request counts as: listing referrers is a read as well."""
    category = _CATEGORIES.get(method, "read")
    if category == "read" and path.startswith("/v2/") and "/referrers/" in path:
        return ("read", "referrers")
    return (category,)
