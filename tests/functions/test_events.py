"""Both ways in, and both schemas, lead to the same work."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import azure.functions as func
import pytest

from functions import events
from shared.errors import InvalidEvent
from shared.messages import ReplicateTag
from tests.functions.calling import call
from tests.jobs.world import World

TOPIC = "/subscriptions/0/resourceGroups/rg/providers/Microsoft.ContainerRegistry/registries/demo"
DIGEST = f"sha256:{'a' * 64}"
KIND = "Microsoft.ContainerRegistry.ImagePushed"
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def data(world: World) -> dict[str, Any]:
    return {
        "id": "1",
        "timestamp": "2026-01-01T00:00:00.1234567Z",
        "action": "push",
        "target": {"repository": world.repository, "tag": "v1", "digest": DIGEST},
        "request": {"id": "1", "host": world.acr.login_server, "method": "PUT", "useragent": "docker"},
    }


def cloud_event(world: World) -> func.CloudEvent:
    return func.CloudEvent(
        id="1", source=TOPIC, type=KIND, specversion="1.0", time=MOMENT, subject="app:v1", data=data(world)
    )


def event_grid_event(world: World) -> func.EventGridEvent:
    return func.EventGridEvent(
        id="1",
        topic=TOPIC,
        subject="app:v1",
        event_type=KIND,
        event_time=MOMENT,
        data=data(world),
        data_version="1.0",
    )


def route(world: World) -> None:
    source = f"from: {{repositories: ['{world.word}/**'], tags: ['v*']}}"
    world.write_policy(routes=[f"name: hub, {source}, to: 'docker.io/{world.hub.namespace}/{{flattened}}'"])


@pytest.mark.parametrize("build", [cloud_event, event_grid_event])
def test_an_event_that_event_grid_posts_is_queued_work(
    settled: World, build: Callable[[World], Any], caplog: pytest.LogCaptureFixture
) -> None:
    route(settled)
    with caplog.at_level("INFO", "steward.events"):
        call(events.on_registry_event)(build(settled))
    (message,) = settled.take_replications()
    assert isinstance(message, ReplicateTag)
    assert str(message.target) == f"docker.io/{settled.replica}:v1"
    assert message.digest == DIGEST
    assert "received registry event" in caplog.text


def test_an_event_in_the_queue_is_the_same_work(settled: World) -> None:
    route(settled)
    call(events.on_registry_event)(cloud_event(settled))
    envelope = {"specversion": "1.0", "id": "1", "source": TOPIC, "type": KIND, "time": MOMENT.isoformat()}
    body = json.dumps({**envelope, "data": data(settled)}).encode()
    call(events.on_queued_registry_event)(func.QueueMessage(id="m", body=body))
    first, second = settled.take_replications()
    assert first == second


def test_an_event_that_cannot_be_understood_is_raised_so_that_it_ends_as_poison(settled: World) -> None:
    route(settled)
    with pytest.raises(InvalidEvent, match="not JSON"):
        call(events.on_queued_registry_event)(func.QueueMessage(id="m", body=b"{"))
