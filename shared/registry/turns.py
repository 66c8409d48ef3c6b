"""When the next request of one kind may be sent: a pace that finds out by itself what a registry allows.

The pace rises while turns are waited for, and a refusal halves it. How far it has risen depends on nothing
but the time since the refusal (as in CUBIC, RFC 9438): instances that share a quota are refused within the
same minute and then rise alike, so that their shares become equal though none knows of the others. The cube
of that time is slow at first, where the quota probably is, and fast when there is much more to be had.

Halving wastes nothing: Azure's registries go on filling the bucket of whom they refuse for a minute
("Service tiers: throttling"), and a full bucket serves a pace above the quota for a while.
"""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_RISE: Final = 75.0
"""Seconds of waiting in which the pace rises by the pace it began with; in twice that by eight times it."""

_BURST: Final = 10.0
"""Seconds' worth of turns that may be taken at once after a quiet time: four instances spare each other."""

_SLOWEST: Final = 1 / 16
_DEFAULT_PAUSE: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A turn to send one request, in ``wait`` seconds; a refusal in the meantime makes it void."""

    wait: float
    era: int


class Turns:
    """Gives out turns at a pace that adapts; without a pace to begin with, only refusals hold anyone up."""

    def __init__(
        self,
        *,
        per_minute: float | None,
        clock: Callable[[], float] = time.monotonic,
        spread: Callable[[], float] = random.random,
    ) -> None:
        self._clock = clock
        self._spread = spread
        self._guard = threading.Lock()
        self._start = 0.0 if per_minute is None else per_minute / 60
        self._base = self._start
        self._waited = 0.0
        self._tokens = max(1.0, self._start * _BURST)
        self._filled = clock()
        self._opens = self._filled
        self._era = 0

    @property
    def per_minute(self) -> float:
        """The present pace; 0 where none was given."""
        return self._rate * 60

    @property
    def _rate(self) -> float:
        return self._base + self._start * (self._waited / _RISE) ** 3

    def take(self, longest: float) -> Turn:
        """Return the next turn; it is not taken, only told, when it is further away than ``longest``."""
        with self._guard:
            now = self._clock()
            wait = max(0.0, self._opens - now)
            if self._start:
                wait = max(wait, self._until_next(now))
            if wait <= longest:
                self._tokens -= 1
            return Turn(wait=wait, era=self._era)

    def _until_next(self, now: float) -> float:
        passed = max(0.0, now - self._filled)
        self._tokens = min(max(1.0, self._rate * _BURST), self._tokens + self._rate * passed)
        self._filled += passed
        if self._tokens < 1:
            self._waited += passed
        return self._filled - now + (1 - self._tokens) / self._rate

    def stands(self, turn: Turn) -> bool:
        """Tell whether no refusal came since the turn was given."""
        return turn.era == self._era

    def refused(self, turn: Turn, retry_after: float | None) -> None:
        """Close the gate for as long as the registry says, and halve the pace.

        The latest word on how long counts, because Azure's ``Retry-After`` counts down. What was under way
        together and is refused together halves the pace once. Afterwards turns begin anew, at a random
        moment within one of them, so that instances that were refused together do not come back in step.
        """
        with self._guard:
            now = self._clock()
            if retry_after is None:
                self._opens = max(self._opens, now + _DEFAULT_PAUSE)
            else:
                self._opens = now + retry_after
            if turn.era == self._era:
                self._era += 1
                self._base = max(self._rate / 2, self._start * _SLOWEST)
                self._waited = 0.0
                self._tokens = -self._spread()
            self._filled = self._opens
