"""One repository by messages: planned, applied, continued, given up; nothing lost, nothing done twice."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from emulators.registry.images import build_image
from shared.errors import InvalidMessage, RegistryUnavailable, StorageUnavailable
from shared.jobs.cleaning import Step, clean
from shared.jobs.delivery import Delivery
from shared.jobs.nightly import start_night
from shared.jobs.runs import Run
from shared.messages import ApplyPlan, PlanRepository, ReplicateTag
from shared.oci.names import Reference, parse_tag
from shared.retention.traffic import Traffic
from tests.jobs.world import World, body, counted

OLD = "name: old, tags: ['pr-*'], older_than: 14d"


def opened(world: World) -> Run:
    return start_night(world.services, now=world.clock())


def work(world: World, *, most: int = 50) -> list[Step]:
    """Handle cleanup messages until none is left, as the Functions host would."""
    steps: list[Step] = []
    while messages := world.take_cleanups():
        for message in messages:
            steps.append(clean(world.services, body(message), clock=world.clock))
            assert len(steps) < most
    return steps


def report(world: World, run: Run) -> dict[str, Any]:
    found = world.services.runs.read_report(world.part(run.name))
    assert found is not None
    return found


def apply_message(world: World, run: Run, continuation: int = 0) -> bytes:
    return body(
        ApplyPlan(
            run=run.name, registry=world.registry, repository=world.repository, continuation=continuation
        )
    )


def plan_message(world: World, run: Run) -> bytes:
    return body(PlanRepository(run=run.name, registry=world.registry, repository=world.repository))


def test_a_night_in_apply_mode_plans_then_applies_then_reports(world: World) -> None:
    world.write_policy(OLD)
    gone = world.push(build_image(), tag="pr-1")
    kept = world.push(build_image(), tag="pr-2", days=1)
    run = opened(world)
    assert [step.step for step in work(world)] == ["planned", "applied"]
    assert list(world.home().tags) == ["pr-2"]
    assert list(world.home().manifests) == [kept]
    document = report(world, run)
    assert counted(document["outcomes"]) == {"done": ["pr-1", gone]}
    (found,) = world.services.runs.list_reports(run.name)
    assert (found.counts["untagged"], found.counts["deleted"]) == (1, 1)
    assert list(world.services.runs.outcomes(world.part(run.name)).read()) == document["outcomes"]


def test_plan_mode_stops_after_the_plans(world: World) -> None:
    world.set(CLEANUP_MODE="plan")
    world.write_policy(OLD)
    world.push(build_image(), tag="pr-1")
    run = opened(world)
    assert [step.step for step in work(world)] == ["planned"]
    assert report(world, run)["outcomes"] == []
    assert [removal["tag"] for removal in report(world, run)["plan"]["untag"]] == ["pr-1"]
    assert list(world.home().tags) == ["pr-1"]


@pytest.mark.parametrize("mode", ["plan", "apply"])
def test_a_worker_that_dies_after_saving_the_plan_leaves_it_to_the_next(
    world: World, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the repository is finished by its plan or goes on to be applied."""
    world.set(CLEANUP_MODE=mode)
    world.write_policy(OLD)
    world.push(build_image(), tag="pr-1")
    run = opened(world)
    store = world.services.runs
    with monkeypatch.context() as patch:
        patch.setattr(type(store), "save_report", fail_storage)
        patch.setattr(type(store), "mark_applying", fail_storage)
        with pytest.raises(StorageUnavailable):
            clean(world.services, plan_message(world, run), clock=world.clock)
    saved = store.read_plan(world.part(run.name))
    world.push(build_image(), tag="pr-2")
    work(world)
    assert store.read_plan(world.part(run.name)) == saved, "a plan is not made twice"
    assert list(world.home().tags) == (["pr-1", "pr-2"] if mode == "plan" else ["pr-2"])
    assert len(report(world, run)["outcomes"]) == (0 if mode == "plan" else 2)


def fail_storage(*_: object, **__: object) -> None:
    raise StorageUnavailable("writing: 503 ServerBusy")


