"""Planning one million manifests of a thousand repositories, beside ``json.loads`` of their lists."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from benchmarks.children import run_python
from benchmarks.figures import Figure, Target
from benchmarks.listings import POLICY, Page, Reading, list_repository
from benchmarks.memory import peak_mebibytes
from benchmarks.sampling import seconds
from shared.retention.plan import RepositoryPlan, plan_repository

_NOW: Final = datetime(2026, 3, 1, tzinfo=UTC)
_KIB: Final = 1024
_LARGE: Final = 100_000
_PEAK: Final = """
import sys
from benchmarks.planning import print_peak
print_peak(int(sys.argv[1]), int(sys.argv[2]))
"""


def time_planning(*, quick: bool) -> Iterator[Figure]:
    """Plan repository after repository, each right after its own lists were parsed, and add up the times."""
    repositories, manifests = (3, 100) if quick else (1000, 1000)
    parsing: list[float] = []
    reading: list[float] = []
    planning: list[float] = []
    for _ in range(1 if quick else 3):
        times = [_time(number, manifests) for number in range(repositories)]
        for samples, column in zip((parsing, reading, planning), zip(*times, strict=True), strict=True):
            samples.append(sum(column))
    total = f"{repositories * manifests:,}"
    for what, samples, target in (
        (f"planning {total} manifests / json.loads of their lists", planning, Target(bound=3)),
        (f"reading {total} manifests as records / json.loads", reading, None),
    ):
        yield Figure(
            what=what,
            ours=min(samples),
            reference=min(parsing),
            target=target,
            samples=samples,
            reference_samples=parsing,
        )


def time_planning_memory(*, quick: bool) -> Iterator[Figure]:
    """Let a fresh process read and plan, holding on to all of it, and see by how much its peak grew."""
    repositories, manifests, large = (2, 1000, 2000) if quick else (1000, 1000, _LARGE)
    kibibyte = Target(bound=_KIB, of="ours")
    for what, count, each, target in (
        (
            f"{repositories * manifests:,} manifests of {repositories:,} repositories",
            repositories,
            manifests,
            kibibyte,
        ),
        (f"{large:,} manifests of one repository", 1, large, None),
    ):
        yield Figure(
            what=f"peak memory per manifest: planning {what}",
            unit="bytes",
            ours=float(run_python(_PEAK, str(count), str(each)).output),
            target=target,
        )


def _time(number: int, manifests: int) -> tuple[float, float, float]:
    """Return the seconds it takes to parse, to read and to plan one repository."""
    pages = list(list_repository(number, manifests, now=_NOW))
    parsed: list[tuple[Any, Any, Page]] = []
    plans: list[RepositoryPlan] = []
    found = Reading(number)
    parsing = seconds(
        lambda: parsed.extend((json.loads(page.manifests), json.loads(page.tags), page) for page in pages)
    )

    def read() -> None:
        for listed, tags, page in parsed:
            found.add(listed, tags, page.edges)

    reading = seconds(read)
    snapshot = found.finish(now=_NOW)
    planning = seconds(lambda: plans.append(plan_repository(snapshot, POLICY, now=_NOW)))
    assert plans[0].delete
    assert not plans[0].closed
    return parsing, reading, planning


def print_peak(repositories: int, manifests: int) -> None:
    """Print by how many bytes for each manifest this process grew while it read and planned everything."""
    _read_and_plan(0, 10)
    before = peak_mebibytes()
    kept = [_read_and_plan(number, manifests) for number in range(repositories)]
    print((peak_mebibytes() - before) * _KIB * _KIB / (len(kept) * manifests))


def _read_and_plan(number: int, manifests: int) -> object:
    found = Reading(number)
    for page in list_repository(number, manifests, now=_NOW):
        found.add(json.loads(page.manifests), json.loads(page.tags), page.edges)
    snapshot = found.finish(now=_NOW)
    return snapshot, plan_repository(snapshot, POLICY, now=_NOW)
