"""Runs over several repositories: every plan is seen before the first one is applied."""

from datetime import UTC, datetime

import pytest

from emulators.registry.images import build_image
from shared.errors import StorageUnavailable
from shared.jobs.advancing import leave_planning
from shared.jobs.cleaning import clean
from shared.jobs.nightly import start_night
from shared.jobs.runs import Run, open_push_cleanup, read_run, replication_run, run_name
from shared.messages import ApplyPlan, PlanRepository
from shared.oci.names import Reference, parse_login_server, parse_repository, parse_tag
from tests.jobs.world import World, body

OLD = "name: old, tags: ['pr-*'], older_than: 14d"


def two_repositories(world: World, *, limits: str = "") -> Run:
    """Open a night over two repositories with one removable tag each, and three tags to keep."""
    world.write_policy(OLD, limits=limits)
    for name in ("one", "two"):
        world.push(build_image(), tag="pr-1", at=f"{world.word}/{name}")
        for number in range(3):
            world.push(build_image(), tag=f"v{number}", at=f"{world.word}/{name}")
    return start_night(world.services, now=world.clock())


def plan_all(world: World) -> None:
    for message in world.take_cleanups():
        assert isinstance(message, PlanRepository)
        clean(world.services, body(message), clock=world.clock)


def test_a_run_reads_back_as_it_was_opened() -> None:
    run = Run(
        name="night-1",
        kind="night",
        started=datetime(2026, 1, 1, tzinfo=UTC),
        mode="apply",
        policy_digest="sha256:00",
        repositories=((parse_login_server("demo.azurecr.io"), parse_repository("team/app")),),
        problems=("the catalog of other.azurecr.io could not be read: 403",),
        queued=3,
    )
    assert Run.from_json(run.to_json()) == run


def test_names_of_runs_sort_by_time_and_tell_apart_what_began_in_the_same_second() -> None:
    moments = [datetime(2026, 1, 9, 2, 0, 0, 1, tzinfo=UTC), datetime(2026, 1, 10, 2, 0, tzinfo=UTC)]
    names = [run_name("night", moment) for moment in moments]
    assert names == ["night-20260109t020000000001z", "night-20260110t020000000000z"]
    assert replication_run(moments[0]) == "pushes-20260109"


def test_no_plan_is_applied_before_every_repository_was_planned(world: World) -> None:
    two_repositories(world)
    first, second = world.take_cleanups()
    clean(world.services, body(first), clock=world.clock)
    assert world.take_cleanups() == []
    clean(world.services, body(second), clock=world.clock)
    assert [type(message) for message in world.take_cleanups()] == [ApplyPlan, ApplyPlan]


def test_a_run_that_would_remove_too_much_in_all_removes_nothing(world: World) -> None:
    run = two_repositories(world, limits="{run: {deletions: 1}}")
    plan_all(world)
    assert world.take_cleanups() == []
    applying = world.services.runs.read_applying(run.name)
    assert applying is not None
    assert applying["refused"]["limit"] == "run"
    assert applying["refused"]["removals"] == 2
    assert "pr-1" in world.home(f"{world.word}/one").tags


def test_one_repository_that_fails_does_not_block_the_others(world: World) -> None:
    two_repositories(world)
    world.acr.faults.inject(path=f"/acr/v1/{world.word}/one.*", status=403, times=None)
    plan_all(world)
    (message,) = world.take_cleanups()
    clean(world.services, body(message), clock=world.clock)
    assert "pr-1" in world.home(f"{world.word}/one").tags
    assert "pr-1" not in world.home(f"{world.word}/two").tags


def test_a_worker_that_dies_between_sending_and_marking_sends_again_and_harms_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = two_repositories(world)

    def die(*_: object) -> None:
        raise StorageUnavailable("writing applying.json: 503")

    with monkeypatch.context() as patch:
        patch.setattr(type(world.services.runs), "mark_applying", die)
        messages = world.take_cleanups()
        clean(world.services, body(messages[0]), clock=world.clock)
        with pytest.raises(StorageUnavailable):
            clean(world.services, body(messages[1]), clock=world.clock)
    clean(world.services, body(messages[1]), clock=world.clock)
    again = world.take_cleanups()
    assert [type(message) for message in again] == [ApplyPlan] * 4
    steps = [clean(world.services, body(message), clock=world.clock).step for message in again]
    assert sorted(steps) == ["applied", "applied", "finished before", "finished before"]
    assert world.take_cleanups() == []
    assert {found.counts["untagged"] for found in world.services.runs.list_reports(run.name)} == {1}
    for name in ("one", "two"):
        assert list(world.home(f"{world.word}/{name}").tags) == ["v0", "v1", "v2"]


