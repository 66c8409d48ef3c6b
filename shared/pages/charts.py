"""Charts as plain geometry, in percent of their frame; templates draw them as inline SVG."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

_GAP: Final = 0.28
_FLAT: Final = 0.8
_WIDEST: Final = 12.0
"""Of few columns, none is wider than this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a chart over time; all lengths are percentages."""

    label: str
    value: float
    x: float
    width: float
    height: float

    @property
    def y(self) -> float:
        """Return where its top is."""
        return round(100 - self.height, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One part of a bar; lengths are percentages."""

    name: str
    value: int
    x: float
    width: float


def columns(values: Sequence[tuple[str, float]]) -> list[Column]:
    """Return one column per value, side by side; what is not nothing can be seen."""
    most = max((value for _, value in values), default=0)
    step = min(100 / max(len(values), 1), _WIDEST)
    return [
        Column(
            label=label,
            value=value,
            x=round(number * step + step * _GAP / 2, 2),
            width=round(step * (1 - _GAP), 2),
            height=max(round(value * 100 / most, 2), _FLAT) if value else 0.0,
        )
        for number, (label, value) in enumerate(values)
    ]


def segments(counts: Mapping[str, int], names: Iterable[str], most: int = 0) -> list[Segment]:
    """Return the parts of a bar in the order of the names; the bar is full at ``most``, or at their sum."""
    wanted = [(name, counts.get(name, 0)) for name in names if counts.get(name, 0) > 0]
    whole = most or sum(value for _, value in wanted) or 1
    found: list[Segment] = []
    at = 0.0
    for name, value in wanted:
        width = value * 100 / whole
        found.append(Segment(name=name, value=value, x=round(at, 2), width=round(width, 2)))
        at += width
    return found
