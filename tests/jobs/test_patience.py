"""What a registry wants to be asked later goes back to the queue, counted; no work is lost or done twice."""

import json
from dataclasses import replace

import pytest

from emulators.arm import ArmEmulator
from emulators.registry.images import build_image
from shared.errors import RegistryUnavailable
from shared.jobs.cleaning import clean
from shared.jobs.deferring import MOST_DEFERRALS
from shared.jobs.nightly import start_night
from shared.jobs.runs import Run
from shared.messages import ApplyPlan, Message, PlanRepository
from shared.storage.queues import WorkQueue
from tests.jobs.running import OLD, report, work
from tests.jobs.world import World, body, counted


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Message, float]]:
    """The messages that were put with a delay: nobody waits for hours to see them."""
    found: list[tuple[Message, float]] = []
    send = WorkQueue.send

    def note(queue: WorkQueue, message: Message, *, delay: float = 0.0) -> None:
        if delay:
            found.append((message, delay))
        send(queue, message, delay=delay)

    monkeypatch.setattr(WorkQueue, "send", note)
    return found


def opened(world: World) -> tuple[Run, PlanRepository]:
    world.write_policy(OLD)
    world.push(build_image(), tag="pr-1")
    run = start_night(world.services, now=world.clock())
    (message,) = world.take_cleanups()
    assert isinstance(message, PlanRepository)
    return run, message


def throttle(world: World, path: str, seconds: int) -> None:
    world.acr.faults.inject(path=path, status=429, headers={"Retry-After": str(seconds)}, times=None)


def test_a_limit_of_hours_while_planning_puts_the_message_back_with_a_delay_and_a_count(
    world: World, sent: list[tuple[Message, float]]
) -> None:
    run, message = opened(world)
    throttle(world, f"/acr/v1/{world.repository}/_tags", 6 * 3600)
    step = clean(world.services, body(message), clock=world.clock)
    assert step.step == "paused"
    assert "429" in step.detail
    ((later, delay),) = sent
    assert later == replace(message, deferrals=1)
    assert 6 * 3600 <= delay <= 1.1 * 6 * 3600
    assert world.services.runs.read_report(world.part(run.name)) is None
    world.acr.faults.clear()
    world.set()  # a new worker, whose gate is open
    assert clean(world.services, body(later), clock=world.clock).step == "planned"
    assert [removal.step for removal in work(world)] == ["applied"]
    assert report(world, run)["traffic"]["throttled"] == 1


def test_a_registry_that_never_has_time_is_given_up_and_the_run_goes_on(world: World) -> None:
    run, message = opened(world)
    throttle(world, f"/acr/v1/{world.repository}/_tags", 3600)
    last = replace(message, deferrals=MOST_DEFERRALS)
    assert clean(world.services, body(last), clock=world.clock).step == "failed"
    assert f"given up after {MOST_DEFERRALS} waits" in report(world, run)["failed"]
    assert world.services.runs.read_finished(run.name) is not None


def test_what_was_read_before_the_limit_is_not_read_again(
    world: World, sent: list[tuple[Message, float]]
) -> None:
    world.write_policy(OLD)
    digests = sorted(world.push(build_image(), tag=f"pr-{number}") for number in range(6))
    start_night(world.services, now=world.clock())
    (message,) = world.take_cleanups()
    bodies = f"/v2/{world.repository}/manifests/"
    world.acr.faults.inject(
        path=bodies + digests[-1], status=429, headers={"Retry-After": "300"}, delay=0.3, times=None
    )
    assert clean(world.services, body(message), clock=world.clock).step == "paused"
    world.acr.faults.clear()
    world.acr.traffic.clear()
    world.set()
    ((later, _),) = sent
    assert clean(world.services, body(later), clock=world.clock).step == "planned"
    assert world.acr.traffic.count("GET", f"{bodies}.*") == 1


def apply_message(world: World) -> ApplyPlan:
    """Plan four images and return the message that asks to apply the plan."""
    world.write_policy(OLD)
    for number in range(4):
        world.push(build_image(), tag=f"pr-{number}")
    start_night(world.services, now=world.clock())
    (message,) = world.take_cleanups()
    clean(world.services, body(message), clock=world.clock)
    (apply,) = world.take_cleanups()
    assert isinstance(apply, ApplyPlan)
    return apply


