"""Work that stops before its end, and goes on in a later invocation."""

from dataclasses import dataclass
from typing import Final

from shared.errors import RateLimited

_LONG_ENOUGH: Final = 60.0
"""How many seconds to wait when a registry does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Why work stopped before its end, and how long to wait, in seconds, before it goes on.

    ``outage`` means that the registry did not answer, and did not say when it will.
    """

    reason: str
    delay: float = 0.0
    outage: bool = False


def pause_of(error: RateLimited) -> Pause:
    """Return the pause that the registry asks for."""
    return Pause(reason=str(error), delay=error.retry_after or _LONG_ENOUGH)


def outage_pause(detail: str) -> Pause:
    """Return the pause that leaves a registry time to come back."""
    return Pause(reason=f"the registry does not answer: {detail}", delay=_LONG_ENOUGH, outage=True)