def test_a_refused_repository_is_finished_and_untouched(world: World) -> None:
    world.write_policy(OLD, limits="{repository: {deletions: 1}}")
    for number in range(2):
        world.push(build_image(), tag=f"pr-{number}")
    run = opened(world)
    (step,) = work(world)
    assert "would remove 2 of 2" in step.detail
    assert report(world, run)["plan"]["refused"]["removals"] == 2
    assert len(world.home().tags) == 2


def test_an_apply_message_for_a_refused_plan_removes_nothing(world: World) -> None:
    world.write_policy(OLD, limits="{repository: {deletions: 1}}")
    for number in range(2):
        world.push(build_image(), tag=f"pr-{number}")
    run = opened(world)
    work(world)

    container = world.services.runs._container
    container.delete_blob(world.part(run.name).path("report.json"))
    step = clean(world.services, apply_message(world, run), clock=world.clock)
    assert step.step == "left alone"
    assert len(world.home().tags) == 2
    assert report(world, run)["outcomes"] == []


def test_deleting_switched_off_between_plan_and_apply_leaves_all_alone(world: World) -> None:
    world.write_policy(OLD)
    world.push(build_image(), tag="pr-1")
    run = opened(world)
    clean(world.services, plan_message(world, run), clock=world.clock)
    world.set(CLEANUP_MODE="plan")
    step = clean(world.services, apply_message(world, run), clock=world.clock)
    assert (step.step, step.detail) == ("left alone", "deleting is not switched on")
    assert list(world.home().tags) == ["pr-1"]
    assert report(world, run)["missing"] == 2


def test_a_policy_that_changed_since_the_plan_stops_the_application(world: World) -> None:
    world.write_policy(OLD)
    world.push(build_image(), tag="pr-1")
    run = opened(world)
    clean(world.services, plan_message(world, run), clock=world.clock)
    world.write_policy("name: old, tags: ['pr-*'], older_than: 60d")
    clean(world.services, apply_message(world, run), clock=world.clock)
    assert report(world, run)["failed"] == "the policy changed after the plan was made"
    assert list(world.home().tags) == ["pr-1"]


def test_a_policy_that_broke_since_the_plan_stops_the_application(world: World) -> None:
    world.write_policy(OLD)
    world.push(build_image(), tag="pr-1")
    run = opened(world)
    clean(world.services, plan_message(world, run), clock=world.clock)
    (world.folder / "policy.yaml").write_text("version: 2")
    clean(world.services, apply_message(world, run), clock=world.clock)
    assert "version" in str(report(world, run)["failed"])
    assert list(world.home().tags) == ["pr-1"]


def test_a_plan_of_yesterday_is_not_carried_out(world: World) -> None:
    world.write_policy(OLD)
    world.push(build_image(), tag="pr-1")
    run = opened(world)
    clean(world.services, plan_message(world, run), clock=world.clock)
    world.clock.pass_by(hours=24, seconds=1)
    clean(world.services, apply_message(world, run), clock=world.clock)
    assert "too old" in str(report(world, run)["failed"])
    assert list(world.home().tags) == ["pr-1"]


def test_an_application_without_end_is_given_up(world: World) -> None:
    world.write_policy(OLD)
    world.push(build_image(), tag="pr-1")
    run = opened(world)
    clean(world.services, plan_message(world, run), clock=world.clock)
    clean(world.services, apply_message(world, run, continuation=201), clock=world.clock)
    assert report(world, run)["failed"] == "given up after 201 invocations"


def test_an_application_out_of_time_goes_on_in_the_next_message(world: World) -> None:
    world.write_policy(OLD)
    world.set(INVOCATION_SECONDS="5", REGISTRY_THREADS="1")
    digests = {world.push(build_image(), tag=f"pr-{number}") for number in range(4)}
    run = opened(world)
    clean(world.services, plan_message(world, run), clock=world.clock)
    first = [message for message in world.take_cleanups() if isinstance(message, ApplyPlan)]
    ticking = Ticking(world.clock(), step=timedelta(seconds=1))
    step = clean(world.services, body(first[0]), clock=ticking)
    assert step.step == "paused"
    assert world.services.runs.read_report(world.part(run.name)) is None
    done = len(list(world.services.runs.outcomes(world.part(run.name)).read()))
    assert 0 < done < 8
    (following,) = world.take_cleanups()
    assert following == ApplyPlan(
        run=run.name, registry=world.registry, repository=world.repository, continuation=1
    )
    clean(world.services, body(following), clock=world.clock)
    outcomes = counted(report(world, run)["outcomes"])
    assert outcomes == {"done": sorted([*(f"pr-{number}" for number in range(4)), *digests])}


