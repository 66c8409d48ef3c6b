"""What a person wants to know at a glance, gathered from storage: the runs of late, and what needs a hand."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import islice
from statistics import median_high
from typing import Any, Final

from shared.errors import StewardError
from shared.jobs.services import Services
from shared.jobs.status import PartStatus, list_runs, parts, readiness, repository_report, run_summary
from shared.storage.runs import Document

_NIGHTS: Final = 14
_DAYS: Final = 7
_COMPARISONS: Final = 6
_LATEST: Final = 12
_MOST_RUNS: Final = 10_000
_READ: Final = 40
"""How many reports one page reads: those with trouble first, then those that remove most."""
_LINES: Final = 20_000
_SHOWN: Final = 200
_TROUBLE: Final = ("failures", "failed", "refused", "closed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """What a run replicated: how often each result came, by route too, and what did not work.

    ``lags`` are the seconds from the push to the copied tag, where the source told when that was.
    """

    results: Mapping[str, int]
    routes: Mapping[str, Mapping[str, int]]
    bytes_copied: int
    seconds: tuple[float, ...]
    failed: tuple[Document, ...]
    throttled: tuple[Document, ...]
    lags: tuple[float, ...] = ()

    @property
    def total(self) -> int:
        """Return how many outcomes were counted."""
        return sum(self.results.values())

    @property
    def median_seconds(self) -> float | None:
        """Return how long the copy in the middle took."""
        return sorted(self.seconds)[len(self.seconds) // 2] if self.seconds else None

    @property
    def median_lag(self) -> float | None:
        """Return how long after its push the tag in the middle was copied."""
        return median_high(self.lags) if self.lags else None

    @property
    def longest_lag(self) -> float | None:
        """Return how long after its push the latest tag was copied."""
        return max(self.lags, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """What pushes replicated on one day (UTC)."""

    run: str
    copies: Copies


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """The state of the app; ``checks`` names each dependency with what is wrong with it, or ``None``."""

    mode: str
    registries: tuple[str, ...]
    policy_digest: str | None
    checks: Mapping[str, str | None]
    poison: int
    nights: tuple[Document, ...]
    days: tuple[Day, ...]
    comparisons: tuple[Document, ...]
    latest: tuple[Document, ...]

    @property
    def freed(self) -> list[tuple[str, int]]:
        """Return when each night began and how much it freed at most, oldest first."""
        return [
            (str(night["started"]), int(night["done"].get("bytes_freed_at_most", 0)))
            for night in reversed(self.nights)
        ]

    @property
    def lags(self) -> list[tuple[str, float]]:
        """Return how long after its push the tag in the middle was copied, for each day, oldest first."""
        found = [(day.run.partition("-")[2], day.copies.median_lag) for day in reversed(self.days)]
        return [(day, lag) for day, lag in found if lag is not None]

    @property
    def median_lag(self) -> float | None:
        """Return how long after its push the tag in the middle of all days was copied."""
        lags = [lag for day in self.days for lag in day.copies.lags]
        return median_high(lags) if lags else None

    @property
    def longest_lag(self) -> float:
        """Return how long after its push the latest tag of all days was copied."""
        return max((day.copies.longest_lag or 0.0 for day in self.days), default=0.0)

    @property
    def requests(self) -> list[tuple[str, int]]:
        """Return when each night began and how many requests it sent, oldest first."""
        return [
            (str(night["started"]), int(night["traffic"]["requests"]))
            for night in reversed(self.nights)
            if night.get("traffic")
        ]

    @property
    def throttled(self) -> int:
        """Return how often a registry asked the nights to come back later."""
        return sum(int(night["traffic"]["throttled"]) for night in self.nights if night.get("traffic"))

    @property
    def results(self) -> Mapping[str, int]:
        """Return how often each result came in all days."""
        return sum((Counter(day.copies.results) for day in self.days), Counter[str]())

    def replicated(self, result: str) -> int:
        """Return how often the days' pushes came to that result."""
        return self.results.get(result, 0)

    @property
    def busiest(self) -> int:
        """Return how many outcomes the day with most of them has."""
        return max((day.copies.total for day in self.days), default=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One thing that did not go as it should, and where."""

    part: PartStatus
    what: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """One run with its repositories; ``reasons`` counts removals by the rule that asked for them.

    ``read`` is how many reports the reasons and troubles were taken from.
    """

    summary: Document
    parts: tuple[PartStatus, ...]
    copies: Copies
    reasons: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    troubles: tuple[Trouble, ...] = ()
    read: int = 0


def overview(services: Services) -> Overview:
    """Gather the overview.

    :raises StorageError: when storage cannot be read.
    """
    checks = readiness(services)
    names = list_runs(services, limit=_MOST_RUNS)
    summary_of = cache(partial(run_summary, services))
    digest = None
    with suppress(StewardError):
        digest = services.policy.current().digest
    return Overview(
        mode=services.settings.cleanup_mode,
        registries=services.settings.login_servers,
        policy_digest=digest,
        checks=checks,
        poison=sum(1 for _ in services.poison.names()),
        nights=_summaries(summary_of, (name for name in names if name.startswith("night-")), _NIGHTS),
        days=tuple(
            Day(run=name, copies=_copies(services, name))
            for name in islice((name for name in names if name.startswith("pushes-")), _DAYS)
        ),
        comparisons=_summaries(
            summary_of, (name for name in names if name.startswith("reconciliation-")), _COMPARISONS
        ),
        latest=_summaries(summary_of, (name for name in names if not name.startswith("pushes-")), _LATEST),
    )


def run_view(services: Services, name: str) -> RunView | None:
    """Gather what there is to show of one run; ``None`` when there is no such run."""
    summary = run_summary(services, name)
    if summary is None:
        return None
    found = parts(services, name)
    reasons: dict[str, Counter[str]] = {}
    troubles: list[Trouble] = []
    chosen = [part for part in sorted(found, key=_interest, reverse=True) if _interest(part) > (0, 0)][:_READ]
    for part in chosen:
        report = repository_report(services, name, part.registry, part.repository)
        if report is not None:
            _count_reasons(report, reasons)
            troubles.extend(_troubles(part, report))
    return RunView(
        summary=summary,
        parts=tuple(found),
        copies=_copies(services, name),
        reasons=dict(sorted(reasons.items(), key=lambda each: -each[1]["bytes"])),
        troubles=tuple(troubles[:_SHOWN]),
        read=len(chosen),
    )


def _summaries(
    summary_of: Callable[[str], Document | None], names: Iterable[str], most: int
) -> tuple[Document, ...]:
    found = (summary_of(name) for name in islice(names, most))
    return tuple(summary for summary in found if summary is not None)


def _copies(services: Services, name: str) -> Copies:
    results: Counter[str] = Counter()
    routes: dict[str, Counter[str]] = {}
    seconds: list[float] = []
    lags: list[float] = []
    shown: dict[str, list[Document]] = {"failed": [], "deferred": []}
    copied = 0
    for outcome in islice(services.runs.replications(name).read(), _LINES):
        result = str(outcome["result"])
        results[result] += 1
        routes.setdefault(str(outcome.get("route", "")), Counter())[result] += 1
        copied += int(outcome.get("bytes_copied", 0))
        if result == "copied":
            seconds.append(float(outcome.get("seconds", 0.0)))
        if outcome.get("lag_seconds") is not None:
            lags.append(float(outcome["lag_seconds"]))
        if result in shown:
            shown[result].append(outcome)
    return Copies(
        results=dict(results),
        routes={route: dict(counts) for route, counts in sorted(routes.items())},
        bytes_copied=copied,
        seconds=tuple(seconds),
        failed=tuple(reversed(shown["failed"][-_SHOWN:])),
        throttled=tuple(reversed(shown["deferred"][-_SHOWN:])),
        lags=tuple(lags),
    )


def _interest(part: PartStatus) -> tuple[int, int]:
    trouble = sum(part.counts.get(name, 0) for name in _TROUBLE)
    return trouble, part.counts.get("untag", 0) + part.counts.get("delete", 0)


def _count_reasons(report: Mapping[str, Any], reasons: dict[str, Counter[str]]) -> None:
    plan = report.get("plan") or {}
    for deletion in plan.get("delete", ()):
        counts = reasons.setdefault(str(deletion["rule"]), Counter())
        counts["manifests"] += 1
        counts["bytes"] += int(deletion["size"])
    for untag in plan.get("untag", ()):
        reasons.setdefault(str(untag["rule"]), Counter())["tags"] += 1


def _troubles(part: PartStatus, report: Mapping[str, Any]) -> Iterable[Trouble]:
    plan = report.get("plan") or {}
    if report.get("failed"):
        yield Trouble(part=part, what=str(report["failed"]), kind="failed")
    if plan.get("refused"):
        yield Trouble(part=part, what=str(plan["refused"]["message"]), kind="refused")
    if plan.get("closed"):
        for warning in plan.get("warnings", ()):
            yield Trouble(part=part, what=str(warning), kind="closed")
    for problem in report.get("problems", ()):
        yield Trouble(part=part, what=str(problem), kind="unlisted")
    for outcome in report.get("outcomes", ()):
        if outcome.get("result") == "failed":
            what = f"{outcome['action']} {outcome['target']}: {outcome.get('detail') or 'failed'}"
            yield Trouble(part=part, what=what, kind="action")
