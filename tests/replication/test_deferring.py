"""A registry that asks for patience gets it from the queue, not from a function that sleeps."""

import time
from datetime import timedelta

import pytest

from emulators.registry.images import build_image
from shared.errors import (
    AccessDenied,
    AuthenticationFailed,
    CopyFailed,
    DigestMismatch,
    ProtocolViolation,
    RateLimited,
    RegistryUnavailable,
    StewardError,
)
from shared.jobs.deferring import MOST_DEFERRALS, wait_of
from shared.jobs.reconciling import start_reconciliation
from shared.jobs.replaying import replay
from shared.messages import ReplicateTag
from shared.oci.names import parse_tag
from tests.replication.desk import Desk

HUB = "docker.io"


@pytest.mark.parametrize(
    ("error", "deferrals", "least"),
    [
        (RateLimited("slow", registry=HUB, retry_after=900), 0, 900),
        (RateLimited("slow", registry=HUB), 0, 15),
        (RateLimited("slow", registry=HUB, retry_after=1), 5, 480),
        (RateLimited("slow", registry=HUB), 40, 7200),
        (AuthenticationFailed("wrong", registry=HUB, retry_after=600), 0, 600),
        (CopyFailed("a", origin="target", cause=RateLimited("slow", registry=HUB, retry_after=60)), 0, 60),
    ],
)
def test_a_wait_is_what_the_registry_says_and_longer_each_time(
    error: StewardError, deferrals: int, least: float
) -> None:
    wait = wait_of(error, deferrals=deferrals)
    assert wait is not None
    assert least <= wait <= least * 1.11


@pytest.mark.parametrize(
    "error",
    [
        RegistryUnavailable("down", registry=HUB),
        AccessDenied("no right", registry=HUB),
        DigestMismatch("rotten", registry=HUB),
    ],
)
def test_what_waiting_does_not_help_is_not_waited_for(error: StewardError) -> None:
    assert wait_of(error, deferrals=0) is None


@pytest.mark.parametrize(
    "error",
    [AuthenticationFailed("no right", registry=HUB), ProtocolViolation("not JSON", registry=HUB)],
)
def test_what_may_be_an_accident_is_doubted_twice(error: StewardError) -> None:
    assert [wait_of(error, deferrals=count) is not None for count in range(4)] == [True, True, False, False]


@pytest.mark.parametrize(
    ("where", "headers", "body"),
    [
        ("faults", {"Retry-After": "120"}, "Too Many Requests (HAP429).\n"),
        ("faults", {"Retry-After": "120"}, ""),
        ("api_faults", {"X-Retry-After": "{unix}"}, '{"detail": "Rate limit exceeded", "error": false}'),
        ("source", {"Retry-After": "120"}, '{"errors": [{"code": "TOOMANYREQUESTS"}]}'),
        ("faults", {}, '{"errors": [{"code": "TOOMANYREQUESTS", "message": "pull rate limit"}]}'),
    ],
)
def test_each_kind_of_limit_sends_the_message_back_with_its_delay(
    desk: Desk, where: str, headers: dict[str, str], body: str
) -> None:
    desk.route()
    digest = desk.push(build_image(), "v1")
    desk.delays.clear()
    unix = str(int(time.time()) + 120)
    stated = {name: value.format(unix=unix) for name, value in headers.items()}
    side = desk.world.acr if where == "source" else desk.world.hub
    faults = side.faults if where == "source" else getattr(side, where)
    fault = faults.inject(status=429, headers=stated, body=body, times=None)
    (message,) = desk.take(desk.services.replication_queue)
    started = time.monotonic()
    outcome = desk.carry_out(message)
    assert time.monotonic() - started < 20
    assert outcome.result == "deferred"
    assert "until " in outcome.detail
    (delay,) = desk.delays
    assert (110 if headers else 15) <= delay <= 140
    fault.times = 0
    desk.restart()  # the gate that a 429 closes for all would still be closed
    assert [each.result for each in desk.work()] == ["copied"]
    assert desk.on_hub() == {"v1": digest}


def test_a_registry_that_keeps_asking_for_patience_ends_in_a_record_that_can_be_replayed(desk: Desk) -> None:
    desk.route()
    digest = desk.push(build_image(), "v1")
    fault = desk.world.hub.faults.inject(status=429, headers={"Retry-After": "3600"}, times=None)
    outcomes = []
    for _ in range(MOST_DEFERRALS + 1):
        (message,) = desk.take(desk.services.replication_queue)
        outcomes.append(desk.carry_out(message).result)
        desk.restart()
    assert outcomes == ["deferred"] * MOST_DEFERRALS + ["failed"]
    assert desk.services.replication_queue.length() == 0
    (name,) = desk.poison()
    document = desk.services.poison.read(name)
    assert document is not None
    assert "given up after 12 waits" in document["reason"]
    fault.times = 0
    replayed = replay(desk.services, name)
    assert replayed is not None
    assert replayed.queue == desk.services.replication_queue.name
    assert desk.poison() == []
    assert [each.result for each in desk.work()] == ["copied"]
    assert desk.on_hub() == {"v1": digest}


