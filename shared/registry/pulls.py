"""How many pulls a registry says are left: Docker Hub limits them per six hours.

Answers about manifests carry it, to HEAD as to GET, as ``ratelimit-remaining: 76;w=21600``, and carry nothing
where there is no limit. Only a GET is a pull (Docker Docs, "Docker Hub pull usage and limits").
"""

import logging
import re
import time
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from shared.logs import log

logger = logging.getLogger("steward.pulls")

_COUNT: Final = re.compile(r"\s*(\d{1,9})\s*(?:;\s*w=(\d{1,9})\s*)?")
_WINDOW: Final = 6 * 3600.0
_FEW: Final = 10
"""One in so many of the limit is worth a word when no more are left."""


class _Seen(NamedTuple):
    at: float
    remaining: int
    limit: int
    window: float


class Pulls:
    """What one registry said last of its limit; safe to share between threads."""

    def __init__(self, registry: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._registry = registry
        self._clock = clock
        self._seen: _Seen | None = None

    @property
    def remaining(self) -> int | None:
        """Return how many pulls are left; ``None`` without a limit, and when it was said too long ago."""
        seen = self._seen
        return None if seen is None or self._clock() - seen.at > seen.window else seen.remaining

    def note(self, headers: Mapping[str, str]) -> None:
        """Take what an answer about a manifest says."""
        remaining = _COUNT.fullmatch(headers.get("ratelimit-remaining", ""))
        limit = _COUNT.fullmatch(headers.get("ratelimit-limit", ""))
        before = self._seen
        if remaining is None:
            self._seen = None
            return
        window = float(remaining[2]) if remaining[2] else _WINDOW
        seen = _Seen(self._clock(), int(remaining[1]), int(limit[1]) if limit else 0, window)
        self._seen = seen
        if _is_low(seen) and (before is None or not _is_low(before)):
            log(logger, "few pulls are left", self.log_fields(), level=logging.WARNING)

    def shortage(self, reserve: int) -> str | None:
        """Return why no more should be pulled for now, ``None`` as long as more than the reserve is left."""
        seen, left = self._seen, self.remaining
        if seen is None or left is None or left > reserve:
            return None
        return (
            f"{left} of {seen.limit} pulls in {seen.window / 3600:g} hours are left, and {reserve} are kept "
            "for others"
        )

    def log_fields(self) -> dict[str, object]:
        """Return the fields of a structured log line."""
        seen = self._seen
        if seen is None:
            return {"registry": self._registry}
        return {
            "registry": self._registry,
            "remaining": seen.remaining,
            "limit": seen.limit,
            "window_seconds": seen.window,
        }


def _is_low(seen: _Seen) -> bool:
    return seen.remaining * _FEW <= seen.limit
