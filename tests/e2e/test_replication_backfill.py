"""A registry that is full gets a replica, the API says how far it is, and the night cleans the replica."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from emulators.registry.images import build_image
from tests.e2e.world import World, days_ago, eventually, multi_platform, unique, world

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def steward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("backfill"), settings={"CLEANUP_MODE": "apply"}) as started:
        yield started


def policy(repository: str, *rules: dict[str, Any], **route: str) -> str:
    return json.dumps(
        {
            "version": 1,
            "retention": {
                "grace": "0m",
                "rules": rules,
                "limits": {"repository": {"percent": 100}, "run": {"percent": 100}},
            },
            "replication": {
                "routes": [
                    {
                        "name": "hub",
                        "from": {"repositories": [repository], "tags": ["*"]},
                        "to": "docker.io/acme/{basename}",
                        **route,
                    }
                ]
            },
        }
    )


def test_what_was_there_before_the_app_is_backfilled_and_the_drift_is_told(steward: World) -> None:
    repository = unique("full")
    steward.write_policy(policy(repository, on_delete="mirror"))
    images = {f"v{number}": build_image() for number in range(40)} | {"index": multi_platform()}
    for tag, image in images.items():
        image.push_to(steward.state, repository, tag=tag)
    theirs = build_image()
    theirs.push_to(steward.stack.dockerhub.state, steward.replica(repository), tag="theirs")

    summary = steward.ended(steward.open_run("start_reconciliation", "reconciliation"))

    assert summary["drift"] == {
        "compared": 41,
        "in_step": 0,
        "queued": 41,
        "missing": 41,
        "foreign": 1,
        "failures": 0,
    }
    assert summary["done"] == {"copied": 41}
    for tag, image in images.items():
        assert steward.hub_digest(repository, tag) == image.digest
    steward.await_replica(repository, "index", images["index"])

    steward.state.delete_tag(repository, "v1")
    summary = steward.ended(steward.open_run("start_reconciliation", "reconciliation"))

    assert (summary["drift"]["in_step"], summary["drift"]["removed"]) == (40, 1)
    report = steward.finished_report(summary["run"], repository)
    assert [each["result"] for each in report["mirrored"]] == ["removed"]
    assert [each["state"] for each in report["extra"]] == ["foreign", "orphaned"]
    assert steward.hub_digest(repository, "v1") is None
    assert steward.hub_digest(repository, "theirs") == theirs.digest


def test_a_night_cleans_docker_hub_by_the_age_of_the_sources(steward: World) -> None:
    repository = unique("aged")
    rule = {
        "name": "old-replicas",
        "registries": ["docker.io"],
        "repositories": [steward.replica(repository)],
        "tags": ["*"],
        "older_than": "30d",
    }
    steward.write_policy(policy(repository, rule))
    old, young = multi_platform(), multi_platform()
    old.push_to(steward.state, repository, tag="old", at=days_ago(40))
    young.push_to(steward.state, repository, tag="young", at=days_ago(10))
    steward.ended(steward.open_run("start_reconciliation", "reconciliation"))
    assert steward.hub_digest(repository, "old") == old.digest

    summary = steward.night()

    assert summary["state"] == "finished"
    assert {each["registry"] for each in summary["repositories"]} == {"docker.io"}
    report = steward.finished_report(summary["run"], steward.replica(repository), registry="docker.io")
    assert {outcome["result"] for outcome in report["outcomes"]} == {"done"}
    assert steward.hub_digest(repository, "old") is None
    eventually(
        lambda: steward.hub.digest(steward.replica(repository), old.digest) is None, "the manifests to go"
    )
    steward.await_replica(repository, "young", young)
    assert steward.acr.tags(repository) == ["old", "young"]
