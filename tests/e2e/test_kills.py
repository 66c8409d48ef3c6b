"""A worker killed in the middle of its work: the next one goes on, and the end is as if nothing had been."""

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from emulators.registry.images import build_image
from tests.e2e.world import (
    World,
    assert_whole,
    days_ago,
    eventually,
    multi_platform,
    retention,
    unique,
    world,
)

pytestmark = pytest.mark.e2e


SLOW = 0.3


@pytest.fixture(scope="module")
def steward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(
        tmp_path_factory.mktemp("kills"),
        settings={"CLEANUP_MODE": "apply", "REGISTRY_THREADS": "2", "INVOCATION_SECONDS": "5"},
        host_visibility_seconds=3.0,
    ) as started:
        yield started


def kill_and_start(steward: World) -> None:
    steward.host.kill()
    steward.stack.acr.faults.clear()
    steward.stack.dockerhub.faults.clear()
    steward.host.start()


def test_a_copy_killed_between_two_blobs_goes_on_with_the_second(steward: World) -> None:
    repository, image = unique("copy"), multi_platform(layers=3)
    steward.write_policy(retention(routes=True))
    replica = steward.replica(repository)
    hub = steward.stack.dockerhub
    hub.faults.inject(method="PUT", path=f"/v2/{replica}/blobs/uploads/.*", after=2, times=None, delay=60)
    steward.acr.push(repository, image, "v1")
    eventually(lambda: committed(steward, replica).total() >= 2, "two blobs to arrive")
    before = committed(steward, replica)
    assert steward.hub_digest(repository, "v1") is None

    kill_and_start(steward)

    steward.await_replica(repository, "v1", image)
    after = committed(steward, replica)
    assert all(after[digest] == 1 for digest in before), "what had arrived was not sent again"
    assert after.keys() == {digest for node in image.walk() for digest in node.blobs}


def committed(steward: World, replica: str) -> Counter[str]:
    """Return how often each blob of the replica was uploaded to its end."""
    return Counter(
        request.query.rpartition("digest=")[2].replace("%3A", ":")
        for request in steward.stack.dockerhub.traffic.requests
        if request.method == "PUT" and f"/{replica}/blobs/uploads/" in request.path and request.status == 201
    )


def test_an_application_killed_between_two_deletes_goes_on_with_the_second(steward: World) -> None:
    repository = unique("apply")
    keep = multi_platform()
    keep.push_to(steward.state, repository, tag="nightly", at=days_ago(90))
    goes: set[str] = set()
    image = build_image()
    for number in range(8):
        image = multi_platform() if number % 4 == 0 else build_image()
        image.push_to(steward.state, repository, tag=f"pr-{number}", at=days_ago(30))
        goes |= {f"pr-{number}", *(node.digest for node in image.walk())}
    steward.write_policy(retention(repository))
    steward.stack.acr.faults.inject(
        method="DELETE", path=f"/(acr/v1|v2)/{repository}/.*", times=None, delay=SLOW
    )
    run = steward.open_night()
    saved = eventually(lambda: saved_outcomes(steward, run, repository), "the first outcomes")
    assert image.digest in steward.state.repository(repository).manifests

    kill_and_start(steward)

    assert steward.ended(run)["state"] == "finished"
    report = steward.finished_report(run, repository)
    outcomes = {outcome["target"]: outcome for outcome in report["outcomes"]}
    assert outcomes.keys() == goes
    assert len(report["outcomes"]) == len(goes)
    assert {outcome["result"] for outcome in report["outcomes"]} <= {"done", "already_gone"}
    for outcome in saved:
        assert outcomes[outcome["target"]] == outcome, "what was recorded before the kill is kept as it was"
    assert max(deleted(steward, repository).values()) == 1
    content = steward.state.repository(repository)
    assert set(content.tags) == {"nightly"}
    assert set(content.manifests) == {node.digest for node in keep.walk()}
    assert_whole(steward.acr, repository, "nightly", keep)


def saved_outcomes(steward: World, run: str, repository: str) -> list[dict[str, Any]]:
    report = steward.report(run, repository)
    return report["outcomes"] if report is not None and report["finished"] is None else []


def deleted(steward: World, repository: str) -> Counter[str]:
    """Return how often the registry carried out a delete of each thing."""
    return Counter(
        request.path
        for request in steward.stack.acr.traffic.requests
        if request.method == "DELETE" and repository in request.path and request.status == 202
    )


def test_an_application_that_runs_out_of_time_goes_on_in_the_next_message(steward: World) -> None:
    repository = unique("long")
    goes: set[str] = set()
    for number in range(12):
        image = build_image()
        image.push_to(steward.state, repository, tag=f"pr-{number}", at=days_ago(30))
        goes |= {image.digest, f"pr-{number}"}
    steward.write_policy(retention(repository))
    slow = steward.stack.acr.faults.inject(
        method="DELETE", path=f"/(acr/v1|v2)/{repository}/.*", times=None, delay=0.6
    )
    started = time.monotonic()

    report = steward.finished_report(steward.night()["run"], repository)

    assert slow.fired == len(goes)
    assert time.monotonic() - started > 5
    assert {outcome["target"]: outcome["result"] for outcome in report["outcomes"]} == dict.fromkeys(
        goes, "done"
    )
    assert len(report["outcomes"]) == len(goes)
    assert "the invocation's time is used up" in steward.host.log
