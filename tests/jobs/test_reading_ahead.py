"""A repository that is too large to be read at once is read by several messages, none of them in vain."""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count

import pytest

from emulators.registry.images import build_image, build_index
from shared.errors import RegistryUnavailable
from shared.jobs import reading_ahead
from shared.jobs.cleaning import clean
from shared.jobs.nightly import start_night
from shared.messages import PlanRepository
from tests.jobs.world import World, body

UNTAGGED = "name: untagged, untagged: true, older_than: 7d"
BODIES = r"/v2/.*/manifests/sha256:.*"


@pytest.fixture(autouse=True)
def a_few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading_ahead, "MANY", 4)
    monkeypatch.setattr(reading_ahead, "_BATCH", 2)


@pytest.fixture
def message(world: World) -> bytes:
    world.write_policy(UNTAGGED)
    for _ in range(5):
        world.push(build_index([build_image()]), tag="v1")
    run = start_night(world.services, now=world.clock())
    world.take_cleanups()
    return body(PlanRepository(run=run.name, registry=world.registry, repository=world.repository))


def plan(world: World, message: bytes) -> str:
    return clean(world.services, message, clock=world.clock).step


def ticking(world: World) -> Callable[[], datetime]:
    """Return a clock on which a second passes with every look at it."""
    seconds = count()
    return lambda: world.clock.now + timedelta(seconds=next(seconds))


def bodies_read(world: World) -> int:
    return world.acr.traffic.count("GET", rf"/v2/{world.repository}/manifests/.*", status=200)


def test_what_there_is_time_for_is_read_and_the_rest_by_the_next_message(
    world: World, message: bytes
) -> None:
    world.set(INVOCATION_SECONDS="5", REGISTRY_THREADS="1")
    step = clean(world.services, message, clock=ticking(world))
    assert (step.step, step.detail) == ("paused", "the invocation's time is used up")
    first = bodies_read(world)
    assert 0 < first < 10
    (again,) = world.take_cleanups()
    assert plan(world, body(again)) == "planned"
    assert bodies_read(world) == 10, "no body is read twice"


def test_a_registry_that_asks_to_wait_is_asked_again_later_for_the_rest(world: World, message: bytes) -> None:
    fault = world.acr.faults.inject(
        method="GET", path=BODIES, after=3, times=None, status=429, headers={"Retry-After": "60"}
    )
    assert plan(world, message) == "paused"
    assert fault.fired
    assert world.take_cleanups() == [], "it waits"
    assert world.services.cleanup_queue.length() == 1
    world.acr.faults.clear()
    world.set()
    before = bodies_read(world)
    assert before >= 2
    assert plan(world, message) == "planned"
    assert bodies_read(world) == 10


def test_what_was_read_before_a_failure_is_not_read_again(
    world: World, message: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.registry.retry.random.uniform", lambda *_: 0.0)
    world.set(REGISTRY_THREADS="1")
    world.acr.faults.inject(method="GET", path=BODIES, after=4, times=None, status=503)
    with pytest.raises(RegistryUnavailable):
        plan(world, message)
    world.acr.faults.clear()
    world.set()
    assert plan(world, message) == "planned"
    assert bodies_read(world) == 10


def test_a_body_that_cannot_be_read_closes_the_repository_all_the_same(world: World, message: bytes) -> None:
    world.acr.faults.inject(method="GET", path=BODIES, nth=3, times=None, status=403, body="{}")
    assert plan(world, message) == "planned"
    run = next(iter(world.services.runs.list_runs()))
    report = world.services.runs.read_report(world.part(run))
    assert report is not None
    assert report["plan"]["closed"] is True


def test_a_repository_that_is_not_read_within_a_day_is_given_up(world: World, message: bytes) -> None:
    world.acr.faults.inject(method="GET", path=BODIES, times=None, status=429, headers={"Retry-After": "60"})
    world.clock.pass_by(hours=25)
    assert plan(world, message) == "failed"
    assert world.services.cleanup_queue.length() == 0
