"""How a message came: what the queue knows of it beside its text."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.retention.report import Outcome

_REPLACED: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The how-manieth time a message is delivered, and when it was queued, where that is known."""

    number: int = 1
    queued: datetime | None = None

    def is_worn(self, outcomes: Iterable[Outcome]) -> bool:
        """Tell whether the message is to be replaced by a new one, before the queue gives it up.

        A queue gives up what was delivered five times (``maxDequeueCount``), though every worker that was
        killed on it may have got further. What gets nothing done is still given up.
        """
        queued = self.queued
        if self.number < _REPLACED or queued is None:
            return False
        return any(outcome.at >= queued for outcome in outcomes)


FIRST: Final = Delivery()
