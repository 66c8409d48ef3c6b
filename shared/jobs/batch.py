import math
import time
from collections.abc import Callable, Sequence
from typing import Final

from shared.retention.report import Outcome

FLUSH_SECONDS: Final = 1.0
_FLUSH_LINES: Final = 200


class OutcomeBatch:
    """Outcomes on their way to storage: the first at once, the others together, once a second."""

    def __init__(self, record: Callable[[Sequence[Outcome]], object]) -> None:
        self._record = record
        self._waiting: list[Outcome] = []
        self._flushed = -math.inf

    def add(self, outcome: Outcome) -> None:
        self._waiting.append(outcome)

    def flush_if_due(self) -> None:
        full = len(self._waiting) >= _FLUSH_LINES
        if self._waiting and (full or time.monotonic() - self._flushed >= FLUSH_SECONDS):
            self.flush()

    def flush(self) -> None:
        if self._waiting:
            self._record(self._waiting)
            self._waiting = []
        self._flushed = time.monotonic()
