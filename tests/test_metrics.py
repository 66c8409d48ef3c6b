"""In a process of its own: OpenTelemetry takes one meter provider per process."""

import json
import subprocess
import sys

SCRIPT = """
import json
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from shared.metrics import count_replication, count_repository, count_traffic, record_lag, record_pulls_left
from shared.retention.traffic import Traffic
reader = InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider(metric_readers=[reader]))
counts = {"untagged": 2, "deleted": 3, "bytes_freed_at_most": 100, "refused": 0, "moved": 1}
count_repository("demo.azurecr.io", counts)
count_repository("demo.azurecr.io", {"untagged": 1, "deleted": 0, "refused": 1})
count_replication("docker.io", "copied", size=50, seconds=1.5)
count_traffic("demo.azurecr.io", Traffic(requests={"read": 7, "delete": 2}, throttled=1, waited=1.5))
count_traffic("demo.azurecr.io", Traffic(requests={"read": 1}, waited=0.5))
record_lag("docker.io", "pushes-20260101", 2.5)
record_lag("docker.io", "reconciliation-20260101t000000000000z", 9e6)
record_pulls_left("docker.io", 76)
record_pulls_left("docker.io", 75)
found = {}
for resource in reader.get_metrics_data().resource_metrics:
    for scope in resource.scope_metrics:
        for metric in scope.metrics:
            for point in metric.data.data_points:
                key = metric.name + "".join(f" {n}={v}" for n, v in sorted(point.attributes.items()))
                found[key] = getattr(point, "value", None) or getattr(point, "sum", 0)
print(json.dumps(found))
"""


def test_what_happened_is_counted_by_registry_and_result() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {
        "steward.tags.untagged registry=demo.azurecr.io": 3,
        "steward.manifests.deleted registry=demo.azurecr.io": 3,
        "steward.storage.freed registry=demo.azurecr.io": 100,
        "steward.repositories.refused registry=demo.azurecr.io": 1,
        "steward.actions.unfinished registry=demo.azurecr.io result=moved": 1,
        "steward.cleaning.requests class=read registry=demo.azurecr.io": 8,
        "steward.cleaning.requests class=delete registry=demo.azurecr.io": 2,
        "steward.cleaning.throttled registry=demo.azurecr.io": 1,
        "steward.cleaning.waited registry=demo.azurecr.io": 2.0,
        "steward.tags.replicated registry=docker.io result=copied": 1,
        "steward.replication.copied registry=docker.io": 50,
        "steward.replication.duration registry=docker.io result=copied": 1.5,
        "steward.replication.lag registry=docker.io run=pushes": 2.5,
        "steward.replication.lag registry=docker.io run=reconciliation": 9e6,
        "steward.pulls.remaining registry=docker.io": 75,
    }
