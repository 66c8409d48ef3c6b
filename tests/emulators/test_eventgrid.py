import base64
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from azure.storage.queue import QueueClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from emulators.azurite import Azurite
from emulators.eventgrid import EventGridEmulator, HandshakeError, Schema
from emulators.server import Server

pytestmark = pytest.mark.xdist_group("eventgrid")

TOPIC = "/subscriptions/0/resourceGroups/emulated/providers/Microsoft.ContainerRegistry/registries/demo"
REQUEST = {"id": "r", "host": "localhost:1", "method": "PUT", "useragent": "test"}


def push(repository: str, tag: str | None = "v1") -> dict[str, Any]:
    target = {"mediaType": "m", "size": 3, "digest": "sha256:1", "length": 3, "repository": repository}
    if tag is not None:
        target["tag"] = tag
    return {
        "id": f"push-{repository}",
        "timestamp": "2026-01-02T03:04:05.1234567Z",
        "action": "push",
        "location": "westeurope",
        "target": target,
        "request": REQUEST,
    }


def delete(repository: str) -> dict[str, Any]:
    target = {"mediaType": "m", "digest": "sha256:1", "repository": repository}
    return push(repository) | {"id": "delete-1", "action": "delete", "target": target}


class ForgetfulEndpoint:
    """A webhook that shakes hands and then answers with the given statuses, the last one for ever."""

    def __init__(self, *statuses: int, shakes_hands: bool = True) -> None:
        self.statuses = list(statuses or (202,))
        self.shakes_hands = shakes_hands
        self.bodies: list[Any] = []
        self.headers: list[dict[str, str]] = []
        self._lock = threading.Lock()
        self.server = Server(Starlette(routes=[Route("/hook", self._answer, methods=["POST", "OPTIONS"])]))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}/hook?code=secret"

    async def _answer(self, request: Request) -> Response:
        if not self.shakes_hands:
            return Response(status_code=200)
        if request.method == "OPTIONS":
            return Response(headers={"WebHook-Allowed-Origin": request.headers["webhook-request-origin"]})
        body = json.loads(await request.body())
        if request.headers["aeg-event-type"] == "SubscriptionValidation":
            return JSONResponse({"validationResponse": body[0]["data"]["validationCode"]})
        with self._lock:
            self.bodies.append(body)
            self.headers.append(dict(request.headers))
            status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return Response(status_code=status)


@pytest.fixture(scope="module")
def azurite() -> Iterator[Azurite]:
    with Azurite() as started:
        yield started


@pytest.fixture
def queue(azurite: Azurite, request: pytest.FixtureRequest) -> Iterator[QueueClient]:
    name = f"q{abs(hash(request.node.name))}"
    with QueueClient.from_connection_string(azurite.connection_string, name) as client:
        yield client


def bodies(queue: QueueClient) -> list[Any]:
    return [json.loads(base64.b64decode(message.content)) for message in queue.receive_messages()]


def test_a_queue_gets_one_cloud_event_a_message(azurite: Azurite, queue: QueueClient) -> None:
    with EventGridEmulator() as grid:
        grid.deliver_to_queue(azurite.connection_string, queue.queue_name)
        grid.publish(push("team/app"), topic=TOPIC)
        grid.drain()

    [event] = bodies(queue)
    assert set(event) == {"specversion", "id", "source", "type", "subject", "time", "data"}
    assert event["specversion"] == "1.0"
    assert event["source"] == TOPIC
    assert event["type"] == "Microsoft.ContainerRegistry.ImagePushed"
    assert event["subject"] == "team/app:v1"
    assert event["data"] == push("team/app")
    assert event["time"].endswith("Z")
    assert len(event["time"].partition(".")[2]) == len("1234567Z")
    assert grid.delivered == [event]


def test_a_queue_gets_one_event_of_event_grid_a_message(azurite: Azurite, queue: QueueClient) -> None:
    with EventGridEmulator(schema="EventGridSchema") as grid:
        grid.deliver_to_queue(azurite.connection_string, queue.queue_name)
        grid.publish(delete("team/app"), topic=TOPIC)
        grid.drain()

    [event] = bodies(queue)
    assert event == {
        "id": "delete-1",
        "topic": TOPIC,
        "subject": "team/app",
        "eventType": "Microsoft.ContainerRegistry.ImageDeleted",
        "eventTime": event["eventTime"],
        "data": delete("team/app"),
        "dataVersion": "1.0",
        "metadataVersion": "1",
    }


def test_a_push_without_a_tag_has_the_repository_for_subject(azurite: Azurite, queue: QueueClient) -> None:
    with EventGridEmulator() as grid:
        grid.deliver_to_queue(azurite.connection_string, queue.queue_name)
        grid.publish(push("team/app", tag=None), topic=TOPIC)
        grid.drain()

    assert [event["subject"] for event in bodies(queue)] == ["team/app"]


@pytest.mark.parametrize(
    ("schema", "content_type", "is_array"),
    [
        ("CloudEventSchemaV1_0", "application/cloudevents+json; charset=utf-8", False),
        ("EventGridSchema", "application/json; charset=utf-8", True),
    ],
)
def test_a_webhook_gets_one_event_a_request_with_its_headers(
    schema: Schema,
    content_type: str,
    is_array: bool,  # noqa: FBT001
) -> None:
    endpoint = ForgetfulEndpoint(202)
    with endpoint.server, EventGridEmulator(schema=schema) as grid:
        grid.deliver_to_webhook(endpoint.url)
        grid.publish(push("app"), topic=TOPIC)
        grid.drain()

    [headers] = endpoint.headers
    assert headers["content-type"] == content_type
    assert headers["aeg-event-type"] == "Notification"
    assert headers["aeg-delivery-count"] == "0"
    assert headers["aeg-subscription-name"] == "REGISTRY-EVENTS"
    [body] = endpoint.bodies
    assert (body[0] if is_array else body) == grid.delivered[0]


