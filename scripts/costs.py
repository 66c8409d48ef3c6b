#!/usr/bin/env python3
"""Compute what a month costs, line by line, from prices, quotas and sizes that you give.

Usage: ``python scripts/costs.py [FILE] [--private-network]``; the file is ``docs/examples/costs.yaml`` unless
given, whose prices are examples. It knows no price itself. It rounds up: as if every manifest were read every
night, every quota were reached, and no two messages shared an instance.
"""

import sys
from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

EXAMPLE: Final = Path(__file__).resolve().parents[1] / "docs" / "examples" / "costs.yaml"

DAYS: Final = 30
MILLION: Final = 1_000_000
_KILOBYTES_IN_GB: Final = 1_000_000
_EVENTS_A_PUSH: Final = 2
"""A push and, some day, its deletion."""
_WORTH_ROUNDING: Final = 10

type Numbers = Mapping[str, float]


class Line(NamedTuple):
    """One line of the bill: which quantity, and which price it has, if it is not only told."""

    what: str
    unit: str = ""
    price: str = ""
    per: int = 1
    free: str = ""


LINES: Final = (
    Line("nights", "GB-s"),
    Line("copies", "GB-s"),
    Line("all execution time", "GB-s", "gb_second", free="gb_seconds"),
    Line("executions", "", "million_executions", MILLION, "executions"),
    Line("events published and delivered", "", "million_events", MILLION, "events"),
    Line("storage operations", "", "million_operations", MILLION),
    Line("reports stored", "GB", "gb_stored"),
    Line("logs", "GB", "gb_logged"),
    Line("alert rules", "", "log_alert_rule"),
)
PRIVATE_NETWORK: Final = (
    Line("private endpoints", "h", "private_endpoint_hour"),
    Line("NAT gateway", "h", "nat_gateway_hour"),
    Line("through the private network", "GB", "gb_through_private_network"),
)


def night_seconds(quotas: Numbers, size: Numbers) -> float:
    """Return how long one night takes at the registry's quotas when every manifest is read."""
    reads = size["manifests"] / quotas["reads_a_minute"]
    deletes = size["removed_a_night"] / quotas["deletes_a_minute"]
    return (reads + deletes) * 60


def quantities(inputs: Mapping[str, Numbers], size: Numbers) -> dict[str, float]:
    """Return how much of each line a month takes, by the line's name."""
    work, deployment = inputs["work"], inputs["deployment"]
    gb = deployment["instance_gb"]
    pushes = size["pushes_a_day"] * DAYS
    events = pushes * _EVENTS_A_PUSH
    cleanups = size["repositories"] * 2 * DAYS
    comparisons = size["repositories"] * deployment["reconciliations_a_day"] * DAYS
    timers = (1 + deployment["reconciliations_a_day"]) * DAYS
    messages = events + pushes + cleanups + comparisons
    nights = night_seconds(inputs["quotas"], size) * DAYS * gb
    copies = pushes * size["seconds_a_copy"] * gb
    at_least_a_second = (events + comparisons + timers) * gb
    return {
        "nights": nights,
        "copies": copies,
        "all execution time": nights + copies + at_least_a_second,
        "executions": messages + timers,
        "events published and delivered": 2 * events,
        "storage operations": messages * work["operations_a_message"],
        "reports stored": (
            size["manifests"]
            * deployment["reports_kept_days"]
            * work["kilobytes_a_verdict"]
            / _KILOBYTES_IN_GB
        ),
        "logs": messages * work["log_lines_a_message"] * work["kilobytes_a_log_line"] / _KILOBYTES_IN_GB,
        "alert rules": deployment["log_alert_rules"],
        "private endpoints": deployment["private_endpoints"] * DAYS * 24,
        "NAT gateway": DAYS * 24,
        "through the private network": size["gb_copied_a_day"] * DAYS,
    }


def cost(inputs: Mapping[str, Numbers], line: Line, quantity: float) -> float:
    """Return what that much of a line costs, beyond what is free of charge."""
    if not line.price:
        return 0.0
    paid = max(0.0, quantity - inputs["free"].get(line.free, 0.0))
    return paid / line.per * inputs["prices"][line.price]


def table(inputs: Mapping[str, Any], *, private_network: bool = False) -> str:
    """Return the bills of all sizes side by side, as a Markdown table."""
    lines = (*LINES, *PRIVATE_NETWORK) if private_network else LINES
    sizes = {name: quantities(inputs, size) for name, size in inputs["sizes"].items()}
    totals = [sum(cost(inputs, line, found[line.what]) for line in lines) for found in sizes.values()]
    rows = [
        ("a month", *sizes),
        ("---", *("---:" for _ in sizes)),
        *(
            (line.what, *(_cell(inputs, line, found[line.what]) for found in sizes.values()))
            for line in lines
        ),
        (f"**{inputs['currency']}**", *(f"**{total:,.2f}**" for total in totals)),
    ]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _cell(inputs: Mapping[str, Numbers], line: Line, quantity: float) -> str:
    amount = f"{ceil(quantity):,}" if quantity >= _WORTH_ROUNDING else f"{quantity:.2g}"
    amount = f"{amount} {line.unit}".strip()
    return f"{amount}: {cost(inputs, line, quantity):,.2f}" if line.price else amount


def main(arguments: Sequence[str]) -> int:
    """Print the table, or how to ask for it."""
    files = [argument for argument in arguments if not argument.startswith("-")]
    options = {argument for argument in arguments if argument.startswith("-")}
    if len(files) > 1 or options - {"--private-network"}:
        sys.stdout.write(__doc__ or "")
        return 2
    path = Path(files[0]) if files else EXAMPLE
    inputs = yaml.safe_load(path.read_text(encoding="utf-8"))
    sys.stdout.write(table(inputs, private_network=bool(options)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
