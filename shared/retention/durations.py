"""Ages as people write them: ``90m``, ``12h``, ``30d``, ``6w``, and nothing else."""

import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from shared.errors import InvalidInput

_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_FORM: Final = re.compile(r"(?P<count>0|[1-9][0-9]{0,6})(?P<unit>[mhdw])", re.ASCII)
LONGEST: Final = timedelta(days=3653)
"""Ten years. A purge tool that took ``999999d`` overflowed and deleted everything (Azure/acr-cli #560)."""


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    """A span of time, as long as ``delta``, that reads as it was written."""

    delta: timedelta
    text: str = field(compare=False)

    def __str__(self) -> str:
        """Read as written: ``14d``."""
        return self.text


def parse_duration(text: str, *, zero: bool = False) -> Duration:
    """Return the duration that the text is; of no length only where ``zero`` allows it.

    Tools that guess have read ``d`` and ``thirtyd`` as nothing at all, and ``-1d`` as the future.

    :raises InvalidInput: unless it is a whole number, a unit and nothing more, of at most ten years.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise InvalidInput(
            f"{text[:40]!r} is not a duration: expected a whole number and a unit, as in 90m, 12h, 30d or 6w"
        )
    delta = timedelta(**{_UNITS[match["unit"]]: int(match["count"])})
    if delta > LONGEST:
        raise InvalidInput(f"{text!r} is longer than ten years")
    if not delta and not zero:
        raise InvalidInput(f"{text!r} is no time at all")
    return Duration(delta, text)