class Ticking:
    """A clock on which some time passes between any two looks."""

    def __init__(self, start: datetime, *, step: timedelta) -> None:
        self._now = start
        self._step = step

    def __call__(self) -> datetime:
        self._now += self._step
        return self._now


def test_a_rate_limit_delays_the_message_that_goes_on(world: World) -> None:
    world.write_policy(OLD)
    world.push(build_image(), tag="pr-1")
    run = opened(world)
    clean(world.services, plan_message(world, run), clock=world.clock)
    world.take_cleanups()
    world.acr.faults.inject(method="DELETE", status=429, headers={"Retry-After": "300"}, times=None)
    assert clean(world.services, apply_message(world, run), clock=world.clock).step == "paused"
    assert world.take_cleanups() == [], "it waits"
    assert world.services.cleanup_queue.length() == 1


def test_a_worker_killed_after_a_delete_that_it_did_not_record_is_gone_about_again(world: World) -> None:
    world.write_policy(OLD)
    digest = world.push(build_image(), tag="pr-1")
    run = opened(world)
    clean(world.services, plan_message(world, run), clock=world.clock)
    world.acr.state.delete_manifest(world.repository, digest)
    clean(world.services, apply_message(world, run), clock=world.clock)
    assert counted(report(world, run)["outcomes"]) == {"already_gone": ["pr-1", digest]}


@pytest.mark.parametrize(("number", "steps"), [(2, ["applied"]), (3, ["paused", "applied"])])
def test_a_message_whose_workers_died_but_got_further_is_replaced_before_it_is_given_up(
    world: World, number: int, steps: list[str]
) -> None:
    world.write_policy(OLD)
    digest = world.push(build_image(), tag="pr-1")
    run = opened(world)
    clean(world.services, plan_message(world, run), clock=world.clock)
    world.take_cleanups()
    queued = world.clock.now
    world.clock.pass_by(seconds=1)
    world.acr.state.delete_tag(world.repository, "pr-1")
    log = world.services.runs.outcomes(world.part(run.name))
    done = {"action": "untag", "target": "pr-1", "result": "done", "at": world.clock().isoformat()}
    log.append([{**done, "detail": ""}])
    delivery = Delivery(number=number, queued=queued)
    taken = [clean(world.services, apply_message(world, run), clock=world.clock, delivery=delivery)]
    taken += work(world)
    assert [step.step for step in taken] == steps
    assert counted(report(world, run)["outcomes"]) == {"done": sorted(["pr-1", digest])}


def test_a_message_whose_workers_died_with_nothing_done_is_left_for_the_queue_to_give_up(
    world: World,
) -> None:
    world.write_policy(OLD)
    world.push(build_image(), tag="pr-1")
    run = opened(world)
    clean(world.services, plan_message(world, run), clock=world.clock)
    world.take_cleanups()
    delivery = Delivery(number=5, queued=world.clock.now)
    step = clean(world.services, apply_message(world, run), clock=world.clock, delivery=delivery)
    assert step.step == "applied"


def test_a_message_delivered_twice_changes_nothing_more(world: World) -> None:
    world.write_policy(OLD)
    world.push(build_image(), tag="pr-1")
    run = opened(world)
    work(world)
    before = report(world, run)
    world.push(build_image(), tag="pr-2")
    for message in (plan_message(world, run), apply_message(world, run)):
        assert clean(world.services, message, clock=world.clock).step == "finished before"
    assert report(world, run) == before
    assert list(world.home().tags) == ["pr-2"]


