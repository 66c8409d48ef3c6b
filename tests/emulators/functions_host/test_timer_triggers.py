import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from azure.storage.blob import BlobServiceClient

from emulators.functions_host import RunningHost
from tests.emulators.functions_host.fixture_host import Storage, until

pytestmark = pytest.mark.xdist_group("functions_host")


def _is_timer(name: str, item: Any) -> bool:
    return isinstance(item, dict) and item.get("timer") == name


def test_a_timer_fired_by_hand_gets_its_schedule_status(host: RunningHost, storage: Storage) -> None:
    host.fire("nightly")

    [seen] = storage.wait_for(lambda item: _is_timer("nightly", item))[:1]
    assert seen["past_due"] is False
    due = datetime.fromisoformat(seen["status"]["Next"])
    assert (due.hour, due.minute, due.second) == (2, 0, 0)
    assert due > datetime.now(UTC)


def test_a_timer_is_tried_again_by_its_retry_policy(host: RunningHost, storage: Storage) -> None:
    host.fire("stubborn")

    [seen] = storage.wait_for(lambda item: _is_timer("stubborn", item))
    assert seen["retries"] == 2


def test_a_timer_runs_at_start_when_asked_to_and_never_overlaps_itself(
    own_host: RunningHost, storage: Storage, own_seen: str
) -> None:
    own_host.fire("tick")

    ticks = storage.wait_for(lambda item: _is_timer("tick", item), count=3, queue=own_seen)

    ordered = sorted(ticks, key=lambda tick: tick["started"])
    assert all(earlier["ended"] <= later["started"] for earlier, later in pairwise(ordered))


def test_a_night_that_was_missed_is_made_up_for_at_the_next_start(
    own_host: RunningHost, storage: Storage, own_seen: str
) -> None:
    blobs = BlobServiceClient.from_connection_string(storage.connection_string)
    container = blobs.get_container_client("azure-webjobs-hosts")
    until(lambda: container.exists() and any(_statuses(container)))
    own_host.stop()
    now = datetime.now(UTC)
    missed = {
        "Last": (now - timedelta(days=1)).isoformat(),
        "Next": (now - timedelta(hours=1)).isoformat(),
        "LastUpdated": (now - timedelta(days=1)).isoformat(),
    }
    for name in _statuses(container):
        container.upload_blob(name, json.dumps(missed), overwrite=True)

    own_host.start()

    [seen] = storage.wait_for(lambda item: _is_timer("nightly", item), queue=own_seen)
    assert seen["past_due"] is True
    assert seen["status"] == missed
    blobs.close()


def _statuses(container: Any) -> list[str]:
    return [name for name in container.list_blob_names() if "Host.Functions.nightly" in name]
