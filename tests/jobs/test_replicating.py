"""One tag by one message: copied whole, or the reason why not, in as few requests as that takes."""

import re
from typing import Any

import pytest

from emulators.registry.images import Artifact, build_image, build_index
from shared.errors import InvalidMessage
from shared.jobs.replicating import replicate
from shared.messages import PlanRepository, ReplicateTag
from shared.oci.names import DOCKER_HUB, Reference, TagName
from shared.replication.report import ReplicationOutcome
from tests.jobs.world import World, body

V1 = TagName("v1")


def route(world: World, more: str = "") -> None:
    source = f"from: {{repositories: ['{world.word}/**'], tags: ['v*']}}"
    world.write_policy(
        routes=[f"name: hub, {source}, to: 'docker.io/{world.hub.namespace}/{{flattened}}'{more}"]
    )


def message(world: World, tag: TagName = V1) -> ReplicateTag:
    return ReplicateTag(
        run="pushes-20260101",
        route="hub",
        source=Reference(registry=world.registry, repository=world.repository, tag=tag),
        target=Reference(registry=DOCKER_HUB, repository=world.replica, tag=tag),
    )


def run(world: World) -> ReplicationOutcome:
    outcome = replicate(world.services, body(message(world)), clock=world.clock)
    assert recorded(world)[-1] == outcome.to_json()
    return outcome


def recorded(world: World) -> list[dict[str, Any]]:
    return list(world.services.runs.replications("pushes-20260101").read())


def replica_digest(world: World) -> str | None:
    home = world.hub.state.repository(world.replica)
    return None if home is None or "v1" not in home.tags else home.tags["v1"].digest


def complete(world: World, artifact: Artifact) -> bool:
    """Tell whether the replica has every manifest and blob of the artifact."""
    home = world.hub.state.repository(world.replica)
    return home is not None and all(
        node.digest in home.manifests and all(digest in home.blobs for digest in node.blobs)
        for node in artifact.walk()
    )


def test_an_index_is_copied_whole_and_the_outcome_says_how_much(world: World) -> None:
    route(world)
    index = build_index([build_image(), build_image(platform="linux/arm64")])
    world.push(index, tag="v1")
    outcome = run(world)
    assert (outcome.result, outcome.digest) == ("copied", index.digest)
    assert outcome.bytes_copied >= sum(len(blob) for node in index.walk() for blob in node.blobs.values())
    assert outcome.seconds > 0
    assert replica_digest(world) == index.digest
    assert complete(world, index)


def test_what_is_up_to_date_takes_one_request_to_each_side(world: World) -> None:
    route(world)
    world.push(build_image(), tag="v1")
    run(world)
    world.acr.traffic.clear()
    world.hub.traffic.clear()
    assert run(world).result == "up_to_date"
    manifests = r"/v2/.*/manifests/v1"
    assert world.acr.traffic.count("HEAD", manifests) == world.hub.traffic.count("HEAD", manifests) == 1
    assert [each.path for each in world.acr.traffic.requests if each.path.startswith("/v2/")] == [
        f"/v2/{world.repository}/manifests/v1"
    ]


def test_a_tag_that_is_gone_is_not_copied(world: World) -> None:
    route(world)
    world.push(build_image(), tag="v2")
    outcome = run(world)
    assert outcome.result == "gone"
    assert replica_digest(world) is None


def test_a_repository_that_is_gone_is_not_copied(world: World) -> None:
    route(world)
    assert run(world).result == "gone"


def test_a_tag_that_the_policy_does_not_route_any_more_is_superseded(world: World) -> None:
    world.write_policy()
    world.push(build_image(), tag="v1")
    outcome = run(world)
    assert (outcome.result, outcome.detail) == ("superseded", "the policy does not route it any more")
    assert replica_digest(world) is None


@pytest.mark.parametrize("visibility", ["private", "public"])
def test_a_missing_repository_is_made_with_the_visibility_of_the_route(world: World, visibility: str) -> None:
    route(world, f", visibility: {visibility}")
    world.push(build_image(), tag="v1")
    run(world)
    assert world.hub.repository(world.replica).private is (visibility == "private")


def test_an_immutable_tag_fails_with_its_reason_and_is_not_tried_again(world: World) -> None:
    route(world)
    world.push(build_image(), tag="v1")
    run(world)
    before = replica_digest(world)
    world.hub.set_immutable_tags(world.replica, ["v.*"])
    world.push(build_image(), tag="v1", days=1)
    world.hub.traffic.clear()
    outcome = run(world)
    assert outcome.result == "failed"
    assert "immutable" in outcome.detail.lower()
    assert replica_digest(world) == before
    puts = [each for each in world.hub.traffic.requests if re.search(r"/manifests/v1$", each.path)]
    assert sum(each.method == "PUT" for each in puts) == 1
    assert world.services.replication_queue.length() == 0


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_side_that_denies_is_named_and_the_message_acknowledged(world: World, side: str) -> None:
    route(world)
    world.push(build_image(), tag="v1")
    if side == "source":
        world.acr.faults.inject(path=f"/v2/{world.repository}/.*", status=403, times=None)
    else:
        world.hub.faults.inject(
            method="POST", path=f"/v2/{world.replica}/blobs/.*", status=403, times=None, body="{}"
        )
    outcome = run(world)
    assert outcome.result == "failed"
    assert "403" in outcome.detail or "denied" in outcome.detail.lower()
    assert replica_digest(world) is None


def test_a_policy_that_cannot_be_used_fails_the_tag_with_its_place(world: World) -> None:
    (world.folder / "policy.yaml").write_text("version: 7")
    outcome = run(world)
    assert outcome.result == "failed"
    assert "version" in outcome.detail


def test_a_message_of_another_queue_is_refused(world: World) -> None:
    wrong = PlanRepository(run="night-1", registry=world.registry, repository=world.repository)
    with pytest.raises(InvalidMessage, match="'plan-repository' does not belong in the replication queue"):
        replicate(world.services, body(wrong), clock=world.clock)


def test_the_same_message_twice_copies_once(world: World) -> None:
    route(world)
    world.push(build_image(), tag="v1")
    run(world)
    run(world)
    assert [outcome["result"] for outcome in recorded(world)] == ["copied", "up_to_date"]