def test_a_repository_that_is_gone_is_finished_without_success(world: World) -> None:
    world.write_policy(OLD)
    world.push(build_image(), tag="pr-1")
    run = opened(world)
    world.acr.state.delete_repository(world.repository)
    (step,) = work(world)
    assert step.step == "gone"
    assert "does not exist" in str(report(world, run)["failed"])


def test_a_registry_that_refuses_fails_its_repository_and_is_acknowledged(world: World) -> None:
    world.write_policy(OLD)
    world.push(build_image(), tag="pr-1")
    run = opened(world)
    world.acr.faults.inject(path=f"/acr/v1/{world.repository}.*", status=403, times=None)
    (step,) = work(world)
    assert step.step == "failed"
    assert "403" in step.detail
    assert "403" in str(report(world, run)["failed"])


def test_a_passing_failure_is_raised_for_the_queue_to_deliver_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.registry.retry.random.uniform", lambda *_: 0.0)
    world.write_policy(OLD)
    world.push(build_image(), tag="pr-1")
    run = opened(world)
    world.acr.faults.inject(path=f"/acr/v1/{world.repository}.*", status=503, times=None)
    with pytest.raises(RegistryUnavailable):
        clean(world.services, plan_message(world, run), clock=world.clock)
    assert world.services.runs.read_report(world.part(run.name)) is None
    assert world.services.runs.read_plan(world.part(run.name)) is None


def test_a_failure_in_the_middle_keeps_count_of_what_was_done(world: World) -> None:
    world.write_policy(OLD)
    world.push(build_image(), tag="pr-1")
    run = opened(world)
    clean(world.services, plan_message(world, run), clock=world.clock)
    log = world.services.runs.outcomes(world.part(run.name))
    at = datetime.now(UTC).isoformat()
    log.append([{"action": "untag", "target": "pr-0", "result": "done", "at": at, "detail": ""}])
    clean(world.services, apply_message(world, run, continuation=999), clock=world.clock)
    (found,) = world.services.runs.list_reports(run.name)
    results = {name: count for name, count in found.counts.items() if name not in Traffic().counts}
    assert results == {"untagged": 1, "deleted": 0, "failures": 1}
    assert len(report(world, run)["outcomes"]) == 1


def test_a_message_of_a_run_that_was_never_opened_is_refused(world: World) -> None:
    message = PlanRepository(run="night-1", registry=world.registry, repository=world.repository)
    with pytest.raises(InvalidMessage, match="never opened"):
        clean(world.services, body(message), clock=world.clock)


def test_a_message_of_another_queue_is_refused(world: World) -> None:
    place = Reference(registry=world.registry, repository=world.repository, tag=parse_tag("v1"))
    message = ReplicateTag(run="pushes-1", route="a", source=place, target=place)
    with pytest.raises(InvalidMessage, match="'replicate-tag' does not belong in the cleanup queue"):
        clean(world.services, body(message), clock=world.clock)


def test_an_apply_message_without_a_plan_fails_its_repository(world: World) -> None:
    world.write_policy(OLD)
    world.push(build_image(), tag="pr-1")
    run = opened(world)
    assert clean(world.services, apply_message(world, run), clock=world.clock).step == "failed"
    assert "has no plan" in str(report(world, run)["failed"])
    assert list(world.home().tags) == ["pr-1"]


def test_what_manifests_point_at_is_read_once(world: World) -> None:
    world.write_policy(OLD)
    world.push(build_image(), tag="pr-1", days=1)
    opened(world)
    work(world)
    world.acr.traffic.clear()
    world.push(build_image(), tag="pr-2", days=1)
    world.clock.pass_by(hours=1)
    opened(world)
    work(world)
    bodies = rf"/v2/{world.repository}/manifests/.*"
    assert world.acr.traffic.count("GET", bodies) == 1


def test_a_step_says_in_the_log_where_it_was(world: World) -> None:
    world.write_policy(OLD)
    world.push(build_image(), tag="pr-1")
    run = opened(world)
    step = clean(world.services, plan_message(world, run), clock=world.clock)
    assert step.log_fields() == {
        "run": run.name,
        "registry": world.registry,
        "repository": world.repository,
        "step": "planned",
        "detail": "",
    }
