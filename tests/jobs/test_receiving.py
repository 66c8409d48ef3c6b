"""An event comes in, work comes out: what the policy asks for, of a registry that the settings name."""

import json
from typing import Any
from uuid import uuid4

import pytest

from emulators.registry.images import build_cosign_signature, build_image, build_referrer, cosign_tag
from shared.errors import InvalidEvent, StorageUnavailable
from shared.jobs.receiving import ReceivedEvent, receive_events
from shared.messages import PlanRepository, ReplicateTag
from shared.oci.names import DOCKER_HUB, Reference, parse_repository, parse_tag
from shared.storage.append_log import AppendLog
from tests.jobs.world import World

RESOURCE = "/subscriptions/0/resourceGroups/rg/providers/Microsoft.ContainerRegistry/registries"
KINDS = {"push": "ImagePushed", "delete": "ImageDeleted", "chart_push": "ChartPushed"}
DIGEST = f"sha256:{'a' * 64}"


def event(world: World, *, action: str = "push", name: str = "demo", **target: Any) -> dict[str, Any]:
    """Build an event as Azure sends it; a target field that is None is left out."""
    fields = {"repository": world.repository, "digest": DIGEST, "tag": "v1"} | target
    data: dict[str, Any] = {
        "id": str(uuid4()),
        "timestamp": "2026-01-01T00:00:00.0000000Z",
        "action": action,
        "target": {key: value for key, value in fields.items() if value is not None},
    }
    data["request"] = {"id": "1", "host": world.acr.login_server, "method": "PUT", "useragent": "docker"}
    return {
        "specversion": "1.0",
        "id": str(uuid4()),
        "source": f"{RESOURCE}/{name}",
        "type": f"Microsoft.ContainerRegistry.{KINDS[action]}",
        "subject": f"{world.repository}:v1",
        "time": "2026-01-01T00:00:00Z",
        "data": data,
    }


def receive(world: World, *events: dict[str, Any]) -> list[ReceivedEvent]:
    return receive_events(world.services, json.dumps(list(events)).encode(), now=world.clock())


def routed(world: World) -> None:
    source = f"from: {{repositories: ['{world.word}/**'], tags: ['v*']}}"
    world.write_policy(
        routes=[
            f"name: hub, {source}, to: 'docker.io/{world.hub.namespace}/{{flattened}}'",
            f"name: other, {source}, to: ['localhost:9/mirror/{{flattened}}', 'localhost:9/{{repository}}']",
        ]
    )


def test_a_tagged_push_queues_one_message_for_each_target_of_each_route(world: World) -> None:
    routed(world)
    (received,) = receive(world, event(world))
    messages = [message for message in world.take_replications() if isinstance(message, ReplicateTag)]
    source = Reference(registry=world.registry, repository=world.repository, tag=parse_tag("v1"))
    assert [(message.route, str(message.target)) for message in messages] == [
        ("hub", f"docker.io/{world.replica}:v1"),
        ("other", f"localhost:9/mirror/{world.word}-app:v1"),
        ("other", f"localhost:9/{world.repository}:v1"),
    ]
    assert {message.source for message in messages} == {source}
    assert {message.digest for message in messages} == {DIGEST}
    assert {message.run for message in messages} == {f"pushes-{world.clock.now:%Y%m%d}"}
    assert [message.target for message in messages] == list(received.targets)
    assert received.log_fields()["targets"] == [str(target) for target in received.targets]


@pytest.mark.parametrize("change", [{"tag": "pr-1"}, {"repository": "elsewhere/app"}])
def test_what_no_route_takes_leads_to_nothing(world: World, change: dict[str, str]) -> None:
    routed(world)
    (received,) = receive(world, event(world, **change))
    assert (received.targets, received.cleanup) == ((), None)
    assert world.take_replications() == world.take_cleanups() == []


def test_child_manifests_and_deletes_and_charts_lead_to_nothing(world: World) -> None:
    routed(world)
    child = world.push(build_image())
    receive(
        world,
        event(world, tag=None, digest=child),
        event(world, action="delete", tag=None),
        event(world, action="chart_push"),
    )
    assert world.take_replications() == []


def test_the_same_event_twice_leads_to_the_same_work_twice(world: World) -> None:
    world.write_policy(routes=[hub_route(world)])
    same = event(world)
    receive(world, same, same)
    first, second = world.take_replications()
    assert first == second


def hub_route(world: World) -> str:
    source = f"from: {{repositories: ['{world.word}/**'], tags: ['v*']}}"
    return f"name: hub, {source}, to: 'docker.io/{world.hub.namespace}/{{flattened}}'"


@pytest.mark.parametrize("kind", ["cosign", "referrer"])
def test_a_signature_pushed_after_its_image_queues_the_tags_of_the_image(world: World, kind: str) -> None:
    world.write_policy(routes=[hub_route(world)])
    image = build_image()
    world.push(image, tag="v7")
    signature = build_cosign_signature(image) if kind == "cosign" else build_referrer(image)
    tag = cosign_tag(image.digest) if kind == "cosign" else None
    world.push(signature, tag=tag)
    receive(world, event(world, tag=tag, digest=signature.digest))
    (message,) = world.take_replications()
    assert isinstance(message, ReplicateTag)
    assert (message.source.tag, message.refresh, message.digest) == ("v7", True, None)
    assert message.target == Reference(
        registry=DOCKER_HUB, repository=parse_repository(world.replica), tag=parse_tag("v7")
    )


