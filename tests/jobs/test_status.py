"""What people and monitors are told: how far a run is, what it did, and whether the app can work."""

from emulators.registry.images import build_image
from shared.jobs import status
from shared.jobs.cleaning import clean
from shared.jobs.nightly import start_night
from shared.oci.names import parse_repository
from tests.jobs.world import World, body

OLD = "name: old, tags: ['pr-*'], older_than: 14d"


def step(world: World) -> None:
    """Carry out the messages that wait now, but not those that they lead to."""
    for message in world.take_cleanups():
        clean(world.services, body(message), clock=world.clock)


def test_a_run_is_planning_then_applying_then_finished(world: World) -> None:
    world.write_policy(OLD)
    world.push(build_image(), tag="pr-1")
    run = start_night(world.services, now=world.clock())
    place = {"registry": world.registry, "repository": world.repository}

    def summary() -> dict[str, object]:
        found = status.run_summary(world.services, run.name)
        assert found is not None
        return found

    assert (summary()["state"], summary()["missing"]) == ("planning", [place])
    step(world)
    assert (summary()["state"], summary()["missing"]) == ("applying", [place])
    assert summary()["planned"]["untag"] == 1  # type: ignore[index]
    step(world)
    assert (summary()["state"], summary()["missing"]) == ("finished", [])
    assert summary()["done"]["untagged"] == summary()["done"]["deleted"] == 1  # type: ignore[index]


def test_a_refused_run_says_by_which_limit(world: World) -> None:
    world.write_policy(OLD, limits="{run: {deletions: 1}}")
    for number in range(2):
        world.push(build_image(), tag=f"pr-{number}")
    for number in range(3):
        world.push(build_image(), tag=f"v{number}")
    run = start_night(world.services, now=world.clock())
    step(world)
    found = status.run_summary(world.services, run.name)
    assert found is not None
    assert found["state"] == "refused"
    assert "would remove 2 of 5" in found["refused"]["message"]


def test_there_is_no_summary_of_a_run_that_never_was(world: World) -> None:
    assert status.run_summary(world.services, "night-0") is None


def test_runs_of_all_kinds_are_listed_newest_first(world: World) -> None:
    names = [
        "push-20260101t000000z-0123456789abcdef",
        "night-20260102t020000000000z",
        "reconciliation-20260102t040000000000z",
        "night-20260103t020000000000z",
    ]
    for name in names:
        world.services.runs.open_run(name, {})
    world.services.runs.replications("pushes-20260104").append([{"result": "copied"}])
    newest = ["pushes-20260104", *reversed(names)]
    assert status.list_runs(world.services, limit=50) == newest
    assert status.list_runs(world.services, limit=2) == newest[:2]


def test_a_day_of_pushes_is_summed_up_by_results(world: World) -> None:
    log = world.services.runs.replications("pushes-20260104")
    log.append([{"result": "copied"}, {"result": "copied"}, {"result": "failed"}])
    found = status.run_summary(world.services, "pushes-20260104")
    assert found is not None
    assert found["done"] == {"copied": 2, "failed": 1}


def test_an_unfinished_repository_shows_its_plan_and_the_outcomes_so_far(world: World) -> None:
    world.write_policy(OLD)
    world.push(build_image(), tag="pr-1")
    run = start_night(world.services, now=world.clock())
    arguments = (world.services, run.name, world.registry, world.repository)
    assert status.repository_report(*arguments) is None
    step(world)
    found = status.repository_report(*arguments)
    assert found is not None
    assert (found["finished"], found["outcomes"]) == (None, [])
    assert found["plan"]["untag"][0]["tag"] == "pr-1"
    step(world)
    found = status.repository_report(*arguments)
    assert found is not None
    assert found["finished"] is not None
    assert len(found["outcomes"]) == 2
    assert status.repository_report(*arguments[:3], parse_repository("no/such")) is None


def test_readiness_names_what_cannot_be_used(world: World) -> None:
    world.write_policy(OLD)
    well = status.readiness(world.services)
    assert set(well.values()) == {None}
    (world.folder / "policy.yaml").unlink()
    found = status.readiness(world.services)
    assert "policy.yaml" in str(found["policy"])
    assert {name for name, problem in found.items() if problem is not None} == {"policy"}
