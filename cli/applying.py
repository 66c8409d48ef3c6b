"""Carrying plans out from a terminal: with a bar, stopped cleanly by Ctrl-C, going on after a pause."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import FrameType
from typing import Final

from cli.output import Output
from cli.progress import Bar
from cli.words import count
from shared.jobs.applying import PlanApplication
from shared.jobs.cleaned import CleanedRegistry
from shared.retention.plan import RepositoryPlan
from shared.retention.report import Outcome

THREADS: Final = 16
_FAILED: Final = frozenset({"failed", "skipped"})
_LOOK: Final = 0.2
_STOPPING: Final = b"stopping after what is under way; Ctrl-C again does not wait\n"


class Stop:
    """Whether the person asked to stop: the first Ctrl-C asks, the second does not wait."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._deadline = datetime.now(UTC) + timedelta(days=3650)

    @property
    def asked(self) -> bool:
        """Tell whether to stop."""
        return self._asked.is_set()

    @property
    def deadline(self) -> datetime:
        """Return a moment that never comes, unless somebody asks to stop."""
        return self._deadline

    def clock(self) -> datetime:
        """Return the time; the deadline once somebody asked to stop."""
        return self._deadline if self.asked else datetime.now(UTC)

    def wait(self, seconds: float) -> None:
        """Sleep, unless somebody asks to stop."""
        end = time.monotonic() + seconds
        while not self.asked and time.monotonic() < end:
            self._asked.wait(_LOOK)

    @contextmanager
    def listening(self, output: Output) -> Iterator["Stop"]:
        """Take Ctrl-C as a wish to stop, while this is open."""

        def ask(_: int, __: FrameType | None) -> None:
            if self.asked:
                raise KeyboardInterrupt
            self._asked.set()
            if not output.quiet:  # not by echo: the interrupted code may be in the middle of one
                os.write(sys.stderr.fileno(), _STOPPING)

        before = signal.signal(signal.SIGINT, ask)
        try:
            yield self
        finally:
            signal.signal(signal.SIGINT, before)


@dataclass(slots=True, kw_only=True)
class Application:
    """One plan being applied; ``outcomes`` grow as actions finish."""

    plan: RepositoryPlan
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def planned(self) -> int:
        """Return how many actions there are."""
        return len(self.plan.untag) + len(self.plan.delete)

    @property
    def failures(self) -> list[Outcome]:
        """Return the outcomes that nobody wanted."""
        return [outcome for outcome in self.outcomes if outcome.result in _FAILED]


def apply_plans(
    registry: CleanedRegistry, plans: Sequence[RepositoryPlan], *, output: Output, stop: Stop
) -> list[Application]:
    """Apply the plans one after the other, and return what became of each that was begun."""
    applications: list[Application] = []
    with output.progress() as progress:
        bar = progress.bar("cleaning", sum(len(plan.untag) + len(plan.delete) for plan in plans))
        for plan in plans:
            if stop.asked:
                break
            application = Application(plan=plan)
            applications.append(application)
            _apply(registry, application, bar, output, stop)
    return applications


def _apply(registry: CleanedRegistry, application: Application, bar: Bar, output: Output, stop: Stop) -> None:
    """Apply one plan to its end, waiting whenever the registry asks for it."""

    def record(batch: Sequence[Outcome]) -> None:
        for outcome in batch:
            late = outcome.at >= stop.deadline
            application.outcomes.append(replace(outcome, at=datetime.now(UTC)) if late else outcome)
        bar.advance(len(batch))

    while True:
        pause = PlanApplication(
            application.plan,
            registry,
            record=record,
            earlier=list(application.outcomes),
            clock=stop.clock,
            deadline=stop.deadline,
            threads=THREADS,
        ).run()
        if pause is None or stop.asked:
            return
        output.note(f"{pause.reason}; going on in {count(round(pause.delay), 'second')}")
        stop.wait(pause.delay)
        if stop.asked:
            return
