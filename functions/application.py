"""What every door needs: the wired services and the clock."""

import os
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.jobs.services import Services


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
