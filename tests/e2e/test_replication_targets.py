"""What Docker Hub refuses, denies, shows late or holds already, and what of it goes when its source goes."""

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest

from emulators.registry.images import (
    Artifact,
    build_cosign_signature,
    build_image,
    build_referrer,
    cosign_tag,
)
from tests.e2e.world import RELEASES, World, assert_whole, days_ago, eventually, multi_platform, unique, world

pytestmark = pytest.mark.e2e

LARGE: Final = 1_500_000
"""More than is held in memory, so that it is streamed from one side to the other."""

SHORTEST_LAG: Final = 0.001


@pytest.fixture(scope="module")
def steward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Docker Hub without the referrers API, so that what signatures need is visible as tags."""
    with world(
        tmp_path_factory.mktemp("targets"),
        settings={"CLEANUP_MODE": "apply", "PUSH_CLEANUP_SECONDS": "1"},
        dockerhub_options={"referrers": "none", "read_lag": SHORTEST_LAG},
    ) as started:
        started.write_policy(policy(RELEASES))
        yield started


def policy(*routes: dict[str, Any], rules: tuple[dict[str, Any], ...] = ()) -> str:
    limits = {"repository": {"percent": 100}, "run": {"percent": 100}}
    return json.dumps(
        {
            "version": 1,
            "retention": {"grace": "0m", "rules": rules, "limits": limits},
            "replication": {"routes": routes},
        }
    )


def route(repository: str, **keys: Any) -> dict[str, Any]:
    return RELEASES | {"from": {"repositories": [repository], "tags": ["*"]}} | keys


def outcome(steward: World, repository: str, tag: str, *, results: int = 1) -> dict[str, Any]:
    """Wait for so many outcomes of a tag and return the latest."""
    return eventually(
        lambda: found if len(found := steward.outcomes(repository, tag)) >= results else [],
        f"{results} outcomes of {repository}:{tag}",
    )[-1]


def uploads_of(steward: World, repository: str, digest: str, *, status: int) -> int:
    return sum(
        request.method == "PUT"
        and request.status == status
        and f"/{steward.replica(repository)}/blobs/uploads/" in request.path
        and digest in request.query.replace("%3A", ":")
        for request in steward.stack.dockerhub.traffic.requests
    )


def large_image() -> tuple[Artifact, str]:
    """Return an image and the digest of its large layer."""
    image = build_image(layer_size=LARGE)
    return image, max(image.blobs, key=lambda digest: len(image.blobs[digest]))


# Repositories


def test_a_missing_repository_is_made_private_before_the_first_byte_arrives(steward: World) -> None:
    hub, repository, image = steward.stack.dockerhub, unique("private"), build_image()
    replica = steward.replica(repository)
    refusal = hub.api_faults.inject(
        method="POST", path="/v2/namespaces/acme/repositories", status=403, body='{"message": "no right"}'
    )
    steward.acr.push(repository, image, "v1")

    refused = outcome(steward, repository, "v1")
    assert refusal.fired == 1
    assert refused["result"] == "failed"
    assert "To mend it: its token needs Read, Write, Delete in that namespace" in refused["detail"]
    assert hub.state.repository(replica) is None, "a push would have made it, and public"
    assert hub.traffic.count("POST", f"/v2/{replica}/blobs/uploads/") == 0

    steward.acr.push(repository, image, "v1")
    steward.await_replica(repository, "v1", image)
    assert hub.repository(replica).private


def test_a_name_of_three_parts_is_flattened_as_its_route_says(steward: World) -> None:
    repository, image = f"{unique('deep')}/team/app", build_image()
    steward.write_policy(policy(route("e2e/**", to="docker.io/acme/{flattened}")))
    try:
        steward.acr.push(repository, image, "v1")
        flat = f"acme/{repository.replace('/', '-')}"
        hub = steward.stack.dockerhub.state
        eventually(
            lambda: (found := hub.repository(flat)) is not None and "v1" in found.tags, f"{flat} to appear"
        )
    finally:
        steward.write_policy(policy(RELEASES))
    assert_whole(steward.hub, flat, "v1", image)


@pytest.mark.parametrize(
    ("target", "complaint"),
    [
        ("docker.io/{repository}", "routes[0].to (line 1): "),
        ("docker.io/acme/{basename}", "e2e/b/b and e2e/c/b would both become docker.io/acme/b"),
    ],
)
def test_a_route_that_cannot_be_mapped_or_collides_is_refused_when_the_policy_is_read(
    steward: World, target: str, complaint: str
) -> None:
    steward.write_policy(policy(route("e2e/*/*", to=target)))
    try:
        answer = steward.answer("health/ready")
    finally:
        steward.write_policy(policy(RELEASES))
    assert answer.status_code == 503
    assert complaint in answer.json()["checks"]["policy"]


# Immutable tags


def test_an_immutable_tag_is_right_when_it_is_equal_and_a_failure_that_says_so_when_not(
    steward: World,
) -> None:
    repository, image, other = unique("immutable"), build_image(), build_image()
    steward.acr.push(repository, image, "v1")
    steward.await_replica(repository, "v1", image)
    assert outcome(steward, repository, "v1")["result"] == "copied"
    steward.stack.dockerhub.set_immutable_tags(steward.replica(repository), [])

    steward.acr.push(repository, image, "v1")
    assert outcome(steward, repository, "v1", results=2)["result"] == "up_to_date"

    steward.acr.push(repository, other, "v1")
    refused = outcome(steward, repository, "v1", results=3)
    assert refused["result"] == "failed"
    assert "the tag is immutable and holds another" in refused["detail"]
    steward.await_quiet()
    assert len(steward.outcomes(repository, "v1")) == 3, "it was not tried again"
    assert_whole(steward.hub, steward.replica(repository), "v1", image)


def test_the_lost_answer_to_the_push_of_an_immutable_tag_is_no_failure(steward: World) -> None:
    """The second push of it is refused though it is identical (docker/hub-feedback #2466)."""
    repository, image = unique("identical"), build_image()
    replica = steward.replica(repository)
    hub = steward.stack.dockerhub
    hub.set_immutable_tags(replica, [])
    lost = hub.faults.inject(method="PUT", path=f"/v2/{replica}/manifests/v1", unanswered=True)

    steward.acr.push(repository, image, "v1")

    steward.await_replica(repository, "v1", image)
    assert outcome(steward, repository, "v1")["result"] == "copied"
    assert lost.fired == 1
    assert hub.traffic.count("PUT", f"/v2/{replica}/manifests/v1", status=403) == 1


# Uploads


def test_a_blob_that_docker_hub_only_claims_to_have_is_sent_by_force(steward: World) -> None:
    repository, (image, layer) = unique("orphaned"), large_image()
    replica = steward.replica(repository)
    steward.stack.dockerhub.orphan_blob(replica, image.blobs[layer])

    steward.acr.push(repository, image, "v1")

    steward.await_replica(repository, "v1", image)
    assert uploads_of(steward, repository, layer, status=201) == 1


def test_a_blob_that_stays_unknown_is_given_up_after_one_forced_try_with_the_reason(steward: World) -> None:
    repository, (image, layer) = unique("unknown"), large_image()
    unknown = {"errors": [{"code": "MANIFEST_BLOB_UNKNOWN", "message": "blob unknown to registry"}]}
    replica = steward.replica(repository)
    steward.stack.dockerhub.faults.inject(
        method="PUT", path=f"/v2/{replica}/manifests/.*", status=400, body=json.dumps(unknown), times=None
    )

    steward.acr.push(repository, image, "v1")

    failed = outcome(steward, repository, "v1")
    assert failed["result"] == "failed"
    assert "To mend it: the target has lost a layer" in failed["detail"]
    assert uploads_of(steward, repository, layer, status=201) == 2
    steward.await_quiet()
    assert len(steward.outcomes(repository, "v1")) == 1
    assert steward.hub_digest(repository, "v1") is None


def test_the_lost_answer_to_the_end_of_an_upload_is_not_followed_by_another(steward: World) -> None:
    repository, (image, layer) = unique("lost-answer"), large_image()
    lost = steward.stack.dockerhub.faults.inject(
        method="PUT",
        path=f"/v2/{steward.replica(repository)}/blobs/uploads/.*",
        query=layer.replace(":", "(:|%3A)"),
        unanswered=True,
    )

    steward.acr.push(repository, image, "v1")

    steward.await_replica(repository, "v1", image)
    assert lost.fired == 1
    assert uploads_of(steward, repository, layer, status=201) == 0


def test_a_session_that_docker_hub_has_forgotten_is_begun_anew(steward: World) -> None:
    repository, (image, layer) = unique("stale-state"), large_image()
    gone = {"errors": [{"code": "BLOB_UPLOAD_UNKNOWN", "message": "blob upload unknown to registry"}]}
    stale = steward.stack.dockerhub.faults.inject(
        method="PUT",
        path=f"/v2/{steward.replica(repository)}/blobs/uploads/.*",
        query=layer.replace(":", "(:|%3A)"),
        status=404,
        body=json.dumps(gone),
    )

    steward.acr.push(repository, image, "v1")

    steward.await_replica(repository, "v1", image)
    assert stale.fired == 1


def test_what_docker_hub_shows_late_is_waited_for_by_head(steward: World) -> None:
    repository, image = unique("lag"), multi_platform()
    replica, hub = steward.replica(repository), steward.stack.dockerhub
    hub.state.read_lag = 2.0
    try:
        steward.acr.push(repository, image, "v1")
        assert outcome(steward, repository, "v1")["result"] == "copied"
    finally:
        hub.state.read_lag = SHORTEST_LAG
        hub.state.settle()
    asked = [
        (each.method, each.status)
        for each in hub.traffic.requests
        if each.path == f"/v2/{replica}/manifests/v1"
    ]
    after = asked[asked.index(("PUT", 201)) + 1 :]
    assert after == [("HEAD", 404)] * (len(after) - 1) + [("HEAD", 200)]
    assert len(after) > 1, "it was there at once"
    assert hub.traffic.count("GET", f"/v2/{replica}/manifests/.*") == 0, "that would count as a pull"
    steward.await_replica(repository, "v1", image)


# Deletes


def test_a_delete_takes_only_what_was_put_there_and_was_not_pushed_again(steward: World) -> None:
    repository = unique("mirrored")
    steward.write_policy(policy(route(repository, on_delete="mirror")))
    first = {tag: build_image() for tag in ("gone", "again", "overwritten")}
    for tag, image in first.items():
        steward.acr.push(repository, image, tag)
    for tag, image in first.items():
        steward.await_replica(repository, tag, image)
    newer, theirs = build_image(), build_image()
    steward.hub.push(steward.replica(repository), theirs, "overwritten")
    steward.acr.push(repository, newer, "again")
    steward.await_replica(repository, "again", newer)

    for image in first.values():
        steward.delete(repository, image.digest)

    eventually(lambda: steward.hub_digest(repository, "gone") is None, "the replica to follow its source")
    steward.await_quiet()
    steward.await_replica(repository, "again", newer)
    steward.await_replica(repository, "overwritten", theirs)
    assert steward.hub.tags(steward.replica(repository)) == ["again", "overwritten"]


def test_a_push_right_after_the_delete_of_its_tag_survives(steward: World) -> None:
    repository, old, new = unique("quick"), build_image(), build_image()
    steward.write_policy(policy(route(repository, on_delete="mirror")))
    steward.acr.push(repository, old, "v1")
    steward.await_replica(repository, "v1", old)
    steward.stack.eventgrid.reorder = True
    try:
        steward.delete(repository, old.digest)
        steward.acr.push(repository, new, "v1")
        steward.await_quiet()
    finally:
        steward.stack.eventgrid.reorder = False

    steward.await_replica(repository, "v1", new)
    steward.ended(steward.open_run("start_reconciliation", "reconciliation"))
    steward.await_replica(repository, "v1", new)


def test_signatures_on_docker_hub_stay_with_what_is_kept_and_go_with_what_goes(steward: World) -> None:
    """By both conventions, tags all of them: cosign's, and the list that stands in for the referrers API."""
    repository = unique("signed")
    rule = {
        "name": "old-replicas",
        "registries": ["docker.io"],
        "repositories": [steward.replica(repository)],
        "tags": ["*"],
        "older_than": "30d",
    }
    steward.write_policy(policy(route(repository), rules=(rule,)))
    images = {"kept": build_image(), "goes": build_image()}
    for tag, image in images.items():
        at = days_ago(60 if tag == "goes" else 5)
        image.push_to(steward.state, repository, tag=tag, at=at)
        build_referrer(image).push_to(steward.state, repository, at=at)
        signature = build_cosign_signature(image)
        signature.push_to(steward.state, repository, tag=cosign_tag(image.digest), at=days_ago(60))
    steward.ended(steward.open_run("start_reconciliation", "reconciliation"))
    names = {
        tag: {tag, cosign_tag(image.digest), image.digest.replace(":", "-")} for tag, image in images.items()
    }
    assert set(steward.hub.tags(steward.replica(repository))) == names["kept"] | names["goes"]

    assert steward.night()["state"] == "finished"

    assert set(steward.hub.tags(steward.replica(repository))) == names["kept"]
    assert_whole(steward.hub, steward.replica(repository), "kept", images["kept"])
    for tag in names["kept"]:
        assert list(steward.hub.pull(steward.replica(repository), tag))
