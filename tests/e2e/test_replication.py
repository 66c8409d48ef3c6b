"""A push becomes a replica, whatever Event Grid does to its events."""

from collections.abc import Iterator
from typing import Any

import pytest

from emulators.eventgrid import EventGridEmulator, Schema
from emulators.registry.images import build_cosign_signature, build_image, build_referrer, cosign_tag
from tests.e2e.world import ROUTES, World, assert_whole, eventually, multi_platform, unique, world

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def steward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("replication"), policy=ROUTES) as started:
        yield started


@pytest.fixture
def losing(steward: World) -> Iterator[World]:
    """Event Grid loses all events, so that a test delivers what it wants itself."""
    steward.stack.eventgrid.loss = 1.0
    try:
        yield steward
    finally:
        steward.stack.eventgrid.loss = 0.0


def test_a_multi_platform_push_arrives_whole_with_its_signatures(steward: World) -> None:
    repository, image = unique("whole"), multi_platform()
    signature, attestation = build_cosign_signature(image), build_referrer(image)

    steward.acr.push(repository, image, "v1")
    steward.acr.push(repository, signature, cosign_tag(image.digest))
    steward.acr.push(repository, attestation)

    steward.await_replica(repository, "v1", image)
    steward.await_replica(repository, cosign_tag(image.digest), signature)
    replica = steward.replica(repository)
    eventually(lambda: steward.hub.digest(replica, attestation.digest), "the attestation on Docker Hub")
    steward.await_quiet()
    assert steward.hub.tags(replica) == sorted(["v1", cosign_tag(image.digest)])
    (copied,) = [each for each in steward.outcomes(repository, "v1") if each["result"] == "copied"][:1]
    assert copied["digest"] == image.digest


@pytest.mark.parametrize("schema", ["CloudEventSchemaV1_0", "EventGridSchema"])
@pytest.mark.parametrize("delivery", ["queue", "webhook"])
def test_a_push_arrives_by_either_way_in_either_schema(losing: World, delivery: str, schema: Schema) -> None:
    stack = losing.stack
    repository, image = unique("delivery"), multi_platform()
    losing.acr.push(repository, image, "v1")
    with EventGridEmulator(schema=schema) as grid:
        if delivery == "queue":
            grid.deliver_to_queue(stack.azurite.connection_string, stack.settings["EVENTS_QUEUE"])
        else:
            grid.deliver_to_webhook(losing.host.event_grid_url("on_registry_event"))
        for event in events_of(losing, repository):
            grid.publish(event, topic=stack.acr.resource_id)
        grid.drain()
        assert not grid.dead_letters

    losing.await_replica(repository, "v1", image)


def test_duplicate_events_copy_once(steward: World) -> None:
    repository, image = unique("twice"), multi_platform()
    steward.stack.eventgrid.duplicates = 1.0
    try:
        steward.acr.push(repository, image, "v1")
        steward.await_quiet()
    finally:
        steward.stack.eventgrid.duplicates = 0.0

    steward.await_replica(repository, "v1", image)
    outcomes = eventually(
        lambda: found if len(found := steward.outcomes(repository, "v1")) == 2 else None, "two outcomes"
    )
    assert {outcome["result"] for outcome in outcomes} <= {"copied", "up_to_date"}
    assert "copied" in {outcome["result"] for outcome in outcomes}


def test_reordered_events_end_with_the_latest_push(steward: World) -> None:
    repository = unique("reordered")
    images = [build_image() for _ in range(4)]
    steward.stack.eventgrid.reorder = True
    try:
        for image in images:
            steward.acr.push(repository, image, "latest")
        steward.await_quiet()
    finally:
        steward.stack.eventgrid.reorder = False

    steward.await_replica(repository, "latest", images[-1])


def test_the_event_of_an_older_push_does_not_take_the_tag_back(losing: World) -> None:
    repository, first, second = unique("late"), build_image(), build_image()
    losing.acr.push(repository, first, "latest")
    losing.acr.push(repository, second, "latest")
    older, newer = (event for event in events_of(losing, repository) if event["target"].get("tag"))

    publish(losing, newer)
    losing.await_replica(repository, "latest", second)
    publish(losing, older)
    eventually(lambda: len(losing.outcomes(repository, "latest")) == 2, "the late event")

    assert [outcome["result"] for outcome in losing.outcomes(repository, "latest")] == [
        "copied",
        "up_to_date",
    ]
    assert_whole(losing.hub, losing.replica(repository), "latest", second)


