"""Events that lie: they can make the app look where it would look anyway, and nothing else."""

import json
from typing import Any

import pytest

from emulators.registry.images import build_image
from shared.errors import InvalidEvent
from shared.jobs.receiving import receive_events
from shared.jobs.replicating import replicate
from shared.messages import ReplicateTag
from tests.jobs.servers import servers, world
from tests.jobs.world import World, body

__all__ = ["servers", "world"]


@pytest.fixture
def routed(world: World) -> World:
    source = f"{{repositories: ['{world.word}/**'], tags: ['v*']}}"
    target = f"'docker.io/{world.hub.namespace}/{{flattened}}'"
    world.write_policy(routes=[f"name: hub, from: {source}, to: {target}"])
    return world


def event(world: World, **target: Any) -> dict[str, Any]:
    told = {"repository": world.repository, "tag": "v1", "digest": f"sha256:{'a' * 64}"} | target
    return {
        "specversion": "1.0",
        "id": "forged",
        "source": world.acr.resource_id,
        "type": "Microsoft.ContainerRegistry.ImagePushed",
        "subject": f"{told['repository']}:{told['tag']}",
        "time": "2026-11-23T00:00:00Z",
        "data": {
            "id": "forged",
            "timestamp": "2026-11-23T00:00:00Z",
            "action": "push",
            "target": told,
            "request": {"host": world.acr.login_server},
        },
    }


def messages(world: World, told: dict[str, Any]) -> list[ReplicateTag]:
    receive_events(world.services, json.dumps(told).encode(), now=world.clock())
    found = world.take_replications()
    assert all(isinstance(message, ReplicateTag) for message in found)
    return [message for message in found if isinstance(message, ReplicateTag)]


def test_a_digest_in_an_event_is_not_believed(routed: World) -> None:
    digest = routed.push(build_image(), tag="v1")
    (message,) = messages(routed, event(routed, digest=f"sha256:{'b' * 64}"))
    assert message.source.digest is None
    outcome = replicate(routed.services, body(message), clock=routed.clock)
    assert (outcome.result, outcome.digest) == ("copied", digest)


def test_an_event_of_a_tag_that_was_never_pushed_copies_nothing(routed: World) -> None:
    routed.push(build_image(), tag="v1")
    (message,) = messages(routed, event(routed, tag="v999"))
    assert replicate(routed.services, body(message), clock=routed.clock).result == "gone"
    assert routed.hub.state.repository(routed.replica) is None


@pytest.mark.parametrize(
    "target",
    [
        {"repository": "../../runs/night-1"},
        {"repository": "app%2F..%2Fother"},
        {"repository": "UPPER"},
        {"tag": "v1/../../x"},
        {"tag": "v1\nv2"},
        {"tag": "-" + "x" * 200},
        {"digest": "sha256:../../etc/passwd"},
        {"digest": "md5:00"},
    ],
)
def test_names_that_no_registry_has_are_refused(routed: World, target: dict[str, str]) -> None:
    with pytest.raises(InvalidEvent):
        messages(routed, event(routed, **target))


def test_an_event_cannot_choose_a_host_to_be_asked(routed: World) -> None:
    told = event(routed)
    told["data"]["request"]["host"] = "attacker.azurecr.io"
    with pytest.raises(InvalidEvent, match="attacker"):
        messages(routed, told)
