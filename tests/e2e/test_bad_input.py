"""What cannot be understood is named and kept for a person, and other work goes on."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from emulators.registry.images import build_image
from tests.e2e.world import ROUTES, World, eventually, multi_platform, retention, unique, world

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def steward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    settings = {"AzureFunctionsJobHost__extensions__queues__maxDequeueCount": "2"}
    with world(tmp_path_factory.mktemp("bad"), policy=ROUTES, settings=settings) as started:
        yield started


def event(steward: World, **changes: Any) -> dict[str, Any]:
    """Return an event as Event Grid would send it, with changes; `None` takes a key away."""
    acr = steward.stack.acr
    body: dict[str, Any] = {
        "specversion": "1.0",
        "id": "11111111-2222-3333-4444-555555555555",
        "source": acr.resource_id,
        "type": "Microsoft.ContainerRegistry.ImagePushed",
        "subject": "e2e/none:v1",
        "time": "2026-01-01T00:00:00.0000000Z",
        "data": {
            "id": "1",
            "timestamp": "2026-01-01T00:00:00Z",
            "action": "push",
            "target": {"repository": "e2e/none", "tag": "v1"},
            "request": {"id": "1", "host": acr.login_server, "method": "PUT"},
        },
    } | changes
    return {key: value for key, value in body.items() if value is not None}


BAD_EVENTS: dict[str, Callable[[World], str | bytes | dict[str, Any]]] = {
    "no JSON": lambda _: "<event/>",
    "not UTF-8": lambda _: b"\xff\xfe{}",
    "an empty array": lambda _: "[]",
    "neither schema": lambda _: {"id": "1"},
    "a later CloudEvents": lambda steward: event(steward, specversion="2.0"),
    "no source": lambda steward: event(steward, source=None),
    "another service's event": lambda steward: event(steward, type="Microsoft.Storage.BlobCreated"),
    "a name that cannot be": lambda steward: event(
        steward, data={"target": {"repository": "../etc", "tag": "v1"}, "request": {}}
    ),
    "another registry": lambda steward: event(
        steward,
        data={"target": {"repository": "e2e/a"}, "request": {"host": "stranger.azurecr.io"}},
    ),
    "a chart of another registry": lambda steward: event(
        steward,
        source="/subscriptions/1/resourceGroups/g/providers/Microsoft.ContainerRegistry/registries/stranger",
        data={"target": {"repository": "e2e/a"}},
    ),
    "huge": lambda steward: event(steward, padding="x" * 45_000, specversion=None),
}

BAD_MESSAGES: dict[str, str] = {
    "no JSON": "to whom it may concern",
    "alien": '{"hello": "world"}',
    "a later version": '{"version": 2, "kind": "replicate-tag"}',
    "an unknown kind": '{"version": 1, "kind": "drop-everything"}',
    "too long": '{"version": 1, "kind": "replicate-tag", "padding": "' + "x" * 48_000 + '"}',
}


def test_bad_events_and_messages_are_kept_as_they_came_and_other_work_goes_on(steward: World) -> None:
    settings = steward.stack.settings
    events = {name: make(steward) for name, make in BAD_EVENTS.items()}
    for body in events.values():
        steward.send(settings["EVENTS_QUEUE"], body)
    for body in BAD_MESSAGES.values():
        steward.send(settings["REPLICATION_QUEUE"], body)
        steward.send(settings["CLEANUP_QUEUE"], body)
    unopened = {
        "version": 1,
        "kind": "apply-plan",
        "run": "night-20200101t000000z",
        "registry": steward.stack.acr.login_server,
        "repository": "e2e/none",
    }
    steward.send(settings["CLEANUP_QUEUE"], unopened)
    repository, image = unique("meanwhile"), multi_platform()

    steward.acr.push(repository, image, "v1")
    steward.await_replica(repository, "v1", image)

    expected = len(events) + 2 * len(BAD_MESSAGES) + 1
    eventually(lambda: len(steward.poison()) >= expected, f"{expected} poison records")
    kept = [(record["origin"], record["text"]) for record in steward.poison()]
    assert sorted(kept) == sorted(
        [
            *(("registry-event", as_text(body)) for body in events.values()),
            *(("replicate-tag", body) for body in BAD_MESSAGES.values()),
            *(("clean-repository", body) for body in BAD_MESSAGES.values()),
            ("clean-repository", json.dumps(unopened)),
        ]
    )
    steward.await_quiet()
    queues = [settings[name] for name in ("EVENTS_QUEUE", "REPLICATION_QUEUE", "CLEANUP_QUEUE")]
    eventually(
        lambda: not any(steward.queue_length(f"{queue}-poison") for queue in queues),
        "the poison queues to be empty",
    )


def as_text(body: str | bytes | dict[str, Any]) -> str:
    if isinstance(body, dict):
        return json.dumps(body)
    return body if isinstance(body, str) else body.decode(errors="replace")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"specversion": "2.0"}, "specversion: '2.0', this app reads CloudEvents 1.0"),
        ({"source": "/nowhere"}, "source: '/nowhere' is not the resource id of a container registry"),
        ({"time": "yesterday"}, "time: 'yesterday' is not a time"),
        ({"data": {"target": {"repository": "A B"}}}, "data.target.repository: 'A B'"),
        (
            {"data": {"target": {"repository": "a"}, "request": {"host": "stranger.azurecr.io"}}},
            "request.host: stranger.azurecr.io is not in ACR_LOGIN_SERVERS",
        ),
    ],
)
def test_the_log_names_the_place_in_a_bad_event(
    steward: World, changes: dict[str, Any], complaint: str
) -> None:
    steward.host.fire("on_queued_registry_event", json.dumps(event(steward, **changes)))

    eventually(lambda: json.dumps(complaint)[1:-1] in steward.host.log, complaint)


def test_a_message_that_fails_on_every_delivery_fails_its_repository_and_the_run_ends(
    steward: World,
) -> None:
    broken, well = unique("broken"), unique("well")
    for repository in (broken, well):
        build_image().push_to(steward.state, repository, tag="v1")
    steward.write_policy(retention(broken, well, routes=True))
    steward.stack.acr.faults.inject(path=f"/acr/v1/{broken}/_tags", times=None, status=503, body="{}")
    try:
        summary = steward.night()
    finally:
        steward.stack.acr.faults.clear()

    assert summary["state"] == "finished"
    assert summary["done"]["failures"] == 1
    failed = steward.finished_report(summary["run"], broken)
    assert "failed on every delivery" in failed["failed"]
    assert steward.finished_report(summary["run"], well)["plan"]["refused"] is None


@pytest.mark.parametrize(
    ("policy", "complaints"),
    [
        ("version: 1\nretention:\n  rules:\n    - nam: old\n", ["retention.rules[0].nam (line 4)"]),
        ("version: 2\n", ["version (line 1)"]),
        ("- nonsense", ["document"]),
        (
            "version: 1\nretention:\n  grace: tomorrow\n  limits:\n    run: {percent: 101}\n",
            ["retention.grace (line 3)", "retention.limits.run.percent (line 5)"],
        ),
    ],
)
def test_a_night_with_an_invalid_policy_does_not_open_and_readiness_says_where(
    steward: World, policy: str, complaints: list[str]
) -> None:
    before = steward.runs("night")
    failures = steward.host.log.count("Executed 'Functions.start_nightly_run' (Failed)")
    steward.write_policy(policy)
    try:
        steward.stack.fire_timer("start_nightly_run")
        eventually(
            lambda: steward.host.log.count("Executed 'Functions.start_nightly_run' (Failed)") > failures,
            "the timer to fail",
        )
        answer = steward.answer("health/ready")
    finally:
        steward.write_policy(ROUTES)

    assert steward.runs("night") == before
    assert answer.status_code == 503
    for complaint in complaints:
        assert complaint in answer.json()["checks"]["policy"]
    assert answer.json()["checks"]["storage"] is None
    assert steward.answer("health/ready").status_code == 200


def test_a_policy_that_is_gone_is_named(steward: World) -> None:
    steward.remove_policy()
    try:
        answer = steward.answer("health/ready")
    finally:
        steward.write_policy(ROUTES)

    assert answer.status_code == 503
    assert answer.json()["checks"]["policy"].startswith("reading the policy file ")


def test_invalid_settings_are_named_by_readiness(steward: World) -> None:
    repository, image = unique("mended"), multi_platform()
    steward.stack.restart_host({"CLEANUP_MODE": "delete", "REGISTRY_THREADS": "many", "DOCKERHUB_TOKEN": ""})
    answer = steward.answer("health/ready")
    runs = steward.answer("runs")
    health = steward.answer("health")
    steward.stack.restart_host(
        {
            "CLEANUP_MODE": "plan",
            "REGISTRY_THREADS": "4",
            "DOCKERHUB_TOKEN": steward.stack.dockerhub.token,
        }
    )

    assert health.json() == {"status": "ok"}
    assert answer.status_code == 503
    said = answer.json()["checks"]["settings"]
    assert "CLEANUP_MODE: 'delete', expected plan or apply" in said
    assert "REGISTRY_THREADS: 'many' is not a whole number" in said
    assert "DOCKERHUB_TOKEN: missing, though DOCKERHUB_USERNAME is set" in said
    assert runs.status_code == 503
    assert runs.headers["Content-Type"].startswith("application/problem+json")
    steward.acr.push(repository, image, "v1")
    steward.await_replica(repository, "v1", image)
