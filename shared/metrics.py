"""What the app counts, as OpenTelemetry instruments.

Without a meter provider they cost next to nothing and go nowhere. In Azure the worker sets one up when
``PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY`` is ``true`` and ``azure-monitor-opentelemetry`` is installed.
Attributes name registries and results, never tags: their number must stay small.
"""

from collections.abc import Mapping
from typing import Final

from opentelemetry import metrics

from shared.retention.traffic import Traffic

_METER: Final = metrics.get_meter("registry-steward")

untagged: Final = _METER.create_counter("steward.tags.untagged", unit="{tag}")
deleted: Final = _METER.create_counter("steward.manifests.deleted", unit="{manifest}")
freed: Final = _METER.create_counter(
    "steward.storage.freed", unit="By", description="At most: layers may be shared with what stays."
)
unfinished: Final = _METER.create_counter(
    "steward.actions.unfinished", unit="{action}", description="Planned and not done, by result."
)
requests: Final = _METER.create_counter(
    "steward.cleaning.requests", unit="{request}", description="Asked of a registry, by class of endpoint."
)
throttled: Final = _METER.create_counter("steward.cleaning.throttled", unit="{request}")
waited: Final = _METER.create_counter(
    "steward.cleaning.waited", unit="s", description="For a turn or another try; by all threads together."
)
refused: Final = _METER.create_counter("steward.repositories.refused", unit="{repository}")
replicated: Final = _METER.create_counter("steward.tags.replicated", unit="{tag}", description="By result.")
copied: Final = _METER.create_counter("steward.replication.copied", unit="By")
duration: Final = _METER.create_histogram("steward.replication.duration", unit="s")
lag: Final = _METER.create_histogram(
    "steward.replication.lag", unit="s", description="From the push to the source to the copied tag."
)
pulls_left: Final = _METER.create_gauge(
    "steward.pulls.remaining", unit="{pull}", description="As the registry last said; absent without a limit."
)

_UNFINISHED: Final = frozenset({"moved", "retagged", "locked", "reachable", "failed", "skipped"})


def count_repository(registry: str, counts: Mapping[str, int]) -> None:
    """Count what became of one repository (:attr:`shared.retention.report.RepositoryReport.counts`)."""
    where = {"registry": registry}
    untagged.add(counts.get("untagged", 0), where)
    deleted.add(counts.get("deleted", 0), where)
    freed.add(counts.get("bytes_freed_at_most", 0), where)
    refused.add(counts.get("refused", 0), where)
    for result in _UNFINISHED & counts.keys():
        unfinished.add(counts[result], {**where, "result": result})


def count_traffic(registry: str, traffic: Traffic) -> None:
    """Count what one message asked of a registry."""
    where = {"registry": registry}
    for kind, count in traffic.requests.items():
        requests.add(count, {**where, "class": kind})
    throttled.add(traffic.throttled, where)
    waited.add(traffic.waited, where)


def count_replication(registry: str, result: str, *, size: int, seconds: float) -> None:
    """Count what became of one replicated tag; ``registry`` is the target, ``size`` in bytes."""
    replicated.add(1, {"registry": registry, "result": result})
    copied.add(size, {"registry": registry})
    duration.record(seconds, {"registry": registry, "result": result})


def record_lag(registry: str, run: str, seconds: float) -> None:
    """Record how long after its push a target had a tag; ``run`` is what copied it.

    Pushes are told apart from reconciliations, which also copy what was pushed years ago.
    """
    lag.record(seconds, {"registry": registry, "run": run.partition("-")[0]})


def record_pulls_left(registry: str, remaining: int) -> None:
    """Record how many pulls a registry said are left."""
    pulls_left.set(remaining, {"registry": registry})