def test_an_outage_while_a_plan_is_applied_is_waited_for_longer_each_time(
    world: World, sent: list[tuple[Message, float]]
) -> None:
    message: Message = apply_message(world)
    world.acr.faults.inject(method="DELETE", status=500, times=None)
    for _ in range(3):
        assert clean(world.services, body(message), clock=world.clock).step == "paused"
        message = sent[-1][0]
    assert [delay for _, delay in sent] == [60, 120, 240]
    assert isinstance(message, ApplyPlan)
    assert (message.outages, message.continuation) == (3, 3)
    world.acr.faults.clear()
    assert clean(world.services, body(message), clock=world.clock).step == "applied"
    assert list(world.home().tags) == []


def test_an_outage_after_something_was_done_is_counted_anew(
    world: World, sent: list[tuple[Message, float]]
) -> None:
    world.set(REGISTRY_THREADS="1")
    message = replace(apply_message(world), outages=4)
    world.acr.faults.inject(method="DELETE", after=1, status=500, times=None)
    clean(world.services, body(message), clock=world.clock)
    ((later, delay),) = sent
    assert isinstance(later, ApplyPlan)
    assert (later.outages, delay) == (1, 60)


def test_a_registry_that_stays_out_is_given_up_with_what_was_not_done_in_the_report(world: World) -> None:
    message = replace(apply_message(world), outages=6)
    world.set(REGISTRY_THREADS="1")
    world.acr.faults.inject(method="DELETE", status=500, times=None)
    assert clean(world.services, body(message), clock=world.clock).step == "applied"
    found = world.services.runs.read_report(world.part(message.run))
    assert found is not None
    assert counted(found["outcomes"])["failed"] == ["pr-0", "pr-1", "pr-2"]
    assert len(counted(found["outcomes"])["skipped"]) == 5
    assert found["missing"] == 0
    assert len(world.home().tags) == 4


def test_an_outage_while_planning_is_raised_for_the_queue_and_its_requests_are_counted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.registry.counting.time.sleep", lambda _: None)
    run, message = opened(world)
    world.acr.faults.inject(path=f"/acr/v1/{world.repository}/_tags", status=503, times=5)
    with pytest.raises(RegistryUnavailable):
        clean(world.services, body(message), clock=world.clock)
    world.services.cleanup_queue.send(message)
    before = len(world.acr.traffic.requests)
    work(world)
    again = len(world.acr.traffic.requests) - before
    assert sum(report(world, run)["traffic"]["requests"].values()) > again


def test_what_a_registry_does_by_itself_is_said_on_the_run_and_in_each_of_its_plans(world: World) -> None:
    with ArmEmulator(ca=world.servers.ca, identity=world.servers.identity) as arm:
        arm.grant(world.servers.identity.client_id, "Reader", world.acr.resource_id)
        arm.add(world.acr.resource_id, world.acr.login_server).retention_days = 7
        world.set(
            AZURE_RESOURCE_MANAGER_ENDPOINT=arm.endpoint,
            ACR_RESOURCE_IDS=json.dumps({world.acr.login_server: world.acr.resource_id}),
        )
        run, message = opened(world)
    (warning,) = run.warnings
    assert "itself deletes manifests 7 days after" in warning
    clean(world.services, body(message), clock=world.clock)
    plan = world.services.runs.read_plan(world.part(run.name))
    assert plan is not None
    assert plan["warnings"] == [warning]


def test_a_night_is_not_held_up_by_one_repository_until_all_other_plans_are_old(world: World) -> None:
    world.write_policy(OLD)
    world.push(build_image(), tag="pr-1")
    world.push(build_image(), tag="pr-1", at=f"{world.word}/other")
    run = start_night(world.services, now=world.clock())
    throttle(world, f"/acr/v1/{world.repository}/_tags", 13 * 3600)
    for message in reversed(world.take_cleanups()):
        clean(world.services, body(message), clock=world.clock)
    world.set()  # a new worker, whose gate is open
    assert [step.step for step in work(world)] == ["applied"]
    assert "not to be read before" in report(world, run)["failed"]
    assert list(world.home(f"{world.word}/other").tags) == []
