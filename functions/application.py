"""What every door needs: the wired services, the clock, and one translation of errors."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

from shared.errors import StewardError

if TYPE_CHECKING:
    from shared.jobs.services import Services

logger = logging.getLogger("steward")


@cache
def services() -> "Services":
    """Return this process's services, wired at the first call.

    A failure is not remembered: settings that were mended are seen by the next invocation.

    :raises InvalidSettings: when the app settings cannot be used.
    """
    # Imported here, so that the host indexes the functions without loading Azure Storage and pydantic.
    from shared.settings import load_settings
    from shared.wiring import wire

    return wire(load_settings(os.environ))


def now() -> datetime:
    """Return the time; doors are where the clock is read."""
    return datetime.now(UTC)


@contextmanager
def acknowledging(what: str, **fields: str) -> Iterator[None]:
    """Let temporary errors out, so that the queue delivers again; log and swallow the others.

    For messages whose failure was recorded where it happened: the same message would fail the same way.
    """
    try:
        yield
    except StewardError as error:
        if error.temporary:
            raise
        logger.exception("cannot %s", what, extra=fields)