def test_a_run_goes_to_applying_once(world: World) -> None:
    run = two_repositories(world)
    plan_all(world)
    assert len(world.take_cleanups()) == 2
    leave_planning(world.services, run, now=world.clock())
    assert world.take_cleanups() == []


def test_without_a_policy_there_are_no_limits_and_so_nothing_is_removed(world: World) -> None:
    run = two_repositories(world)
    first, second = world.take_cleanups()
    clean(world.services, body(first), clock=world.clock)
    clean_policy = world.folder / "policy.yaml"
    clean_policy.write_text("version: 2")
    assert clean(world.services, body(second), clock=world.clock).step == "failed"
    assert world.take_cleanups() == []
    applying = world.services.runs.read_applying(run.name)
    assert applying is not None
    assert "version" in applying["refused"]["message"]


def test_a_run_in_plan_mode_never_goes_on_even_when_deleting_is_switched_on_later(world: World) -> None:
    world.set(CLEANUP_MODE="plan")
    run = two_repositories(world)
    plan_all(world)
    world.set(CLEANUP_MODE="apply")
    leave_planning(world.services, run, now=world.clock())
    assert world.take_cleanups() == []
    assert world.services.runs.read_applying(run.name) is None


PUSHED = "name: fresh, tags: ['pr-*'], keep_newest: 1, on_push: true"


def pushed(world: World) -> str | None:
    source = Reference(registry=world.registry, repository=world.repository, tag=parse_tag("pr-1"))
    return open_push_cleanup(world.services, world.services.policy.current(), source, now=world.clock())


def at_the_start_of_a_window(world: World) -> None:
    length = world.services.settings.push_cleanup_seconds
    world.clock.now = datetime.fromtimestamp((int(world.clock.now.timestamp()) // length + 1) * length, UTC)


def test_many_pushes_open_one_run_whose_message_waits_until_the_window_closed(world: World) -> None:
    world.write_policy(PUSHED)
    at_the_start_of_a_window(world)
    names = set()
    for _ in range(5):
        names.add(pushed(world))
        world.clock.pass_by(seconds=10)
    (name,) = names
    assert name is not None
    assert list(world.services.runs.list_runs()) == [name]
    assert world.services.cleanup_queue.length() == 1
    assert world.take_cleanups() == []
    world.clock.pass_by(seconds=world.services.settings.push_cleanup_seconds)
    assert pushed(world) != name
    run = read_run(world.services, name)
    assert run is not None
    assert (run.kind, run.repositories) == ("push", ((world.registry, world.repository),))


def test_a_push_where_no_rule_asks_for_it_opens_nothing(world: World) -> None:
    world.write_policy(OLD)
    assert pushed(world) is None
    assert list(world.services.runs.list_runs()) == []


def test_a_push_whose_run_could_not_be_saved_is_cleaned_up_after_the_event_came_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message must be there once the run is: nobody sends it later."""
    world.write_policy(PUSHED)
    store = world.services.runs

    def die(*_: object) -> None:
        raise StorageUnavailable("503")

    with monkeypatch.context() as patch:
        patch.setattr(type(world.services.cleanup_queue), "send", lambda *_, **__: die())
        with pytest.raises(StorageUnavailable):
            pushed(world)
    assert list(store.list_runs()) == []
    name = pushed(world)
    assert list(store.list_runs()) == [name]
    assert world.services.cleanup_queue.length() == 1


def test_a_cleanup_after_a_push_applies_only_the_rules_that_are_marked_for_it(world: World) -> None:
    world.write_policy(PUSHED, "name: feature, tags: ['feature-*'], older_than: 1d")
    for tag, days in (("pr-1", 5), ("pr-2", 4), ("feature-1", 40)):
        world.push(build_image(), tag=tag, days=days)
    name = pushed(world)
    assert name is not None
    message = PlanRepository(run=name, registry=world.registry, repository=world.repository)
    clean(world.services, body(message), clock=world.clock)
    (following,) = [found for found in world.take_cleanups() if isinstance(found, ApplyPlan)]
    clean(world.services, body(following), clock=world.clock)
    assert sorted(world.home().tags) == ["feature-1", "pr-2"]
