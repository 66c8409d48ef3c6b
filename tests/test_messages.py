import json
import string
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidMessage, InvalidName
from shared.messages import (
    MAX_MESSAGE_BYTES,
    ApplyPlan,
    Message,
    PlanRepository,
    ReconcileRepository,
    ReplicateTag,
    parse_message,
    parse_run,
)
from shared.oci.names import (
    Reference,
    parse_digest,
    parse_login_server,
    parse_repository,
    parse_tag,
)

LOWER = string.ascii_lowercase + string.digits
WORD = st.text(LOWER, min_size=1, max_size=12)

runs = st.from_regex(r"[a-z0-9][a-z0-9-]{0,99}", fullmatch=True).map(parse_run)
registries = st.one_of(
    WORD.map(lambda name: f"{name}.azurecr.io"),
    st.just("docker.io"),
    st.integers(1, 65535).map(lambda port: f"localhost:{port}"),
).map(parse_login_server)
repositories = st.builds(
    lambda words, separators: "".join(
        word + separator for word, separator in zip(words, [*separators, ""], strict=False)
    ).rstrip("/._-"),
    st.lists(WORD, min_size=1, max_size=5),
    st.lists(st.sampled_from(["/", ".", "_", "__", "---"]), min_size=5, max_size=5),
).map(parse_repository)
tags = st.from_regex(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}", fullmatch=True).map(parse_tag)
digests = st.text("0123456789abcdef", min_size=64, max_size=64).map(
    lambda hexes: parse_digest(f"sha256:{hexes}")
)
tagged = st.builds(Reference, registry=registries, repository=repositories, tag=tags)
routes = st.text(min_size=1, max_size=80).filter(str.isprintable)
messages: st.SearchStrategy[Message] = st.one_of(
    st.builds(
        PlanRepository,
        run=runs,
        registry=registries,
        repository=repositories,
        deferrals=st.integers(0, 2**31),
    ),
    st.builds(
        ApplyPlan,
        run=runs,
        registry=registries,
        repository=repositories,
        continuation=st.integers(0, 2**63),
        outages=st.integers(0, 2**31),
    ),
    st.builds(
        ReplicateTag,
        run=runs,
        route=routes,
        source=tagged,
        target=tagged,
        digest=st.none() | digests,
        refresh=st.booleans(),
        deferrals=st.integers(0, 2**31),
    ),
    st.builds(
        ReconcileRepository,
        run=runs,
        registry=registries,
        repository=repositories,
        after=st.none() | tags,
        deferrals=st.integers(0, 2**31),
    ),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)

PLAN = {
    "version": 1,
    "kind": "plan-repository",
    "run": "night-1",
    "registry": "demo.azurecr.io",
    "repository": "team/app",
}
REPLICATE = {
    "version": 1,
    "kind": "replicate-tag",
    "run": "pushes-1",
    "route": "to hub",
    "source": {"registry": "demo.azurecr.io", "repository": "team/app", "tag": "v1"},
    "target": {"registry": "docker.io", "repository": "acme/app", "tag": "v1"},
}


def refusal(body: object) -> str:
    with pytest.raises(InvalidMessage) as caught:
        parse_message(json.dumps(body))
    return str(caught.value)


@given(messages)
def test_a_message_survives_its_own_text(message: Message) -> None:
    text = message.to_json()
    assert parse_message(text) == message
    assert parse_message(text.encode()) == message


@given(messages)
def test_a_message_fits_a_storage_queue(message: Message) -> None:
    assert len(message.to_json().encode()) <= MAX_MESSAGE_BYTES


def test_the_text_of_each_kind_is_what_other_versions_of_the_app_read() -> None:
    place = {"registry": parse_login_server("demo.azurecr.io"), "repository": parse_repository("team/app")}
    source = Reference(**place, tag=parse_tag("v1"))  # type: ignore[arg-type]
    target = Reference(
        registry=parse_login_server("docker.io"),
        repository=parse_repository("acme/app"),
        tag=parse_tag("v1"),
    )
    plan = PlanRepository(run="night-1", **place)  # type: ignore[arg-type]
    apply = ApplyPlan(run="night-1", continuation=2, **place)  # type: ignore[arg-type]
    replicate = ReplicateTag(run="pushes-1", route="to hub", source=source, target=target)
    assert json.loads(plan.to_json()) == PLAN | {"deferrals": 0}
    assert json.loads(apply.to_json()) == PLAN | {"kind": "apply-plan", "continuation": 2, "outages": 0}
    assert json.loads(replicate.to_json()) == REPLICATE | {"digest": None, "refresh": False, "deferrals": 0}
    reconcile = ReconcileRepository(run="night-1", after=parse_tag("v1"), **place)  # type: ignore[arg-type]
    assert json.loads(reconcile.to_json()) == PLAN | {
        "kind": "reconcile-repository",
        "after": "v1",
        "deferrals": 0,
    }


def test_a_missing_continuation_is_the_first() -> None:
    message = parse_message(json.dumps(PLAN | {"kind": "apply-plan"}))
    assert isinstance(message, ApplyPlan)
    assert message.continuation == 0


@given(st.binary() | st.text())
def test_no_text_raises_anything_but_invalid_message(text: str | bytes) -> None:
    with pytest.raises(InvalidMessage):
        parse_message(text)


FRESH = [PLAN | {"deferrals": 0}, PLAN | {"kind": "apply-plan", "continuation": 0, "outages": 0}, REPLICATE]


