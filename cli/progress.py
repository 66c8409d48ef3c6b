"""Bars for what takes long, on stderr, and only where a person looks."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    ProgressColumn,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as RichProgress
from rich.text import Text


class Progress:
    """Some bars; safe to advance from several threads. Without visibility it does nothing."""

    def __init__(self, *, visible: bool) -> None:
        self._visible = visible
        self._rich: RichProgress | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._rich is not None:
            self._rich.stop()

    def bar(self, text: str, total: int | None = None) -> "Bar":
        """Add a bar that counts to the total; a spinner while there is none."""
        return self._add(text, total, (MofNCompleteColumn(),))

    def bytes(self, text: str, total: int) -> "Bar":
        """Add a bar that counts bytes."""
        return self._add(text, total, (DownloadColumn(), TransferSpeedColumn()))

    def _add(self, text: str, total: int | None, columns: tuple[ProgressColumn, ...]) -> "Bar":
        if not self._visible:
            return Bar(None, None)
        if self._rich is None:
            self._rich = RichProgress(
                SpinnerColumn(finished_text=Text(" ")),
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=24),
                *columns,
                console=Console(stderr=True, highlight=False),
                transient=True,
            )
            self._rich.start()
        return Bar(self._rich, self._rich.add_task(text, total=total))


class Bar:
    """One bar."""

    def __init__(self, rich: RichProgress | None, task: TaskID | None) -> None:
        self._rich = rich
        self._task = task

    def advance(self, amount: int = 1) -> None:
        """Count."""
        if self._rich is not None and self._task is not None:
            self._rich.advance(self._task, amount)

    def total(self, total: int) -> None:
        """Say how far it will count."""
        if self._rich is not None and self._task is not None:
            self._rich.update(self._task, total=total)

    def restart(self) -> None:
        """Count from the start again."""
        if self._rich is not None and self._task is not None:
            self._rich.reset(self._task)

    def remove(self) -> None:
        """Take the bar away."""
        if self._rich is not None and self._task is not None:
            self._rich.remove_task(self._task)
