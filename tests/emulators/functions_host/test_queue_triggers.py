import json
import time
from datetime import UTC, datetime, timedelta

import pytest
import requests

from emulators.functions_host import RunningHost
from tests.emulators.functions_host.fixture_host import Storage, until

pytestmark = pytest.mark.xdist_group("functions_host")


def test_a_message_reaches_its_function_with_all_that_the_queue_says_of_it(
    host: RunningHost, storage: Storage
) -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)

    storage.send("work", "hello")

    [seen] = storage.wait_for(lambda item: isinstance(item, dict) and item.get("body") == "hello")
    assert seen["dequeue_count"] == 1
    assert seen["id"]
    assert seen["pop_receipt"]
    assert seen["function"] == "work"
    assert before < datetime.fromisoformat(seen["insertion_time"]) < before + timedelta(seconds=30)
    assert datetime.fromisoformat(seen["time_next_visible"]) > before
    assert datetime.fromisoformat(seen["expiration_time"]) > before + timedelta(days=6)
    until(lambda: storage.length("work") == 0)
    assert host.pid is not None


def test_a_message_that_keeps_failing_is_tried_max_dequeue_count_times_and_poisons(
    host: RunningHost, storage: Storage
) -> None:
    storage.send("work", "fail")

    [seen] = storage.wait_for(lambda item: isinstance(item, dict) and item.get("poisoned") == "fail")
    assert seen["dequeue_count"] == 1
    tries = [json.loads(line) for line in host.log.splitlines() if '"body": "fail"' in line]
    assert len(tries) == 3
    until(lambda: storage.length("work") == 0)


def test_a_message_that_is_not_base64_poisons_without_a_call(host: RunningHost, storage: Storage) -> None:
    calls = host.log.count("Executing 'Functions.work'")

    storage.send_raw("work", "{not base64}")

    until(lambda: storage.length("work-poison") == 1)
    until(lambda: storage.length("work") == 0)
    assert host.log.count("Executing 'Functions.work'") == calls
    assert "its text is not base64" in host.log


def test_a_message_stays_hidden_for_as_long_as_its_function_runs(host: RunningHost, storage: Storage) -> None:
    storage.send("work", "sleep 2.6")

    storage.wait_for(lambda item: isinstance(item, dict) and item.get("body") == "sleep 2.6")
    time.sleep(0.5)

    assert host.log.count('"body": "sleep 2.6"') == 1, "it was seen a second time after two seconds"
    until(lambda: storage.length("work") == 0)


def test_messages_run_side_by_side_up_to_the_limits_of_host_json(host: RunningHost, storage: Storage) -> None:
    bodies = [f"member {number}" for number in range(40)]
    storage.send("crowd", *bodies)

    seen = storage.wait_for(lambda item: isinstance(item, dict) and "crowd" in item, count=40)

    assert {item["crowd"] for item in seen} == set(bodies)
    assert 6 <= max(item["most"] for item in seen) <= 12, "batchSize 8 and newBatchThreshold 4 make 12"
    assert host.pid is not None


def test_outputs_become_messages_one_by_one(
    host: RunningHost, storage: Storage, http: requests.Session
) -> None:
    assert http.get(f"{host.url}/api/enqueue/abc").status_code == 202

    storage.wait_for(lambda item: item == "one abc")
    storage.wait_for(lambda item: item == "first abc")
    storage.wait_for(lambda item: item == "second abc")


def test_a_message_of_a_killed_host_is_seen_again_when_its_hiding_is_over(
    own_host: RunningHost, storage: Storage, own_seen: str, own_work: str
) -> None:
    storage.send(own_work, "sleep 1.5")
    until(lambda: '"body": "sleep 1.5"' in own_host.log)

    own_host.kill()
    assert own_host.pid is None
    own_host.start()

    [seen] = storage.wait_for(
        lambda item: isinstance(item, dict) and item.get("body") == "sleep 1.5", queue=own_seen
    )
    assert seen["dequeue_count"] == 2
    until(lambda: storage.length(own_work) == 0)


def test_a_host_that_is_asked_to_stop_ends_what_it_began(
    own_host: RunningHost, storage: Storage, own_seen: str, own_work: str
) -> None:
    storage.send(own_work, "sleep 1")
    until(lambda: '"body": "sleep 1"' in own_host.log)

    own_host.stop()

    assert storage.length(own_work) == 0
    storage.wait_for(lambda item: isinstance(item, dict) and item.get("body") == "sleep 1", queue=own_seen)
