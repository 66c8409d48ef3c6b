"""What becomes of one tag: failures that a person has to mend say how, and bytes are not moved twice."""

from collections.abc import Mapping
from typing import Any

import pytest

from emulators.registry.images import Artifact, build_image, build_index
from shared.errors import (
    AccessDenied,
    AuthenticationFailed,
    ContentRejected,
    CopyFailed,
    InvalidName,
    NotFound,
    OperationDisallowed,
    RegistryError,
    StewardError,
    StorageError,
)
from shared.replication.advice import advise
from shared.replication.report import ReplicationOutcome
from tests.replication.desk import Desk


def one(outcomes: list[ReplicationOutcome]) -> ReplicationOutcome:
    (outcome,) = outcomes
    return outcome


def test_an_immutable_tag_is_right_when_it_is_equal_and_a_failure_that_says_so_when_not(desk: Desk) -> None:
    desk.route()
    first = desk.push(build_image(), "v1")
    desk.work()
    desk.world.hub.set_immutable_tags(desk.world.replica, [])
    desk.event("push", tag="v1", digest=first)
    assert one(desk.work()).result == "up_to_date"
    desk.push(build_image(), "v1")
    outcome = one(desk.work())
    assert outcome.result == "failed"
    assert "is immutable and cannot be overwritten" in outcome.detail
    assert "the tag is immutable and holds another" in outcome.detail
    assert desk.on_hub() == {"v1": first}
    assert desk.services.replication_queue.length() == 0


def test_a_blob_that_stays_unknown_is_sent_by_force_once_and_then_given_up_with_the_reason(
    desk: Desk,
) -> None:
    desk.route()
    desk.push(build_image(), "v1")
    body = '{"errors": [{"code": "MANIFEST_BLOB_UNKNOWN", "message": "blob unknown to registry"}]}'
    desk.world.hub.faults.inject(method="PUT", path="/v2/.*/manifests/.*", status=400, body=body, times=None)
    outcome = one(desk.work())
    assert outcome.result == "failed"
    assert "blob unknown to registry" in outcome.detail
    assert "To mend it: the target has lost a layer" in outcome.detail
    assert desk.world.hub.traffic.count("PUT", f"/v2/{desk.world.replica}/manifests/v1") == 2
    assert desk.on_hub() == {}


@pytest.mark.parametrize(("keys", "private"), [({}, True), ({"visibility": "public"}, False)])
def test_a_missing_repository_is_made_before_anything_is_pushed_and_private_unless_said(
    desk: Desk,
    keys: dict[str, str],
    private: bool,  # noqa: FBT001 - an expectation
) -> None:
    desk.route(**keys)
    desk.push(build_image(), "v1")
    creation = desk.world.hub.api_faults.inject(
        method="POST", path="/v2/namespaces/.*/repositories", status=403
    )
    assert one(desk.work()).result == "failed"
    assert creation.fired
    assert desk.world.hub.state.repository(desk.world.replica) is None
    desk.event("push", tag="v1")
    assert one(desk.work()).result == "copied"
    assert desk.world.hub.repository(desk.world.replica).private is private


def test_a_source_that_may_not_be_pulled_is_told_with_the_role_that_is_missing(desk: Desk) -> None:
    desk.route()
    desk.push(build_image(), "v1")
    desk.world.acr.faults.inject(path="/v2/.*/manifests/v1", status=403, times=None)
    outcome = one(desk.work())
    assert outcome.result == "failed"
    assert "AcrPull" in outcome.detail


def test_a_source_that_hides_its_times_is_copied_all_the_same(desk: Desk) -> None:
    desk.route()
    digest = desk.push(build_image(), "v1")
    desk.world.acr.faults.inject(path="/acr/v1/.*", status=403, times=None)
    assert one(desk.work()).result == "copied"
    replica = desk.services.ledger.find(desk.target("v1"))
    assert replica is not None
    assert (replica.digest, replica.pushed) == (digest, None)


def test_the_ledger_says_where_a_tag_came_from_and_when_it_was_pushed(desk: Desk) -> None:
    desk.route()
    digest = desk.push(build_image(), "v1", days=12)
    desk.work()
    replica = desk.services.ledger.find(desk.target("v1"))
    assert replica is not None
    assert replica.source == desk.source("v1")
    assert (replica.route, replica.digest, replica.source_digest) == ("hub", digest, digest)
    assert replica.pushed is not None
    assert (desk.world.clock.now - replica.pushed).days == 12
    assert replica.copied == desk.world.clock.now