def test_many_pushes_open_one_cleanup(world: World) -> None:
    world.write_policy("name: fresh, tags: ['pr-*'], keep_newest: 3, on_push: true")
    received = receive(world, *(event(world, tag=f"pr-{number}") for number in range(10)))
    (name,) = {each.cleanup for each in received}
    assert name is not None
    assert list(world.services.runs.list_runs()) == [name]
    assert world.services.cleanup_queue.length() == 1


def test_the_cleanup_after_a_push_is_of_the_repository_that_was_pushed_to(world: World) -> None:
    world.write_policy("name: fresh, tags: ['pr-*'], keep_newest: 3, on_push: true")
    length = world.services.settings.push_cleanup_seconds
    world.clock.pass_by(seconds=length - world.clock.now.timestamp() % length - 0.5)
    (received,) = receive(world, event(world, tag="pr-1"))
    assert received.cleanup is not None
    message = wait_for_one(world)
    assert message == PlanRepository(
        run=received.cleanup, registry=world.registry, repository=world.repository
    )


def wait_for_one(world: World) -> object:
    """Take the message whose delay of a second is over."""
    for _ in range(2000):
        if messages := world.take_cleanups():
            return messages[0]
    raise AssertionError("no message came")


def by_team(world: World) -> str:
    """Route by a captured group, which is no repository name where it is in capitals; return the target."""
    source = f"from: {{repositories: ['{world.repository}'], tags_matching: ['(?P<team>[A-Za-z]*)-[0-9]*']}}"
    target = f"docker.io/{world.hub.namespace}/x{{team}}"
    world.write_policy(routes=[f"name: teams, {source}, to: '{target}', extra_tags: ['{{tag}}-mirror']"])
    return target


def outcomes(world: World) -> list[dict[str, Any]]:
    return list(world.services.runs.replications(f"pushes-{world.clock.now:%Y%m%d}").read())


def test_a_tag_that_a_route_takes_and_cannot_name_is_a_failed_outcome_that_says_what_to_do(
    world: World,
) -> None:
    target = by_team(world)
    (received,) = receive(world, event(world, tag="ABC-1"))
    assert received.targets == ()
    assert received.unmappable[0].route == "teams"
    assert "teams" in str(received.log_fields()["unmappable"])
    (outcome,) = outcomes(world)
    assert (outcome["result"], outcome["route"], outcome["target"]) == ("failed", "teams", target)
    assert outcome["source"] == f"{world.registry}/{world.repository}:ABC-1"
    assert "is not a repository" in outcome["detail"]
    assert "To mend it: change the target of the route" in outcome["detail"]
    assert world.take_replications() == [], "nothing tries it again"


def test_a_push_that_cannot_be_named_is_recorded_once_however_often_its_event_comes(world: World) -> None:
    by_team(world)
    first, second = event(world, tag="ABC-1"), event(world, tag="ABC-1")
    receive(world, first, first)
    world.set()
    receive(world, first)
    assert len(outcomes(world)) == 1
    receive(world, second)
    assert len(outcomes(world)) == 2, "the tag was pushed again"


def test_an_extra_tag_that_is_too_long_fails_alone(world: World) -> None:
    by_team(world)
    (received,) = receive(world, event(world, tag=f"abc-{'1' * 120}"))
    assert [str(each) for each in received.targets] == [
        f"docker.io/{world.hub.namespace}/xabc:abc-{'1' * 120}"
    ]
    (outcome,) = outcomes(world)
    assert "is not a tag" in outcome["detail"]


def test_a_push_that_could_not_be_recorded_is_recorded_when_its_event_comes_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_team(world)
    push = event(world, tag="ABC-1")

    def refuse(*_: object) -> None:
        raise StorageUnavailable("the log is locked")

    with monkeypatch.context() as patched:
        patched.setattr(AppendLog, "append", refuse)
        with pytest.raises(StorageUnavailable):
            receive(world, push)
    receive(world, push)
    assert len(outcomes(world)) == 1


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"host": "evil.azurecr.io"}, "request.host: evil.azurecr.io is not in ACR_LOGIN_SERVERS"),
        ({"host": None}, "topic: registry 'demo' is not in ACR_LOGIN_SERVERS"),
    ],
)
def test_an_event_of_a_registry_that_no_setting_names_is_refused(
    world: World, change: dict[str, str | None], place: str
) -> None:
    routed(world)
    wrong = event(world)
    if change["host"] is None:
        del wrong["data"]["request"]
    else:
        wrong["data"]["request"]["host"] = change["host"]
    with pytest.raises(InvalidEvent, match=place):
        receive(world, wrong)
    assert world.take_replications() == []


def test_without_a_host_the_name_of_the_resource_decides_when_it_names_one(world: World) -> None:
    world.write_policy()
    world.set(
        ACR_LOGIN_SERVERS="one.azurecr.io, two-ab12.azurecr.io, three.azurecr.io, three-x.azurecr.io",
        EMULATOR_CA_FILE="",
    )

    def server(name: str) -> str:
        chart = event(world, action="chart_push", name=name, digest=None)
        del chart["data"]["request"]
        (received,) = receive(world, chart)
        return received.login_server

    assert server("One") == "one.azurecr.io"
    assert server("two") == "two-ab12.azurecr.io"
    with pytest.raises(InvalidEvent, match="named by several login servers"):
        server("three")
    with pytest.raises(InvalidEvent, match="'tw' is not in"):
        server("tw")
