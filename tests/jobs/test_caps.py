"""A cap stops a run cleanly: what is left says so, and goes in the next one."""

import pytest

from emulators.registry.images import build_image
from shared.errors import StorageUnavailable
from shared.jobs.cleaning import clean
from shared.jobs.nightly import start_night
from shared.jobs.status import run_summary
from tests.jobs.running import OLD, finished, report, work
from tests.jobs.world import World, body


def write_policy(world: World, at_most: str) -> None:
    world.write_policy(OLD)
    path = world.folder / "policy.yaml"
    path.write_text(path.read_text().replace("retention:\n", f"retention:\n  at_most: {at_most}\n"))


def fill(world: World, name: str, images: int) -> str:
    repository = f"{world.word}/{name}"
    for number in range(images):
        world.push(build_image(), tag=f"pr-{number}", days=40 + number, at=repository)
    world.push(build_image(), tag="v1", at=repository)
    return repository


def tags(world: World, repository: str) -> list[str]:
    return sorted(world.home(repository).tags)


def test_a_repository_loses_no_more_than_its_cap_in_one_night_and_the_rest_in_the_next(world: World) -> None:
    write_policy(world, "{repository: 4}")
    repository = fill(world, "app", 3)
    run = start_night(world.services, now=world.clock())
    work(world)
    assert tags(world, repository) == ["pr-0", "v1"]
    plan = report(world, run, repository)["plan"]
    assert (plan["postponed"]["tags"], plan["postponed"]["manifests"]) == (1, 1)
    assert {
        "tag": "pr-0",
        "rule": "old",
        "reason": "left for the next run: the cap of 4 removals a repository",
    } in (plan["keep"])
    summary = run_summary(world.services, run.name)
    assert summary is not None
    left = {"repositories": 1, "tags": 1, "manifests": 1}
    assert summary["postponed"] == finished(world, run)["postponed"] == left
    world.clock.pass_by(days=1)
    start_night(world.services, now=world.clock())
    work(world)
    assert tags(world, repository) == ["v1"]


def test_a_run_carries_out_the_shortest_plans_and_reports_which_repositories_wait(world: World) -> None:
    write_policy(world, "{run: 6}")
    big, small, other = (fill(world, name, images) for name, images in (("big", 3), ("one", 1), ("two", 2)))
    run = start_night(world.services, now=world.clock())
    work(world)
    assert [len(tags(world, name)) for name in (big, small, other)] == [4, 1, 1]
    waiting = report(world, run, big)
    assert (waiting["plan"]["untag"], waiting["plan"]["delete"], waiting["outcomes"]) == ([], [], [])
    assert waiting["plan"]["postponed"] == {
        "cap": "run",
        "most": 6,
        "tags": 3,
        "manifests": 3,
        "message": "3 tags and 3 manifests are left for the next run; the cap of a run is 6 removals",
    }
    assert finished(world, run)["postponed"] == {"repositories": 1, "tags": 3, "manifests": 3}
    assert finished(world, run)["missing"] == 0
    world.clock.pass_by(days=1)
    start_night(world.services, now=world.clock())
    work(world)
    assert tags(world, big) == ["v1"]


def test_a_worker_that_dies_while_it_postpones_leaves_that_to_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cap holds for the whole run, though it is decided on twice."""
    write_policy(world, "{run: 2}")
    names = [fill(world, name, 1) for name in ("a", "b", "c")]
    run = start_night(world.services, now=world.clock())
    messages = world.take_cleanups()

    def die(*_: object) -> None:
        raise StorageUnavailable("writing applying.json: 503")

    for message in messages[:-1]:
        clean(world.services, body(message), clock=world.clock)
    with monkeypatch.context() as patch:
        patch.setattr(type(world.services.runs), "mark_applying", die)
        with pytest.raises(StorageUnavailable):
            clean(world.services, body(messages[-1]), clock=world.clock)
    (early,) = world.take_cleanups()
    clean(world.services, body(early), clock=world.clock)
    clean(world.services, body(messages[-1]), clock=world.clock)
    work(world)
    assert [len(tags(world, name)) for name in names] == [1, 2, 2]
    assert finished(world, run)["postponed"]["repositories"] == 2


def test_a_plan_without_a_night_to_follow_is_told_of_the_cap_too(world: World) -> None:
    """In plan mode nothing is removed, and the plan is the one that a run would carry out."""
    write_policy(world, "{repository: 2, run: 2}")
    repository = fill(world, "app", 2)
    world.set(CLEANUP_MODE="plan")
    run = start_night(world.services, now=world.clock())
    work(world)
    plan = report(world, run, repository)["plan"]
    assert [entry["tag"] for entry in plan["untag"]] == ["pr-1"]
    assert plan["postponed"]["cap"] == "repository"
    assert len(tags(world, repository)) == 3