def test_a_tag_deleted_before_its_event_is_not_copied(losing: World) -> None:
    repository = unique("gone")
    losing.acr.push(repository, build_image(), "v1")
    losing.state.delete_tag(repository, "v1")

    publish(losing, *events_of(losing, repository))
    (outcome,) = eventually(lambda: losing.outcomes(repository, "v1"), "the outcome")

    assert outcome["result"] == "gone"
    assert losing.hub_digest(repository, "v1") is None


def test_a_repository_deleted_before_its_event_is_not_copied(losing: World) -> None:
    repository = unique("vanished")
    losing.acr.push(repository, build_image(), "v1")
    losing.state.delete_repository(repository)

    publish(losing, *events_of(losing, repository))
    (outcome,) = eventually(lambda: losing.outcomes(repository, "v1"), "the outcome")

    assert outcome["result"] == "gone"


def test_a_tag_that_moves_while_it_is_copied_is_followed(losing: World) -> None:
    repository, first, second = unique("moving"), multi_platform(), multi_platform()
    losing.acr.push(repository, first, "latest")
    slow = losing.stack.dockerhub.faults.inject(
        method="PUT", path=f"/v2/{losing.replica(repository)}/blobs/uploads/.*", times=None, delay=1.0
    )
    publish(losing, *events_of(losing, repository))
    eventually(lambda: slow.fired, "the copy to begin")

    losing.acr.push(repository, second, "latest")  # nobody hears of it

    losing.await_replica(repository, "latest", second)
    (outcome,) = eventually(lambda: losing.outcomes(repository, "latest"), "the outcome")
    assert outcome["digest"] == second.digest


def test_a_tag_that_is_deleted_while_it_is_copied_does_not_appear(losing: World) -> None:
    repository = unique("leaving")
    losing.acr.push(repository, multi_platform(), "v1")
    slow = losing.stack.dockerhub.faults.inject(
        method="PUT", path=f"/v2/{losing.replica(repository)}/blobs/uploads/.*", times=None, delay=1.0
    )
    publish(losing, *events_of(losing, repository))
    eventually(lambda: slow.fired, "the copy to begin")

    losing.state.delete_tag(repository, "v1")

    (outcome,) = eventually(lambda: losing.outcomes(repository, "v1"), "the outcome")
    assert outcome["result"] == "gone"
    assert losing.hub_digest(repository, "v1") is None


def test_a_tag_that_moves_all_the_time_is_copied_once_it_rests(losing: World) -> None:
    """Nobody hears of the moves, so the one message must not be taken for done before it is right."""
    repository = unique("restless")
    losing.acr.push(repository, build_image(), "latest")
    slow = losing.stack.dockerhub.faults.inject(
        method="PUT", path=f"/v2/{losing.replica(repository)}/blobs/uploads/.*", times=None, delay=0.4
    )
    publish(losing, *events_of(losing, repository))
    eventually(lambda: slow.fired, "the copy to begin")

    def moved_too_often() -> bool:
        losing.acr.push(repository, build_image(), "latest")
        return f"{repository}:latest moved 3 times while it was copied" in losing.host.log

    eventually(moved_too_often, "the copy to give way")
    image = build_image()
    losing.acr.push(repository, image, "latest")

    losing.await_replica(repository, "latest", image)


def test_a_lost_event_is_made_up_for_by_reconciliation(losing: World) -> None:
    missing, different = unique("lost"), unique("stale")
    image, old, new = multi_platform(), build_image(), build_image()
    losing.acr.push(different, old, "latest")
    publish(losing, *events_of(losing, different))
    losing.await_replica(different, "latest", old)
    losing.acr.push(missing, image, "v1")
    losing.acr.push(different, new, "latest")

    run = losing.open_run("start_reconciliation", "reconciliation")

    losing.await_replica(missing, "v1", image)
    losing.await_replica(different, "latest", new)
    losing.await_quiet()
    assert (losing.get(f"runs/{run}") or {})["problems"] == []
    assert {outcome["result"] for outcome in losing.outcomes(missing, "v1", kind="reconciliation")} == {
        "copied"
    }
    again = losing.open_run("start_reconciliation", "reconciliation")
    losing.await_quiet()
    assert (losing.get(f"runs/{again}/replications") or {})["replications"] == []


def events_of(steward: World, repository: str) -> list[dict[str, Any]]:
    return [event for event in steward.stack.acr_events() if event["target"]["repository"] == repository]


def publish(steward: World, *events: dict[str, Any]) -> None:
    """Deliver these events in this order, though Event Grid loses all others."""
    steward.stack.eventgrid.loss = 0.0
    try:
        for event in events:
            steward.stack.eventgrid.publish(event, topic=steward.stack.acr.resource_id)
        steward.stack.eventgrid.drain()
    finally:
        steward.stack.eventgrid.loss = 1.0
