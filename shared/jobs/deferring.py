"""Waits that are too long for a function: the message goes back to its queue and comes again later."""

import base64
import random
from datetime import datetime
from typing import Any, Final

from shared.errors import (
    AuthenticationFailed,
    CopyFailed,
    DigestMismatch,
    ProtocolViolation,
    RateLimited,
    StewardError,
)

MOST_DEFERRALS: Final = 12
"""After so many waits a message is given up: with the waits doubling, that is more than half a day."""

_DOUBTS: Final = 2
_FIRST: Final = 15.0
_LONGEST: Final = 2 * 3600.0
_SPREAD: Final = 0.1


def wait_of(error: StewardError, *, deferrals: int) -> float | None:
    """Return in how many seconds what failed may be tried again, ``None`` when waiting does not help.

    What the registry says is obeyed; where it keeps asking for patience, each wait is at least twice the
    one before. A little is added, so that a thousand deferred messages do not come back at once.

    A refused credential is one of these cases: it is not sent again for a while, so that nobody is locked
    out, and whoever mends the setting finds the work still there. An answer that nobody can read
    may be some proxy's, and a fresh token that is refused may be too fresh, as rights may be: these are
    doubted twice. Wrong bytes were read twice already.
    """
    cause = error.cause if isinstance(error, CopyFailed) else error
    match cause:
        case RateLimited():
            stated = cause.retry_after or 0.0
        case AuthenticationFailed() if cause.retry_after is not None:
            stated = cause.retry_after
        case AuthenticationFailed() if deferrals < _DOUBTS:
            stated = 0.0
        case ProtocolViolation() if deferrals < _DOUBTS and not isinstance(cause, DigestMismatch):
            stated = 0.0
        case _:
            return None
    wait = max(stated, min(_LONGEST, _FIRST * 2.0**deferrals))
    return wait + random.uniform(0, wait * _SPREAD)  # noqa: S311 - spreads load, guards nothing


def message_document(
    origin: str, message_id: str, body: bytes, *, reason: str, now: datetime
) -> dict[str, Any]:
    """Return what is kept of a message that was given up: enough to understand it, and to send it again."""
    return {
        "origin": origin,
        "id": message_id,
        "recorded": now.isoformat(),
        "reason": reason,
        "body": base64.b64encode(body).decode(),
        "text": body.decode("utf-8", errors="replace"),
    }