def test_a_ledger_that_cannot_be_written_stops_the_tag_and_nothing_else(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.route()
    desk.push(build_image(), "v1")
    (message,) = desk.take(desk.services.replication_queue)

    def refuse(*_: object) -> None:
        raise StorageError("the ledger is full")

    with monkeypatch.context() as patched:
        patched.setattr(desk.services.ledger, "record", refuse)
        outcome = desk.carry_out(message)
    assert outcome.result == "failed"
    assert "the ledger is full" in outcome.detail
    assert desk.on_hub() == {}
    assert desk.carry_out(message).result == "copied"


def uploads(desk: Desk) -> int:
    return desk.world.hub.traffic.count("PUT", "/v2/.*/blobs/uploads/.*")


def test_layers_that_another_repository_of_the_target_holds_are_mounted_from_there(desk: Desk) -> None:
    desk.route()
    image = build_image(layers=3)
    second = f"{desk.world.word}/second"
    desk.push(image, "v1")
    desk.work()
    before = uploads(desk)
    desk.restart()
    desk.push(image, "v1", at=second)
    assert one(desk.work()).bytes_copied == 0
    assert uploads(desk) == before
    assert desk.on_hub(desk.replica_of(second)) == {"v1": image.digest}


def test_a_sibling_that_lost_the_layer_costs_one_request(desk: Desk) -> None:
    desk.route()
    image = build_image(layers=3)
    second = f"{desk.world.word}/second"
    desk.push(image, "v1")
    desk.work()
    desk.world.hub.state.delete_repository(desk.world.replica)
    desk.push(image, "v1", at=second)
    assert one(desk.work()).result == "copied"
    third = f"{desk.world.word}/third"
    before = uploads(desk)
    desk.push(image, "v1", at=third)
    assert one(desk.work()).result == "copied"
    assert uploads(desk) == before, "the layers are mounted from where they went last"


def platforms() -> Artifact:
    names = ("linux/amd64", "linux/arm64/v8", "linux/arm/v7", "windows/amd64")
    return build_index([build_image(platform=name) for name in names])


@pytest.mark.parametrize(
    ("wanted", "children"),
    [
        ("[linux/amd64]", [0]),
        ("[linux/amd64, linux/arm64]", [0, 1]),
        ("[linux/arm/v7]", [2]),
        ("[linux/arm]", [2]),
    ],
)
def test_an_index_is_narrowed_to_the_platforms_of_its_route(
    desk: Desk, wanted: str, children: list[int]
) -> None:
    desk.route(platforms=wanted)
    index = platforms()
    desk.push(index, "v1")
    assert one(desk.work()).result == "copied"
    home = desk.world.hub.state.repository(desk.world.replica)
    assert home is not None
    narrowed = home.manifests[desk.on_hub()["v1"]]
    kept = [index.children[place].digest for place in children]
    assert [each["digest"] for each in narrowed.document()["manifests"]] == kept
    assert {manifest.digest for manifest in home.manifests.page()} == {narrowed.digest, *kept}
    desk.event("push", tag="v1", digest=index.digest)
    assert one(desk.work()).result == "up_to_date"


def test_an_index_without_any_of_the_platforms_is_a_failure_that_says_so(desk: Desk) -> None:
    desk.route(platforms="[linux/s390x]")
    desk.push(platforms(), "v1")
    outcome = one(desk.work())
    assert outcome.result == "failed"
    assert "has none of linux/s390x" in outcome.detail


def test_what_needs_no_narrowing_keeps_its_digest(desk: Desk) -> None:
    desk.route(platforms="[linux/amd64, linux/arm64, linux/arm, windows/amd64]")
    index, image = platforms(), build_image()
    desk.push(index, "v1")
    desk.push(image, "v2")
    desk.work()
    assert desk.on_hub() == {"v1": index.digest, "v2": image.digest}


def test_extra_tags_are_put_beside_the_tag_and_mirrored_like_it(desk: Desk) -> None:
    word, hub = desk.world.word, desk.world.hub.namespace
    desk.route(
        f"name: hub, from: {{repositories: ['{word}/**'], versions: ['^1.0.0']}}, "
        f"to: 'docker.io/{hub}/{{flattened}}', extra_tags: ['{{tag}}-mirror'], on_delete: mirror"
    )
    digest = desk.push(build_image(), "1.2.0")
    desk.push(build_image(), "2.0.0")
    desk.work()
    assert desk.on_hub() == {"1.2.0": digest, "1.2.0-mirror": digest}
    desk.untag("1.2.0")
    desk.event("delete", digest=digest)
    desk.work()
    assert desk.on_hub() == {}


WHERE: Mapping[str, Any] = {"registry": "docker.io", "status": 403}


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (CopyFailed("x", origin="source", cause=NotFound("gone", registry="a.azurecr.io")), "push it again"),
        (CopyFailed("x", origin="target", cause=AccessDenied("no", **WHERE)), "Read, Write, Delete"),
        (
            CopyFailed("x", origin="target", cause=AccessDenied("no", registry="ghcr.io")),
            "locked or immutable",
        ),
        (
            CopyFailed("x", origin="target", cause=OperationDisallowed("no", registry="a.azurecr.io")),
            "unlock the tag",
        ),
        (CopyFailed("x", origin="target", cause=ContentRejected("no", registry="ghcr.io")), "leave it out"),
        (AuthenticationFailed("no", registry="docker.io"), "DOCKERHUB_TOKEN"),
        (AuthenticationFailed("no", registry="a.azurecr.io"), "AcrPull"),
        (InvalidName("a/b/c"), "change the target of the route"),
    ],
)
def test_a_failure_says_what_to_do(error: StewardError, advice: str) -> None:
    assert str(error) in advise(error)
    assert advice in advise(error)


@pytest.mark.parametrize("error", [RegistryError("odd", registry="a.azurecr.io"), StorageError("full")])
def test_what_nobody_knows_a_cure_for_is_told_as_it_is(error: StewardError) -> None:
    assert advise(error) == str(error)