@pytest.mark.parametrize("schema", ["CloudEventSchemaV1_0", "EventGridSchema"])
def test_a_webhook_that_does_not_shake_hands_is_not_subscribed(schema: Schema) -> None:
    endpoint = ForgetfulEndpoint(shakes_hands=False)
    with endpoint.server, EventGridEmulator(schema=schema) as grid:
        with pytest.raises(HandshakeError, match="answered 200"):
            grid.deliver_to_webhook(endpoint.url)
        grid.publish(push("app"), topic=TOPIC)
        grid.drain()

    assert grid.delivered == []


def test_a_failed_delivery_comes_again_and_is_counted() -> None:
    endpoint = ForgetfulEndpoint(500, 503, 200)
    with endpoint.server, EventGridEmulator(retry_scale=0.001) as grid:
        grid.deliver_to_webhook(endpoint.url)
        grid.publish(push("app"), topic=TOPIC)
        grid.drain()

    assert [headers["aeg-delivery-count"] for headers in endpoint.headers] == ["0", "1", "2"]
    assert len(grid.delivered) == 1
    assert grid.dead_letters == []


@pytest.mark.parametrize(
    ("schema", "reason", "outcome", "attempts"),
    [
        ("CloudEventSchemaV1_0", "deadletterreason", "lastdeliveryoutcome", "deliveryattempts"),
        ("EventGridSchema", "deadLetterReason", "lastDeliveryOutcome", "deliveryAttempts"),
    ],
)
def test_an_event_that_is_never_taken_becomes_a_dead_letter(
    schema: Schema, reason: str, outcome: str, attempts: str
) -> None:
    endpoint = ForgetfulEndpoint(404)
    with (
        endpoint.server,
        EventGridEmulator(schema=schema, retry_scale=0.0001, max_delivery_attempts=3) as grid,
    ):
        grid.deliver_to_webhook(endpoint.url)
        grid.publish(push("app"), topic=TOPIC)
        grid.drain()

    [letter] = grid.dead_letters
    assert letter[reason] == "MaxDeliveryAttemptsExceeded"
    assert letter[outcome] == "NotFound"
    assert letter[attempts] == 3
    assert letter["data"] == push("app")


def test_an_event_outlives_its_time_to_live_as_a_dead_letter() -> None:
    endpoint = ForgetfulEndpoint(500)
    with endpoint.server, EventGridEmulator(retry_scale=0.001, time_to_live=50) as grid:
        grid.deliver_to_webhook(endpoint.url)
        grid.publish(push("app"), topic=TOPIC)
        grid.drain()

    assert grid.dead_letters[0]["deadletterreason"] == "TimeToLiveExceeded"


@pytest.mark.parametrize("status", [400, 401, 403, 413])
def test_an_event_that_was_refused_is_not_tried_again(status: int) -> None:
    endpoint = ForgetfulEndpoint(status)
    with endpoint.server, EventGridEmulator(retry_scale=0.001) as grid:
        grid.deliver_to_webhook(endpoint.url)
        grid.publish(push("app"), topic=TOPIC)
        grid.drain()

    [letter] = grid.dead_letters
    assert letter["deliveryattempts"] == 1
    assert letter["lasthttpstatuscode"] == status


def test_a_queue_that_is_gone_is_tried_again(azurite: Azurite, queue: QueueClient) -> None:
    with EventGridEmulator(retry_scale=0.01) as grid:
        grid.deliver_to_queue(azurite.connection_string, queue.queue_name)
        queue.delete_queue()
        grid.publish(push("app"), topic=TOPIC)
        with pytest.raises(TimeoutError, match="1 events are still on their way"):
            grid.drain(timeout=0.05)
        queue.create_queue()
        grid.drain()

    assert len(bodies(queue)) == 1


def _published(count: int, **switches: Any) -> EventGridEmulator:
    endpoint = ForgetfulEndpoint(200)
    with endpoint.server, EventGridEmulator(seed=7, **switches) as grid:
        grid.deliver_to_webhook(endpoint.url)
        for number in range(count):
            grid.publish(push(f"app{number}"), topic=TOPIC)
        grid.drain()
    return grid


def _order(grid: EventGridEmulator) -> list[str]:
    return [event["data"]["target"]["repository"] for event in grid.delivered]


def test_without_switches_events_come_once_and_in_order() -> None:
    assert _order(_published(20)) == [f"app{number}" for number in range(20)]


def test_duplicates_come_with_the_same_id() -> None:
    grid = _published(40, duplicates=0.5)

    ids = [event["id"] for event in grid.delivered]
    assert len(set(ids)) == 40
    assert 45 < len(ids) < 75


def test_losses_are_listed_and_repeat_with_the_seed() -> None:
    first, second = _published(40, loss=0.5), _published(40, loss=0.5)

    assert 5 < len(first.lost) < 35
    assert len(first.lost) + len(first.delivered) == 40
    assert _order(first) == _order(second)


def test_reordering_delivers_all_in_another_order() -> None:
    grid = _published(20, reorder=True, reorder_window=0.2)

    assert _order(grid) != [f"app{number}" for number in range(20)]
    assert sorted(_order(grid)) == sorted(f"app{number}" for number in range(20))
