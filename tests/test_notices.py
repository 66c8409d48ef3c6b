import json
import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from emulators.certificates import CertificateAuthority
from emulators.server import Server
from shared.notices import EventGridNotices, NoNotices


class SignedIn:
    """Somebody who always has a token."""

    def get_token(self, *_: str, **__: Any) -> AccessToken:
        return AccessToken("a-token", int(time.time()) + 3600)


class Topic:
    """An Event Grid topic that keeps what it is sent and answers as told."""

    def __init__(self) -> None:
        self.status = 200
        self.received: list[tuple[str, str, Any]] = []
        self.lock = threading.Lock()

    async def receive(self, request: Request) -> Response:
        body = json.loads(await request.body())
        with self.lock:
            headers = request.headers
            self.received.append((headers["content-type"], headers["authorization"], body))
        return Response(status_code=self.status)


@pytest.fixture
def topic() -> Topic:
    return Topic()


@pytest.fixture
def notices(topic: Topic, monkeypatch: pytest.MonkeyPatch) -> Iterator[EventGridNotices]:
    app = Starlette(routes=[Route("/api/events", topic.receive, methods=["POST"])])
    with CertificateAuthority() as ca, Server(app, ca=ca) as server:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ca.ca_file))
        publisher = EventGridNotices(
            f"{server.url}/api/events",
            SignedIn(),
            retry_total=0,
        )
        yield publisher
        publisher.close()


def test_a_notice_is_one_cloud_event_under_the_identity(notices: EventGridNotices, topic: Topic) -> None:
    notices.publish("RunFinished", "night-1", {"done": {"deleted": 3}})
    ((content_type, authorization, body),) = topic.received
    (event,) = body
    assert content_type.startswith("application/cloudevents-batch+json")
    assert authorization == "Bearer a-token"
    assert event["specversion"] == "1.0"
    assert event["type"] == "RegistrySteward.RunFinished"
    assert event["source"] == "/registry-steward"
    assert event["subject"] == "runs/night-1"
    assert event["data"] == {"done": {"deleted": 3}, "run": "night-1"}


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413])
def test_a_notice_that_is_refused_is_logged_and_stops_nothing(
    notices: EventGridNotices, topic: Topic, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    topic.status = status
    with caplog.at_level(logging.WARNING, logger="steward.notices"):
        notices.publish("PlanReady", "night-1", {})
    assert len(topic.received) == 1
    assert [record.getMessage() for record in caplog.records] == [
        "a notice could not be published: PlanReady of night-1"
    ]


def test_without_a_topic_nobody_is_told() -> None:
    NoNotices().publish("RunRefused", "night-1", {})
