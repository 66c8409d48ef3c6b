import json
from datetime import UTC, datetime

from shared.oci.names import parse_reference
from shared.replication.report import ReplicationOutcome


def test_an_outcome_is_json() -> None:
    outcome = ReplicationOutcome(
        route="to-hub",
        source=parse_reference("demo.azurecr.io/team/app:v1"),
        target=parse_reference("docker.io/acme/app:v1"),
        result="copied",
        at=datetime(2026, 11, 23, tzinfo=UTC),
        bytes_copied=10,
        seconds=1.23456,
        pushed=datetime(2026, 11, 22, 23, 59, tzinfo=UTC),
        lag=60.00012,
    )
    assert json.loads(json.dumps(outcome.to_json())) == {
        "route": "to-hub",
        "source": "demo.azurecr.io/team/app:v1",
        "target": "docker.io/acme/app:v1",
        "result": "copied",
        "at": "2026-11-23T00:00:00+00:00",
        "digest": None,
        "bytes_copied": 10,
        "seconds": 1.235,
        "detail": "",
        "pushed": "2026-11-22T23:59:00+00:00",
        "lag_seconds": 60.0,
    }
