"""One measured figure: ours, what it is compared with, and whether the target is met."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

type Verdict = Literal["ok", "miss", "-", "skipped"]

_WIDTHS: Final = (78, 15, 15, 7, 10)
_DECIMALS_BELOW: Final = ((1, 3), (10, 2), (100, 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a figure must reach: by its ratio, or by our own number where nothing is beside it."""

    bound: float
    kind: Literal["at most", "at least"] = "at most"
    of: Literal["ratio", "ours"] = "ratio"

    def is_met_by(self, value: float) -> bool:
        """Tell whether the value is on the right side; the bound itself is."""
        return value <= self.bound if self.kind == "at most" else value >= self.bound

    def __str__(self) -> str:
        """Read as ``<= 1.3``."""
        return f"{'<=' if self.kind == 'at most' else '>='} {self.bound:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One row of the table.

    ``samples`` and ``reference_samples`` are what the two numbers were chosen from. A figure that is skipped,
    because a tool is missing, neither meets nor misses its target.
    """

    what: str
    unit: str = "s"
    ours: float | None = None
    reference: float | None = None
    target: Target | None = None
    samples: Sequence[float] = ()
    reference_samples: Sequence[float] = ()
    is_skipped: bool = False
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Ours as a multiple of the reference; ``None`` without one."""
        return self.ours / self.reference if self.ours is not None and self.reference else None

    @property
    def verdict(self) -> Verdict:
        """``ok``, ``miss``, ``-`` where no target is set, or ``skipped``."""
        if self.is_skipped:
            return "skipped"
        if self.target is None:
            return "-"
        value = self.ours if self.target.of == "ours" else self.ratio
        return "ok" if value is not None and self.target.is_met_by(value) else "miss"

    def row(self) -> str:
        """Return the line of the table."""
        ratio = self.ratio
        cells = (
            self.what,
            self._amount(self.ours),
            self._amount(self.reference),
            "" if ratio is None else f"{ratio:.2f}",
            "" if self.target is None else f"{self.target}",
        )
        return f"{_aligned(cells)}  {self.verdict}" + (f" ({self.note})" if self.note else "")

    def _amount(self, value: float | None) -> str:
        return "" if value is None else f"{_rounded(value)} {self.unit}"

    def to_json(self) -> dict[str, object]:
        """Return the figure with everything that was measured."""
        return {
            "what": self.what,
            "unit": self.unit,
            "ours": self.ours,
            "reference": self.reference,
            "ratio": self.ratio,
            "target": None if self.target is None else {"bound": str(self.target), "of": self.target.of},
            "verdict": self.verdict,
            "samples": list(self.samples),
            "reference_samples": list(self.reference_samples),
            "note": self.note,
        }


def header() -> str:
    """Return the head of the table."""
    return f"{_aligned(('what', 'ours', 'reference', 'ratio', 'target'))}  verdict"


def _aligned(cells: Sequence[str]) -> str:
    first, *rest = cells
    return f"{first:<{_WIDTHS[0]}}" + "".join(
        f"{cell:>{width}}" for cell, width in zip(rest, _WIDTHS[1:], strict=True)
    )


def _rounded(value: float) -> str:
    for below, decimals in _DECIMALS_BELOW:
        if abs(value) < below:
            return f"{value:.{decimals}f}"
    return f"{value:,.0f}"
