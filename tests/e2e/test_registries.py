"""Several registries in one app, each reached in its own way; and cleaning after a push."""

import json
from collections.abc import Iterator

import pytest

from emulators.registry.images import build_image
from tests.e2e.world import (
    RELEASES,
    World,
    assert_whole,
    days_ago,
    eventually,
    multi_platform,
    retention,
    unique,
    world,
)

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def steward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Registries with ABAC permissions: one for the identity, one for a user, one for everybody."""
    with world(
        tmp_path_factory.mktemp("registries"),
        acr_names=("identity", "admin", "public"),
        acr_options={"abac": True, "anonymous_pull": True},
        settings={"CLEANUP_MODE": "apply", "PUSH_CLEANUP_SECONDS": "1"},
    ) as started:
        acrs, client_id = started.stack.acrs, started.stack.identity.client_id
        acrs["admin"].revoke(client_id)
        acrs["public"].revoke(client_id)
        credentials = {
            acrs["admin"].login_server: {
                "username": acrs["admin"].admin_username,
                "password": acrs["admin"].admin_password,
            },
            acrs["public"].login_server: {"anonymous": True},
        }
        started.stack.restart_host({"REGISTRY_CREDENTIALS": json.dumps(credentials)})
        yield started


def routes_of(steward: World) -> list[dict[str, object]]:
    """Route each registry to repositories of its own."""
    return [
        {
            "name": name,
            "from": {"registries": [acr.login_server], "repositories": ["e2e/*"], "tags": ["v*"]},
            "to": f"docker.io/acme/{name}-{{basename}}",
        }
        for name, acr in steward.stack.acrs.items()
    ]


def test_each_registry_is_copied_from_in_its_own_way(steward: World) -> None:
    steward.write_policy(json.dumps({"version": 1, "replication": {"routes": routes_of(steward)}}))
    repository = unique("same")
    images = {name: multi_platform() for name in steward.stack.acrs}

    for name, image in images.items():
        steward.client(name).push(repository, image, "v1")

    for name, image in images.items():
        replica = f"acme/{name}-{repository.rpartition('/')[2]}"
        eventually(
            lambda replica=replica, image=image: steward.hub.digest(replica, "v1") == image.digest,  # type: ignore[misc]
            f"{replica} on Docker Hub",
        )
        assert_whole(steward.hub, replica, "v1", image)


def test_each_registry_is_cleaned_as_far_as_the_app_may(steward: World) -> None:
    repository = unique("cleaned")
    keep, goes = multi_platform(), multi_platform()
    for acr in steward.stack.acrs.values():
        keep.push_to(acr.state, repository, tag="nightly", at=days_ago(60))
        goes.push_to(acr.state, repository, tag="pr-1", at=days_ago(60))
    steward.write_policy(retention(repository))

    summary = steward.night()

    identity, admin, public = (steward.stack.acrs[name] for name in ("identity", "admin", "public"))
    for acr in (identity, admin):
        report = steward.finished_report(summary["run"], repository, registry=acr.login_server)
        assert {outcome["result"] for outcome in report["outcomes"]} == {"done"}
        content = acr.state.repository(repository)
        assert content is not None
        assert set(content.tags) == {"nightly"}
        assert_whole(steward.client(acr.name), repository, "nightly", keep)
    (problem,) = summary["problems"]
    assert problem.startswith(f"the catalog of {public.login_server} could not be read")
    assert public.traffic.count("DELETE") == 0
    assert_whole(steward.client("public"), repository, "pr-1", goes)


def test_a_rule_for_one_registry_leaves_the_others_alone(steward: World) -> None:
    repository = unique("one")
    image = build_image()
    for name in ("identity", "admin"):
        image.push_to(steward.stack.acrs[name].state, repository, tag="pr-1", at=days_ago(60))
    policy = json.loads(retention(repository))
    for rule in policy["retention"]["rules"]:
        rule["registries"] = [steward.stack.acrs["admin"].login_server]
    steward.write_policy(json.dumps(policy))

    summary = steward.night()

    assert [each["registry"] for each in summary["repositories"]] == [
        steward.stack.acrs["admin"].login_server
    ]
    assert steward.client("admin").digest(repository, "pr-1") is None
    assert_whole(steward.client("identity"), repository, "pr-1", image)


def test_a_push_cleans_its_repository_by_the_rules_marked_for_it(steward: World) -> None:
    repository, other = unique("pushed"), unique("quiet")
    image, fresh = build_image(), multi_platform()
    for name in (repository, other):
        image.push_to(steward.state, name, tag="pr-1", at=days_ago(60))
        image.push_to(steward.state, name, tag="old-1", at=days_ago(60))
    policy = json.loads(retention(repository, other, on_push=True))
    policy["retention"]["rules"].append(
        {"name": "nights-only", "repositories": [repository], "tags": ["old-*"], "older_than": "1d"}
    )
    policy["replication"]["routes"] = [RELEASES]
    steward.write_policy(json.dumps(policy))

    for _ in range(3):
        steward.acr.push(repository, fresh, "pr-2")

    eventually(lambda: steward.acr.digest(repository, "pr-1") is None, "the old tag to go after the push")
    for run in steward.runs("push"):
        assert steward.ended(run)["state"] == "finished"
    assert steward.acr.tags(repository) == ["old-1", "pr-2"]
    assert_whole(steward.acr, repository, "pr-2", fresh)
    assert steward.acr.tags(other) == ["old-1", "pr-1"]


def test_a_deleted_tag_leaves_its_replica_only_where_the_route_mirrors_deletes(steward: World) -> None:
    mirrored, kept = unique("mirrored"), unique("kept")
    routes = [
        {
            "name": name,
            "from": {"repositories": [repository], "tags": ["v*"]},
            "to": "docker.io/acme/{basename}",
            "on_delete": on_delete,
        }
        for name, repository, on_delete in (("mirrors", mirrored, "mirror"), ("keeps", kept, "keep"))
    ]
    steward.write_policy(json.dumps({"version": 1, "replication": {"routes": routes}}))
    image, other = multi_platform(), multi_platform()
    for repository in (mirrored, kept):
        steward.acr.push(repository, image, "v1")
        steward.acr.push(repository, other, "v2")
    for repository in (mirrored, kept):
        steward.await_replica(repository, "v1", image)
        steward.await_replica(repository, "v2", other)
    foreign = build_image()
    steward.hub.push(steward.replica(mirrored), foreign, "v9")

    for repository in (mirrored, kept):
        steward.delete(repository, image.digest)

    eventually(lambda: steward.hub_digest(mirrored, "v1") is None, "the replica to follow its source")
    steward.await_quiet()
    steward.await_replica(kept, "v1", image)
    steward.await_replica(mirrored, "v2", other)
    assert_whole(steward.hub, steward.replica(mirrored), "v9", foreign)
