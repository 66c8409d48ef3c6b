"""``python -m benchmarks [NAME...] [--quick] [--json]``: run the named benchmarks, or all of them."""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Final, Protocol

from benchmarks import (
    acr_requests,
    applying,
    cold_start,
    copying,
    emulator,
    nights,
    planning,
    quotas,
    snapshots,
)
from benchmarks.figures import Figure, header
from benchmarks.machine import Machine


class Benchmark(Protocol):
    """Measures something and yields one figure per row; ``quick`` only shows that it still runs."""

    def __call__(self, *, quick: bool) -> Iterator[Figure]:
        """Yield the figures as they are taken."""


_FUNCTIONS: Final[tuple[Benchmark, ...]] = (
    cold_start.time_cold_start,
    acr_requests.time_requests_per_operation,
    emulator.time_emulator,
    planning.time_planning,
    planning.time_planning_memory,
    snapshots.time_snapshot,
    applying.time_apply_under_latency,
    quotas.time_apply_under_quota,
    nights.time_second_night,
    copying.time_copy_of_one_image,
    copying.time_copy_of_many_tags,
    copying.time_copy_of_platforms,
    copying.time_copy_of_a_large_layer,
)

BENCHMARKS: Final[Mapping[str, Benchmark]] = {
    getattr(function, "__name__", "").removeprefix("time_"): function for function in _FUNCTIONS
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print one row per figure; return 1 when a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of: {', '.join(BENCHMARKS)}")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, whose figures mean nothing")
    parser.add_argument("--json", action="store_true", help="print one JSON document with all samples")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; known are {', '.join(BENCHMARKS)}")
    machine = Machine.now()
    if not options.json:
        print(f"{machine}\n\n{header()}", flush=True)
    figures: list[Figure] = []
    for figure in measure(options.names or BENCHMARKS, quick=options.quick):
        figures.append(figure)
        if not options.json:
            print(figure.row(), flush=True)
    if options.json:
        document = {
            **asdict(machine),
            "quick": options.quick,
            "figures": [each.to_json() for each in figures],
        }
        print(json.dumps(document, indent=2))
    return exit_status(figures)


def measure(names: Iterable[str], *, quick: bool) -> Iterator[Figure]:
    """Yield the figures of the named benchmarks; quick ones have no target to miss."""
    for name in names:
        for figure in BENCHMARKS[name](quick=quick):
            yield replace(figure, target=None) if quick else figure


def exit_status(figures: Iterable[Figure]) -> int:
    """Return 1 when a target is missed, 0 otherwise: what could not be measured misses nothing."""
    return int(any(figure.verdict == "miss" for figure in figures))


if __name__ == "__main__":
    sys.exit(main())