@given(st.sampled_from(FRESH), st.data())
def test_no_value_in_any_field_raises_anything_but_invalid_message(
    body: dict[str, Any], data: st.DataObject
) -> None:
    damaged = json.loads(json.dumps(body))
    place = damaged
    key = data.draw(st.sampled_from(sorted(body)))
    if isinstance(damaged[key], dict) and data.draw(st.booleans()):
        place = damaged[key]
        key = data.draw(st.sampled_from(sorted(place)))
    place[key] = data.draw(json_values)
    try:
        message = parse_message(json.dumps(damaged))
    except InvalidMessage:
        return
    assert parse_message(message.to_json()) == message


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plan",
        b"\xff\xfe",
        b"\x80{}",
        "\ud800",
        '"\\ud800"',
        "[" * 20_000,
        '{"version":' + "[" * 9_000 + "]" * 9_000 + "}",
        '{"version":' + "9" * 5_000 + "}",
        "NaN",
        "null",
        "[]",
        "1",
    ],
)
def test_what_is_no_json_object_of_ours_is_refused(text: str | bytes) -> None:
    with pytest.raises(InvalidMessage):
        parse_message(text)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ([], "message is a JSON array, expected a JSON object"),
        (None, "message is None, expected a JSON object"),
        ({}, "version: None, this app reads version 1"),
        (PLAN | {"version": 2}, "version: 2, this app reads version 1"),
        (PLAN | {"version": "1"}, "version: '1', this app reads version 1"),
        (PLAN | {"version": True}, "version: True, this app reads version 1"),
        (PLAN | {"version": 1.0}, "version: 1.0, this app reads version 1"),
        (PLAN | {"version": {"a": 1}}, "version: a JSON object, this app reads version 1"),
        (
            PLAN | {"kind": "clean-repository"},
            (
                "kind: 'clean-repository', expected one of plan-repository, apply-plan, replicate-tag, "
                "reconcile-repository"
            ),
        ),
        (
            {"version": 1},
            "kind: None, expected one of plan-repository, apply-plan, replicate-tag, reconcile-repository",
        ),
        (PLAN | {"run": None}, "run: None, expected a printable text"),
        (PLAN | {"run": ""}, "run: '', expected a printable text"),
        (PLAN | {"repository": ["team/app"]}, "repository: a JSON array, expected a printable text"),
        (
            PLAN | {"kind": "apply-plan", "repository": ""},
            "repository: '', expected a printable text",
        ),
        (PLAN | {"kind": "apply-plan", "continuation": -1}, "continuation: -1, expected a count"),
        (PLAN | {"kind": "apply-plan", "continuation": True}, "continuation: True, expected a count"),
        (PLAN | {"kind": "apply-plan", "continuation": "1"}, "continuation: '1', expected a count"),
        (REPLICATE | {"route": "to\nhub"}, "route: 'to\\nhub', expected a printable text"),
        (REPLICATE | {"route": "\ud800"}, "route: '\\ud800', expected a printable text"),
        (REPLICATE | {"source": "demo"}, "source: expected an object with registry, repository and tag"),
        (
            REPLICATE | {"target": {"registry": "docker.io", "repository": "acme/app"}},
            "target.tag: None, expected a printable text",
        ),
        (
            REPLICATE | {"digest": "latest"},
            "digest: 'latest' is not a digest: expected algorithm:hex, such as sha256:2c26b4...",
        ),
    ],
)
def test_a_refusal_names_the_place(body: object, message: str) -> None:
    assert refusal(body) == message


def test_a_refusal_stays_readable_however_long_the_value() -> None:
    assert len(refusal(PLAN | {"version": "1" * 40_000})) < 300
    assert len(refusal(PLAN | {"run": "r" * 40_000})) < 300


def test_size_is_counted_in_bytes_not_characters() -> None:
    padding = "€" * (MAX_MESSAGE_BYTES // 2)
    text = json.dumps(PLAN | {"note": padding}, ensure_ascii=False)
    assert len(text) < MAX_MESSAGE_BYTES
    with pytest.raises(InvalidMessage, match="bytes, more than the 49152 that are read"):
        parse_message(text)
    with pytest.raises(InvalidMessage, match="bytes, more than the 49152 that are read"):
        parse_message(text.encode())


def test_a_message_of_the_greatest_size_is_read() -> None:
    text = json.dumps(PLAN)
    assert parse_message(text + " " * (MAX_MESSAGE_BYTES - len(text))) == parse_message(text)


def test_fields_that_a_newer_app_added_are_ignored() -> None:
    assert parse_message(json.dumps(PLAN | {"reason": "push"})) == parse_message(json.dumps(PLAN))


# A run's name is part of a path


@given(runs)
def test_a_run_is_one_component_of_a_path(run: str) -> None:
    path = PurePosixPath("runs") / run / "run.json"
    assert path.parts == ("runs", run, "run.json")
    assert run not in {".", ".."}


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "../other",
        "a/b",
        "a\\b",
        "/a",
        "a/../../b",
        "a%2fb",
        "-a",
        "A",
        "a.b",
        "a_b",
        "a b",
        "a\n",
        "a\x00",
        "é",
        "a" * 101,
    ],
)
def test_a_name_that_could_leave_its_path_is_no_run(text: str) -> None:
    with pytest.raises(InvalidName, match="is not a run: expected"):
        parse_run(text)
    assert refusal(PLAN | {"run": text}).startswith("run: ")


@given(st.text("ab1-./\\\n%A", max_size=4))
def test_whatever_is_a_run_is_safe_in_a_path(text: str) -> None:
    try:
        run = parse_run(text)
    except InvalidName:
        return
    assert set(run) <= set(LOWER + "-")
    assert 1 <= len(run) <= 100
