from typing import Any

import pytest
import requests

from emulators.functions_host import RunningHost
from tests.emulators.functions_host.fixture_host import Storage

pytestmark = pytest.mark.xdist_group("functions_host")

NOTIFICATION = {"aeg-event-type": "Notification"}


def cloud_event(name: str, subject: str = "app:v1") -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": name,
        "source": "/s",
        "type": "T.Pushed",
        "subject": subject,
        "data": {},
    }


def grid_event(name: str, subject: str = "app:v1") -> dict[str, Any]:
    return {
        "id": name,
        "topic": "/s",
        "subject": subject,
        "eventType": "T.Pushed",
        "eventTime": "2026-01-02T03:04:05.1234567Z",
        "data": {},
        "dataVersion": "1.0",
        "metadataVersion": "1",
    }


def test_the_handshake_of_cloud_events_echoes_the_origin(host: RunningHost, http: requests.Session) -> None:
    response = http.options(
        host.event_grid_url("on_event"), headers={"WebHook-Request-Origin": "eventgrid.azure.net"}
    )

    assert response.status_code == 200
    assert response.headers["webhook-allowed-origin"] == "eventgrid.azure.net"


def test_the_handshake_of_event_grid_echoes_the_code(host: RunningHost, http: requests.Session) -> None:
    event = {
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "data": {"validationCode": "512d38b6"},
    }

    response = http.post(
        host.event_grid_url("on_event"), json=[event], headers={"aeg-event-type": "SubscriptionValidation"}
    )

    assert (response.status_code, response.json()) == (200, {"validationResponse": "512d38b6"})


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (cloud_event("ce-1"), "CloudEvent"),
        ([grid_event("eg-1")], "EventGridEvent"),
        ([grid_event("eg-2"), grid_event("eg-3")], "EventGridEvent"),
    ],
)
def test_each_event_of_a_delivery_is_one_call(
    host: RunningHost, storage: Storage, http: requests.Session, body: Any, kind: str
) -> None:
    response = http.post(host.event_grid_url("on_event"), json=body, headers=NOTIFICATION)

    assert response.status_code == 202
    ids = [event["id"] for event in (body if isinstance(body, list) else [body])]
    seen = storage.wait_for(lambda item: isinstance(item, dict) and item.get("event") in ids, count=len(ids))
    assert sorted(item["event"] for item in seen) == ids
    assert {(item["type"], item["kind"]) for item in seen} == {("T.Pushed", kind)}


def test_a_delivery_fails_as_a_whole(host: RunningHost, storage: Storage, http: requests.Session) -> None:
    body = [grid_event("eg-4"), grid_event("eg-5", subject="fail")]

    assert http.post(host.event_grid_url("on_event"), json=body, headers=NOTIFICATION).status_code == 500

    storage.wait_for(lambda item: isinstance(item, dict) and item.get("event") == "eg-4")


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 400), ({"aeg-event-type": "Gossip"}, 400), ({"aeg-event-type": "Unsubscribe"}, 202)],
)
def test_the_kind_of_a_delivery_is_in_its_header(
    host: RunningHost, http: requests.Session, headers: dict[str, str], status: int
) -> None:
    response = http.post(host.event_grid_url("on_event"), json=cloud_event("x"), headers=headers)

    assert response.status_code == status


@pytest.mark.parametrize("body", [b"", b"not json", b'"text"', b"[1]"])
def test_a_body_that_is_no_event_is_refused(host: RunningHost, http: requests.Session, body: bytes) -> None:
    response = http.post(host.event_grid_url("on_event"), data=body, headers=NOTIFICATION)

    assert response.status_code == 400


def test_only_event_grid_triggers_are_reached_and_only_with_the_key(
    host: RunningHost, http: requests.Session
) -> None:
    url = host.event_grid_url("work")
    assert http.post(url, json=cloud_event("x"), headers=NOTIFICATION).status_code == 404

    closed = host.event_grid_url("on_event").partition("&code=")[0]
    assert http.post(closed, json=cloud_event("x"), headers=NOTIFICATION).status_code == 401
    assert http.post(closed.upper().replace("HTTP", "http")).status_code == 401
