"""Rows in columns, printed as they come: the first page fixes the widths, so a long list needs no waiting."""

import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, Final, NamedTuple

import click

from cli.output import Output, colored, styled
from cli.words import cut, printable

_FIRST: Final = 100
_GAP: Final = "  "
_LEAST: Final = 8
_READABLE: Final = 28


class Cell(NamedTuple):
    """A text with a style of click's."""

    text: str
    style: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column; where lines are limited, ``shrinks`` says that it may be cut, ``wraps`` that it goes on.

    ``least`` is how far it may be cut. Only the last column wraps.
    """

    title: str
    right: bool = False
    shrinks: bool = False
    wraps: bool = False
    least: int = _LEAST


@dataclass(slots=True, kw_only=True)
class Columns:
    """A table in the making.

    On a terminal it has a header and fits. Elsewhere lines are as long as they need to be, and with
    ``plain`` they are tab-separated without a header, so that ``cut`` and ``awk`` can read them.
    """

    output: Output
    columns: Sequence[Column]
    header: bool = True
    plain: bool = True
    indent: int = 0
    rows: int = 0
    """How many there are so far."""
    _waiting: list[tuple[Cell, ...]] = field(default_factory=list)
    _widths: list[int] | None = None

    def add(self, *cells: str | Cell) -> None:
        """Print a row, or keep it until the widths are known."""
        self.rows += 1
        row = tuple(cell if isinstance(cell, Cell) else Cell(cell, {}) for cell in cells)
        row = tuple(Cell(printable(text), style) for text, style in row)
        if self.plain and not self.output.terminal:
            self._echo("\t".join(cell.text for cell in row))
        elif self._widths is None:
            self._waiting.append(row)
            if len(self._waiting) >= _FIRST:
                self.flush()
        else:
            self._row(row, self._widths)

    def flush(self) -> None:
        """Print what waits; without a row, not even a header."""
        if self._widths is not None or not self._waiting:
            return
        self._widths = self._fitted()
        if self.header:
            self._row(tuple(Cell(column.title, {"bold": True}) for column in self.columns), self._widths)
        for row in self._waiting:
            self._row(row, self._widths)
        self._waiting = []

    def _fitted(self) -> list[int]:
        widths = [
            max([len(column.title) if self.header else 0, *(len(row[place].text) for row in self._waiting)])
            for place, column in enumerate(self.columns)
        ]
        limit = self.output.width
        if limit is None:
            return widths
        excess = self.indent + sum(widths) + len(_GAP) * (len(widths) - 1) - limit
        for place, column in enumerate(self.columns):
            if column.wraps and excess > 0:
                taken = min(excess, max(widths[place] - _READABLE, 0))
                widths[place] -= taken
                excess -= taken
        while excess > 0:
            able = [
                place
                for place, column in enumerate(self.columns)
                if column.shrinks and widths[place] > column.least
            ]
            if not able:
                break
            widths[max(able, key=lambda place: widths[place])] -= 1
            excess -= 1
        return widths

    def _row(self, row: Sequence[Cell], widths: Sequence[int]) -> None:
        limited = self.output.width is not None
        lines = [
            self._lines(cell.text, column, width) if limited else [cell.text]
            for cell, column, width in zip(row, self.columns, widths, strict=True)
        ]
        for parts in zip_longest(*lines, fillvalue=""):
            pieces = []
            for text, cell, column, width in zip(parts, row, self.columns, widths, strict=True):
                padded = text.rjust(width) if column.right else text.ljust(width)
                pieces.append(styled(padded, **cell.style) if cell.style and text else padded)
            line = " " * self.indent + _GAP.join(pieces)
            self._echo(line.rstrip())

    def _lines(self, text: str, column: Column, width: int) -> list[str]:
        if column.wraps and len(text) > width:
            return textwrap.wrap(text, width, break_on_hyphens=False) or [""]
        return [cut(text, width)]

    def _echo(self, line: str) -> None:
        click.echo(line, color=colored(sys.stdout))


def paragraph(output: Output, *columns: Column) -> Columns:
    """Return columns below a line that says what they are about: indented, and without a header."""
    return Columns(output=output, columns=columns, header=False, plain=False, indent=2)
