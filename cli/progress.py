"""Bars for what takes long, on stderr, and only where a person looks."""

from threading import Lock
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
)
from rich.progress import Progress as RichProgress
from rich.text import Text


class _Amount(ProgressColumn):
    """How far a bar is: in bytes, or in whatever it counts."""

    def __init__(self) -> None:
        super().__init__()
        self._bytes = DownloadColumn()
        self._number = MofNCompleteColumn()

    def render(self, task: Task) -> Text:
        """Return the words."""
        return (self._bytes if task.fields.get("counts_bytes") else self._number).render(task)


class Progress:
    """Some bars; safe to advance from several threads. Without visibility it does nothing."""

    def __init__(self, *, visible: bool) -> None:
        self.visible = visible
        self._rich: RichProgress | None = None
        self._lock = Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._rich is not None:
            self._rich.stop()

    def bar(self, text: str, total: int | None = None) -> "Bar":
        """Add a bar that counts to the total; a spinner while there is none."""
        return self._add(text, total, counts_bytes=False)

    def bytes(self, text: str, total: int) -> "Bar":
        """Add a bar that counts bytes."""
        return self._add(text, total, counts_bytes=True)

    def _add(self, text: str, total: int | None, *, counts_bytes: bool) -> "Bar":
        if not self.visible:
            return Bar(None, None)
        with self._lock:
            return self._added(text, total, counts_bytes=counts_bytes)

    def _added(self, text: str, total: int | None, *, counts_bytes: bool) -> "Bar":
        if self._rich is None:
            self._rich = RichProgress(
                SpinnerColumn(finished_text=Text(" ")),
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=24),
                _Amount(),
                console=Console(stderr=True, highlight=False),
                transient=True,
            )
            self._rich.start()
        return Bar(self._rich, self._rich.add_task(text, total=total, counts_bytes=counts_bytes))


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
