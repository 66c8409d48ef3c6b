"""Each door calls its one job; what the job raises goes on to the host."""

from typing import Any

import azure.functions as func
import pytest
from azure.functions.timer import TimerRequest

from emulators.registry.images import build_image
from functions import poison, replication, retention
from shared.errors import InvalidMessage, InvalidPolicy, InvalidSettings
from shared.messages import ReplicateTag
from shared.oci.names import DOCKER_HUB, Reference, parse_tag
from tests.functions.calling import call
from tests.jobs.world import World, body

OLD = "name: old, tags: ['pr-*'], older_than: 14d"


def deliver(door: Any, content: bytes) -> None:
    call(door)(func.QueueMessage(id="message-1", body=content))


def test_a_night_is_opened_by_its_timer_and_worked_off_by_its_queue(settled: World) -> None:
    settled.write_policy(OLD)
    settled.push(build_image(), tag="pr-1")
    call(retention.start_nightly_run)(TimerRequest(past_due=False))
    (run,) = settled.services.runs.list_runs()
    assert run.startswith("night-")
    while messages := settled.take_cleanups():
        for message in messages:
            deliver(retention.clean_repository, body(message))
    assert settled.services.runs.read_report(settled.part(run)) is not None
    assert list(settled.home().tags) == []


def test_a_reconciliation_opened_by_its_timer_ends_with_the_replica(settled: World) -> None:
    source = f"from: {{repositories: ['{settled.word}/**'], tags: ['v*']}}"
    settled.write_policy(
        routes=[f"name: hub, {source}, to: 'docker.io/{settled.hub.namespace}/{{flattened}}'"]
    )
    digest = settled.push(build_image(), tag="v1")
    call(replication.start_reconciliation)(TimerRequest(past_due=True))
    for message in settled.take_cleanups():
        deliver(retention.clean_repository, body(message))
    (message,) = settled.take_replications()
    deliver(replication.replicate_tag, body(message))
    replica = settled.hub.state.repository(settled.replica)
    assert replica is not None
    assert replica.tags["v1"].digest == digest


@pytest.mark.parametrize(
    ("door", "origin"),
    [
        (poison.poisoned_registry_event, "registry-event"),
        (poison.poisoned_replication, "replicate-tag"),
        (poison.poisoned_cleanup, "clean-repository"),
    ],
)
def test_every_poison_queue_is_kept_under_its_origin(
    settled: World, door: Any, origin: str, caplog: pytest.LogCaptureFixture
) -> None:
    deliver(door, b"not ours")
    (name,) = settled.services.poison.names()
    assert name.startswith(f"poison/{origin}/")
    assert name.endswith("/message-1.json")
    (logged,) = [record for record in caplog.records if record.name == "steward.poison"]
    assert logged.levelname == "ERROR"
    assert name in caplog.text


@pytest.mark.parametrize("door", [replication.replicate_tag, retention.clean_repository])
def test_a_message_that_nobody_understands_is_raised_so_that_it_ends_as_poison(
    settled: World, door: Any
) -> None:
    del settled
    with pytest.raises(InvalidMessage, match="not JSON"):
        deliver(door, b"not ours")


def test_a_policy_that_cannot_be_used_fails_the_timer_with_its_place(settled: World) -> None:
    settled.write_policy("name: old, tags: ['pr-*'], older_than: soon")
    with pytest.raises(InvalidPolicy, match="older_than"):
        call(retention.start_nightly_run)(TimerRequest())


def test_settings_that_were_mended_are_seen_by_the_next_invocation(
    settled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled.write_policy()
    place = Reference(registry=settled.registry, repository=settled.repository, tag=parse_tag("v1"))
    target = Reference(registry=DOCKER_HUB, repository=settled.replica, tag=parse_tag("v1"))
    message = body(ReplicateTag(run="pushes-20260101", route="hub", source=place, target=target))
    with monkeypatch.context() as broken:
        broken.setenv("CLEANUP_MODE", "yes")
        with pytest.raises(InvalidSettings, match="CLEANUP_MODE"):
            deliver(replication.replicate_tag, message)
    deliver(replication.replicate_tag, message)
    (outcome,) = settled.services.runs.replications("pushes-20260101").read()
    assert outcome["result"] == "superseded"
