import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import InvalidEvent
from shared.replication.events import MAX_EVENT_BYTES, RegistryEvent, parse_registry_events

DIGEST = "sha256:" + "2" * 64
TOPIC = "/subscriptions/0000/resourceGroups/images/providers/Microsoft.ContainerRegistry/registries/demo"
TARGET = {
    "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
    "size": 3023,
    "digest": DIGEST,
    "length": 3023,
    "repository": "team/app",
    "tag": "v1",
}


def pushed(**changes: Any) -> dict[str, Any]:
    """Return an event in the Event Grid schema, as Azure's documentation shows it."""
    return {
        "id": "831e1650-001e-001b-66ab-eeb76e069631",
        "topic": TOPIC,
        "subject": "team/app:v1",
        "eventType": "Microsoft.ContainerRegistry.ImagePushed",
        "eventTime": "2018-04-25T21:39:47.6549614Z",
        "data": {
            "id": "31c51664-e5bd-416a-a5df-e5206bc47ed0",
            "timestamp": "2018-04-25T21:39:47.276585742Z",
            "action": "push",
            "location": "westus",
            "target": TARGET,
            "request": {"id": "7c66f28b", "host": "demo.azurecr.io", "method": "PUT"},
        },
        "dataVersion": "1.0",
        "metadataVersion": "1",
        **changes,
    }


def cloud_event(**changes: Any) -> dict[str, Any]:
    event = pushed()
    return {
        "specversion": "1.0",
        "id": event["id"],
        "source": event["topic"],
        "type": event["eventType"],
        "subject": event["subject"],
        "time": event["eventTime"],
        "data": event["data"],
        **changes,
    }


def only(body: object) -> RegistryEvent:
    (event,) = parse_registry_events(body)
    return event


EXPECTED = RegistryEvent(
    id="831e1650-001e-001b-66ab-eeb76e069631",
    kind="push",
    registry_name="demo",
    login_server="demo.azurecr.io",  # type: ignore[arg-type]
    repository="team/app",  # type: ignore[arg-type]
    tag="v1",  # type: ignore[arg-type]
    digest=DIGEST,  # type: ignore[arg-type]
    media_type="application/vnd.docker.distribution.manifest.v2+json",
    occurred_at=datetime(2018, 4, 25, 21, 39, 47, 654961, UTC),
)


@pytest.mark.parametrize("event", [pushed(), cloud_event()], ids=["event-grid", "cloud-events"])
def test_both_schemas_say_the_same_in_every_wrapping(event: dict[str, Any]) -> None:
    text = json.dumps(event)
    encoded = base64.b64encode(text.encode())
    wrappings: list[object] = [
        event,
        [event],
        text,
        f"[{text}]",
        text.encode(),
        f"\n {text}",
        b"\xef\xbb\xbf" + text.encode(),
        encoded,
        encoded.decode(),
    ]
    for body in wrappings:
        assert only(body) == EXPECTED


def test_an_array_has_an_event_per_item_in_order() -> None:
    events = parse_registry_events([pushed(id="1"), cloud_event(id="2"), pushed(id="3")])
    assert [event.id for event in events] == ["1", "2", "3"]


def test_a_child_manifest_is_pushed_without_a_tag() -> None:
    for target in ({**TARGET, "tag": None}, {**TARGET, "tag": ""}, {"digest": DIGEST, "repository": "app"}):
        event = only(pushed(data={**pushed()["data"], "target": target}))
        assert event.tag is None
        assert event.digest == DIGEST


def test_a_delete_names_a_digest_and_no_tag() -> None:
    data = {
        "action": "delete",
        "target": {"mediaType": TARGET["mediaType"], "digest": DIGEST, "repository": "team/app"},
        "request": {"host": "demo.azurecr.io", "method": "DELETE"},
    }
    event = only(pushed(eventType="Microsoft.ContainerRegistry.ImageDeleted", subject="team/app", data=data))
    assert (event.kind, event.tag, event.digest) == ("delete", None, DIGEST)


def test_a_chart_has_no_host_and_may_have_no_digest() -> None:
    target = {"repository": "charts", "tag": "mychart-1.0.0.tgz", "name": "mychart", "version": "1.0.0"}
    event = only(
        pushed(
            eventType="Microsoft.ContainerRegistry.ChartPushed",
            eventTime="2019-03-12T22:16:31.5164086-07:00",
            data={"action": "chart_push", "target": target},
        )
    )
    assert event.kind == "chart_push"
    assert event.login_server is None
    assert event.digest is None
    assert event.occurred_at == datetime(2019, 3, 13, 5, 16, 31, 516408, UTC)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("ImagePushed", "push"),
        ("microsoft.containerregistry.imagepushed", "push"),
        ("Microsoft.ContainerRegistry.ChartDeleted", "chart_delete"),
    ],
)
def test_types_are_told_by_their_last_word_whatever_its_case(kind: str, expected: str) -> None:
    assert only(pushed(eventType=kind)).kind == expected


