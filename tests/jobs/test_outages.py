"""A registry that is out while a plan is applied is waited for; one request that fails is a failure."""

import pytest

from emulators.registry.images import build_image, build_index
from shared.errors import RegistryUnavailable
from tests.jobs.application import planned
from tests.jobs.world import World


@pytest.fixture
def unhurried(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A world in which waiting takes no time."""
    monkeypatch.setattr("shared.registry.counting.time.sleep", lambda _: None)
    return world


def test_an_outage_pauses_a_patient_application_which_goes_on_where_it_stopped(world: World) -> None:
    digests = {world.push(build_image(), tag=f"pr-{number}") for number in range(5)}
    application = planned(world)
    world.acr.faults.inject(method="DELETE", after=7, status=500, times=None)
    pause = application.run(threads=1, patient=True)
    assert pause is not None
    assert (pause.outage, pause.delay) == (True, 60)
    assert "does not answer" in pause.reason
    assert set(application.results.values()) == {"done"}
    assert len(application.outcomes) == 7
    world.acr.faults.clear()
    assert application.run(earlier=application.outcomes, patient=True) is None
    assert application.results == {**{f"pr-{n}": "done" for n in range(5)}, **dict.fromkeys(digests, "done")}
    assert len(application.outcomes) == 10


def out(world: World) -> None:
    world.acr.faults.inject(path=f".*{world.repository}.*", after=1, status=503, times=None)


@pytest.mark.parametrize("threads", [1, 4])
def test_an_outage_from_the_first_action_on_loses_nothing(unhurried: World, threads: int) -> None:
    unhurried.push(build_index([build_image()]), tag="pr-1")
    application = planned(unhurried)
    for _ in range(2):
        out(unhurried)
        pause = application.run(threads=threads, patient=True, earlier=application.outcomes)
        assert pause is not None
        assert pause.outage
        unhurried.acr.faults.clear()
    assert application.outcomes == []
    assert list(unhurried.home().tags) == ["pr-1"]


def test_one_request_that_fails_while_others_are_answered_is_a_failure(world: World) -> None:
    for number in range(4):
        world.push(build_image(), tag=f"pr-{number}")
    application = planned(world)
    world.acr.faults.inject(method="DELETE", nth=2, status=500)
    assert application.run(threads=1, patient=True) is None
    assert [result for tag, result in sorted(application.results.items()) if tag.startswith("pr-")] == [
        "done",
        "failed",
        "done",
        "done",
    ]
    assert len(application.outcomes) == 8


def test_one_thing_that_cannot_be_removed_holds_up_nothing_though_it_is_the_last(world: World) -> None:
    index = build_index([build_image()])
    world.push(index)
    application = planned(world)
    world.acr.faults.inject(method="DELETE", path=f".*{index.digest}", status=500, times=None)
    assert application.run(patient=True) is None
    assert application.results == {index.digest: "failed", index.children[0].digest: "reachable"}


def test_children_of_what_waits_for_the_registry_wait_too(unhurried: World) -> None:
    index = build_index([build_image()])
    unhurried.push(index)
    application = planned(unhurried)
    out(unhurried)
    assert application.run(patient=True) is not None
    assert application.outcomes == []
    unhurried.acr.faults.clear()
    assert application.run(patient=True) is None
    assert set(application.results.values()) == {"done"}


def test_an_application_that_is_not_patient_tries_no_more_after_three_failures_in_a_row(world: World) -> None:
    for _ in range(6):
        world.push(build_image())
    application = planned(world)
    world.acr.faults.inject(method="DELETE", status=500, times=None)
    assert application.run(threads=1) is None
    assert sorted(application.results.values()) == [*["failed"] * 3, *["skipped"] * 3]
    assert "does not answer" in next(each.detail for each in application.outcomes if each.result == "skipped")


def test_a_registry_that_is_out_at_the_first_look_pauses_whoever_is_patient(unhurried: World) -> None:
    unhurried.push(build_image(), tag="pr-1")
    application = planned(unhurried)
    unhurried.acr.faults.inject(path=f"/acr/v1/{unhurried.repository}", status=503, times=None)
    pause = application.run(patient=True)
    assert pause is not None
    assert pause.outage
    with pytest.raises(RegistryUnavailable):
        application.run()
    assert application.outcomes == []