def test_a_secret_that_is_refused_is_sent_once_and_the_work_waits_for_a_right_one(desk: Desk) -> None:
    desk.route()
    desk.restart(DOCKERHUB_TOKEN="dckr_pat_expired")
    digests = {tag: desk.push(build_image(), tag) for tag in ("v1", "v2", "v3")}
    desk.delays.clear()
    desk.world.hub.auth_traffic.clear()
    messages = desk.take(desk.services.replication_queue)
    assert {desk.carry_out(message).result for message in messages} == {"deferred"}
    assert desk.world.hub.auth_traffic.count() == 1
    assert all(500 < delay < 700 for delay in desk.delays)
    desk.restart(DOCKERHUB_TOKEN=desk.world.hub.token)
    assert {outcome.result for outcome in desk.work()} == {"copied"}
    assert desk.on_hub() == digests


def test_a_lock_out_is_not_hammered(desk: Desk) -> None:
    desk.route()
    for tag in ("v1", "v2", "v3"):
        desk.push(build_image(), tag)
    desk.world.hub.auth_faults.inject(
        status=429,
        body='{"details": "too many failed login attempts for username or IP address"}',
        times=None,
    )
    desk.world.hub.auth_traffic.clear()
    messages = desk.take(desk.services.replication_queue)
    assert {desk.carry_out(message).result for message in messages} == {"deferred"}
    assert desk.world.hub.auth_traffic.count() == 1


def test_a_token_service_that_is_too_busy_for_a_moment_is_asked_again(desk: Desk) -> None:
    desk.route()
    desk.push(build_image(), "v1")
    desk.world.hub.auth_faults.inject(status=429, headers={"Retry-After": "1"})
    assert [outcome.result for outcome in desk.work()] == ["copied"]


def test_a_comparison_waits_for_a_registry_that_asks_for_it(desk: Desk) -> None:
    desk.route()
    digest = desk.world.push(build_image(), tag="v1")
    unix = str(int(time.time()) + 300)
    desk.world.hub.api_faults.inject(status=429, headers={"X-Retry-After": unix})
    run = start_reconciliation(desk.services, now=desk.world.clock())
    desk.delays.clear()
    desk.work(rounds=1)
    (delay,) = desk.delays
    assert 250 < delay < 340
    desk.restart()
    outcomes = desk.work()
    assert [outcome.result for outcome in outcomes] == ["copied"]
    assert desk.on_hub() == {"v1": digest}
    assert desk.report(run.name)["counts"]["missing"] == 1


def test_what_was_deferred_resolves_the_tag_when_its_time_comes(desk: Desk) -> None:
    desk.route()
    desk.push(build_image(), "v1")
    fault = desk.world.hub.faults.inject(status=429, headers={"Retry-After": "600"}, times=None)
    (message,) = desk.take(desk.services.replication_queue)
    desk.carry_out(message)
    newer = desk.world.push(build_image(), tag="v1", days=0)
    fault.times = 0
    desk.restart()
    desk.world.clock.now += timedelta(minutes=11)
    (deferred,) = desk.take(desk.services.replication_queue)
    assert isinstance(deferred, ReplicateTag)
    assert deferred.deferrals == 1
    assert desk.carry_out(deferred).result == "copied"
    assert desk.on_hub() == {"v1": newer}


def test_a_throttled_source_is_left_to_the_queue_where_a_snapshot_would_wait(desk: Desk) -> None:
    """Azure's quota of an identity is used up, and its window of refusals lasts longer than a copy waits."""
    desk.route()
    digest = desk.push(build_image(), "v1")
    source = desk.services.registries.source(desk.world.registry).repository(desk.world.repository)
    assert source.resolve(parse_tag("v1")) is not None, "signing in is counted apart"
    desk.delays.clear()
    (message,) = desk.take(desk.services.replication_queue)
    quotas = desk.world.acr.quotas
    quotas.enforced, quotas.scale = True, 1e-9
    try:
        started = time.monotonic()
        assert desk.carry_out(message).result == "deferred"
        assert time.monotonic() - started < 5
        (delay,) = desk.delays
        assert 50 <= delay <= 66
        assert desk.world.acr.traffic.count(path_regex="/(v2|acr)/.*", status=429) > 0
    finally:
        quotas.enforced, quotas.scale = False, 1.0
    desk.restart()
    assert [outcome.result for outcome in desk.work()] == ["copied"]
    assert desk.on_hub() == {"v1": digest}


def test_copies_wait_briefly_for_a_source_and_snapshots_as_long_as_it_takes(desk: Desk) -> None:
    desk.world.push(build_image(), tag="v1")
    path = f"/v2/{desk.world.repository}/manifests/.*"
    desk.world.acr.faults.inject(path=path, status=429, headers={"Retry-After": "12"})
    registries = desk.services.registries
    started = time.monotonic()
    with pytest.raises(RateLimited):
        registries.source(desk.world.registry).repository(desk.world.repository).resolve(parse_tag("v1"))
    assert time.monotonic() - started < 2
    assert registries.acr(desk.world.registry)._transport.options.patience == 45