def test_keys_are_found_whatever_their_case() -> None:
    event = cloud_event()
    event["specVersion"] = event.pop("specversion")
    assert only(event) == EXPECTED


def test_a_connected_registry_belongs_to_its_registry() -> None:
    data = {"action": "push", "target": TARGET, "connectedregistry": {"name": "edge"}}
    event = only(pushed(topic=f"{TOPIC}/connectedRegistries/edge", data=data, dataVersion="2.0"))
    assert (event.registry_name, event.login_server) == ("demo", None)


def test_data_in_base64_is_read() -> None:
    event = cloud_event()
    event["data_base64"] = base64.b64encode(json.dumps(event.pop("data")).encode()).decode()
    assert only(event) == EXPECTED


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "event is not JSON"),
        ("[]", "an empty array of events"),
        ("{", "event is not JSON"),
        ("hello, world", "neither JSON nor base64 of JSON"),
        (5, "event: int, expected an object"),
        ([5], r"\[0\]: int, expected an object"),
        ({}, r"event: neither CloudEvents \(specversion\) nor the Event Grid schema \(eventType\)"),
        (cloud_event(specversion="0.3"), "specversion: '0.3', this app reads CloudEvents 1.0"),
        (
            pushed(eventType="Microsoft.Storage.BlobCreated"),
            "eventType: 'Microsoft.Storage.BlobCreated' is no",
        ),
        (cloud_event(type="x"), "type: 'x' is no event of a container registry"),
        (pushed(id=None), "id: missing"),
        (pushed(topic="/subscriptions/0000"), "topic: '/subscriptions/0000' is not the resource id"),
        (pushed(topic=None), "topic: missing"),
        (pushed(eventTime="yesterday"), "eventTime: 'yesterday' is not a time"),
        (pushed(eventTime="2018-04-25T21:39:47"), "eventTime: '2018-04-25T21:39:47' has no offset"),
        (pushed(data=None), "data: missing"),
        (pushed(data={}), "data.target: missing"),
        (pushed(data={"target": []}), "data.target: list, expected an object"),
        (pushed(data={"target": {"digest": DIGEST}}), "data.target.repository: missing"),
        (pushed(data={"target": {**TARGET, "repository": "A"}}), "data.target.repository: 'A' is not"),
        (pushed(data={"target": {**TARGET, "tag": "-"}}), "data.target.tag: '-' is not a tag"),
        (pushed(data={"target": {**TARGET, "digest": "x"}}), "data.target.digest: 'x' is not a digest"),
        (pushed(data={"target": {**TARGET, "tag": 5}}), "data.target.tag: int, expected a text"),
        (pushed(data={"target": TARGET, "request": {"host": "a/b"}}), "data.request.host: 'a/b' is not"),
        ([pushed(), cloud_event(data={"target": {}})], r"\[1\].data.target.repository: missing"),
        (cloud_event(data=None, data_base64="!"), "data_base64: not base64 of JSON"),
        ("x" * (2 * MAX_EVENT_BYTES), "the most that is read"),
        (b" " + b"[" * (MAX_EVENT_BYTES + 1), "the most that is read"),
        ("[" * 100_000, "event is not JSON"),
        ("\ud800", "not Unicode"),
    ],
)
def test_what_cannot_be_understood_is_named(body: object, message: str) -> None:
    with pytest.raises(InvalidEvent, match=message):
        parse_registry_events(body)


@given(st.text() | st.binary())
def test_any_text_is_an_invalid_event(body: str | bytes) -> None:
    with pytest.raises(InvalidEvent):
        parse_registry_events(body)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=8), inner, max_size=2),
    max_leaves=5,
)


@given(
    st.sampled_from([pushed(), cloud_event()]),
    st.dictionaries(st.sampled_from(sorted({*pushed(), *cloud_event()})), _VALUES, max_size=3),
    st.dictionaries(st.sampled_from([*TARGET, "host"]), _VALUES, max_size=3),
)
@settings(max_examples=300)
def test_any_json_is_an_event_or_an_invalid_one(
    event: dict[str, Any], changes: dict[str, Any], inner: dict[str, Any]
) -> None:
    data = {"target": {**TARGET, **inner}, "request": inner}
    try:
        found = parse_registry_events({**event, "data": data, **changes})
    except InvalidEvent:
        return
    assert len(found) == 1
