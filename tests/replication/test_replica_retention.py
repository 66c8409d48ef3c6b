"""Replicas on Docker Hub are cleaned by rules that name it, and judged by when their sources were pushed."""

from datetime import timedelta
from typing import Any

import pytest

from emulators.registry.images import Artifact, build_cosign_signature, build_image, build_index, cosign_tag
from shared.errors import InvalidSettings
from shared.jobs.cleaned import cleaned_registry
from shared.jobs.nightly import start_night
from shared.jobs.status import run_summary
from shared.oci.names import DOCKER_HUB
from shared.storage.runs import Part
from tests.replication.desk import Desk

HUB_RULE = (
    "name: old-replicas, registries: [docker.io], repositories: ['acme/*'], tags: ['*'], older_than: 30d"
)
HUB_UNTAGGED = (
    "name: untagged-replicas, registries: [docker.io], repositories: ['acme/*'], untagged: true, "
    "older_than: 1h"
)


def two_platforms() -> Artifact:
    return build_index([build_image(platform=platform) for platform in ("linux/amd64", "linux/arm64")])


def policy(desk: Desk, *rules: str, protect: str = "") -> None:
    word, hub = desk.world.word, desk.world.hub.namespace
    target = f"docker.io/{hub}/{{flattened}}"
    lines = [
        "version: 1",
        "retention:",
        "  grace: 1h",
        *([f"  protect: [{protect}]"] if protect else []),
        "  limits: {repository: {percent: 100}, run: {percent: 100}}",
        *(["  rules:"] if rules else []),
        *(f"  - {{{rule}}}" for rule in rules),
        "replication:",
        "  routes:",
        f"  - {{name: hub, from: {{repositories: ['{word}/**'], tags: ['*']}}, to: '{target}'}}",
    ]
    (desk.world.folder / "policy.yaml").write_text("\n".join(lines).replace("acme/*", f"{hub}/{word}-*"))


def replicate(desk: Desk, artifact: Artifact, tag: str, *, days: float) -> str:
    digest = desk.push(artifact, tag, days=days)
    assert [outcome.result for outcome in desk.work()] == ["copied"]
    return digest


def night(desk: Desk, **later: float) -> dict[str, Any]:
    """Let a night pass, some time after now, and return its summary."""
    desk.world.clock.pass_by(**(later or {"hours": 3}))
    run = start_night(desk.services, now=desk.world.clock())
    desk.work()
    summary = run_summary(desk.services, run.name)
    assert summary is not None
    assert summary["state"] == "finished"
    return summary


def report(desk: Desk, run: str) -> dict[str, Any]:
    part = Part(run=run, registry=DOCKER_HUB, repository=desk.world.replica)
    found = desk.services.runs.read_report(part)
    assert found is not None
    return found


def manifests(desk: Desk) -> set[str]:
    found = desk.world.hub.state.repository(desk.world.replica)
    return set() if found is None else {manifest.digest for manifest in found.manifests.page()}


def test_a_replica_is_as_old_as_its_source_not_as_its_replication(desk: Desk) -> None:
    policy(desk, HUB_RULE)
    old, young = two_platforms(), two_platforms()
    replicate(desk, old, "old", days=40)
    replicate(desk, young, "young", days=10)
    summary = night(desk)
    assert set(desk.on_hub()) == {"young"}
    assert manifests(desk) == {node.digest for node in young.walk()}
    assert summary["done"]["untagged"] == 1
    assert summary["done"]["deleted"] == 3
    verdicts = {each["tag"]: each["rule"] for each in report(desk, summary["run"])["plan"]["untag"]}
    assert verdicts == {"old": "old-replicas"}


def test_what_was_replicated_a_moment_ago_goes_whole_when_its_source_is_old(desk: Desk) -> None:
    policy(desk, HUB_RULE)
    place = desk.world.folder / "policy.yaml"
    place.write_text(place.read_text().replace("grace: 1h", "grace: 0m"))
    for number in range(3):
        replicate(desk, two_platforms(), f"old-{number}", days=40)
    summary = night(desk, minutes=3)
    assert desk.on_hub() == {}
    assert manifests(desk) == set()
    assert {each["result"] for each in report(desk, summary["run"])["outcomes"]} == {"done"}


def test_a_tag_that_somebody_else_put_there_is_as_old_as_its_push(desk: Desk) -> None:
    policy(desk, HUB_RULE)
    desk.put_on_hub(build_image(), "theirs")
    night(desk)
    assert set(desk.on_hub()) == {"theirs"}
    night(desk, days=31)
    assert desk.on_hub() == {}


@pytest.mark.parametrize("named", ["", "registries: ['*'], ", "registries: ['docker.*'], "])
def test_a_rule_that_does_not_name_docker_hub_never_touches_it(desk: Desk, named: str) -> None:
    policy(desk, f"name: old, {named}repositories: ['**'], tags: ['old*'], older_than: 1d")
    replicate(desk, build_image(), "old", days=40)
    summary = night(desk)
    assert [each for each in summary["repositories"] if each["registry"] == DOCKER_HUB] == []
    assert set(desk.on_hub()) == {"old"}


def test_what_keeps_tags_needs_not_name_docker_hub(desk: Desk) -> None:
    policy(desk, HUB_RULE, protect="{repositories: ['**'], tags: ['v*']}")
    replicate(desk, build_image(), "v1", days=40)
    replicate(desk, build_image(), "pr-1", days=40)
    night(desk)
    assert set(desk.on_hub()) == {"v1"}


def test_in_plan_mode_it_is_only_said(desk: Desk) -> None:
    desk.restart(CLEANUP_MODE="plan")
    policy(desk, HUB_RULE)
    replicate(desk, build_image(), "old", days=40)
    summary = night(desk)
    assert summary["planned"]["untag"] == 1
    assert set(desk.on_hub()) == {"old"}


def test_signatures_stay_while_their_image_is_kept_and_go_with_it(desk: Desk) -> None:
    policy(desk, HUB_RULE)
    kept, gone = build_image(), build_image()
    for image in (kept, gone):
        desk.world.push(build_cosign_signature(image), tag=cosign_tag(image.digest), days=40)
    replicate(desk, kept, "kept", days=5)
    replicate(desk, gone, "gone", days=40)
    assert len(desk.on_hub()) == 4
    night(desk)
    assert set(desk.on_hub()) == {"kept", cosign_tag(kept.digest)}


def test_manifests_that_lost_their_tag_go_by_digest_and_shared_children_stay(desk: Desk) -> None:
    policy(desk, HUB_UNTAGGED)
    shared, alone = build_image(), build_image(platform="linux/arm64")
    first, second = build_index([shared, alone]), build_index([shared])
    desk.put_on_hub(first, "moving")
    desk.put_on_hub(second, "moving")
    assert manifests(desk) == {first.digest, second.digest, shared.digest, alone.digest}
    night(desk)
    assert manifests(desk) == {second.digest, shared.digest}


def test_docker_hub_that_deletes_in_the_background_is_not_asked_twice(desk: Desk) -> None:
    policy(desk, HUB_UNTAGGED)
    image = build_image()
    desk.put_on_hub(image, "x")
    desk.world.hub.state.delete_tag(desk.world.replica, "x")
    desk.world.hub._host._slow_deletes = True
    try:
        desk.world.hub.traffic.clear()
        summary = night(desk)
    finally:
        desk.world.hub._host._slow_deletes = False
    assert summary["done"]["deleted"] == 1
    assert desk.world.hub.traffic.count("DELETE") == 1


def test_what_docker_hub_says_is_held_stays_and_is_said(desk: Desk) -> None:
    policy(desk, HUB_UNTAGGED)
    image = build_image()
    desk.put_on_hub(image, "x")
    desk.world.hub.state.delete_tag(desk.world.replica, "x")
    desk.world.hub.faults.inject(
        method="DELETE",
        status=403,
        body='{"errors": [{"code": "DENIED", "message": "manifest is referenced"}]}',
    )
    summary = night(desk)
    (outcome,) = report(desk, summary["run"])["outcomes"]
    assert outcome["result"] == "locked"
    assert "manifest is referenced" in outcome["detail"]
    assert manifests(desk) == {image.digest}


def test_without_the_list_of_manifests_tags_and_what_they_reach_are_still_cleaned(desk: Desk) -> None:
    policy(desk, HUB_RULE, HUB_UNTAGGED)
    desk.world.hub.api_faults.inject(path=".*/manifests", status=404, times=None)
    old, young = two_platforms(), two_platforms()
    replicate(desk, old, "old", days=40)
    replicate(desk, young, "young", days=1)
    night(desk)
    assert set(desk.on_hub()) == {"young"}
    assert manifests(desk) == {node.digest for node in young.walk()}


def test_bodies_that_the_source_knows_are_no_pulls(desk: Desk) -> None:
    policy(desk, HUB_RULE, "name: source, repositories: ['**'], tags: ['none*'], older_than: 30d")
    replicate(desk, two_platforms(), "v1", days=10)
    night(desk)
    desk.world.hub.traffic.clear()
    night(desk)
    assert desk.world.hub.traffic.count("GET", "/v2/.*/manifests/.*") == 0


def test_a_tag_that_is_pushed_to_between_plan_and_deletion_stays(desk: Desk) -> None:
    policy(desk, HUB_RULE)
    replicate(desk, build_image(), "old", days=40)
    desk.world.clock.pass_by(hours=3)
    start_night(desk.services, now=desk.world.clock())
    while True:
        (message,) = desk.take(desk.services.cleanup_queue)
        if message.kind == "apply-plan":
            break
        desk.carry_on(message)
    theirs = desk.put_on_hub(build_image(), "old")
    desk.carry_on(message)
    assert desk.on_hub() == {"old": theirs}


def test_a_docker_hub_that_cannot_be_listed_is_a_problem_of_the_run(desk: Desk) -> None:
    policy(desk, HUB_RULE)
    desk.world.hub.api_faults.inject(path=".*/repositories", status=403)
    summary = night(desk)
    assert "docker.io could not be read" in summary["problems"][0]


def test_without_credentials_for_docker_hub_its_rules_find_nothing_to_clean(desk: Desk) -> None:
    policy(desk, HUB_RULE)
    replicate(desk, build_image(), "old", days=40)
    desk.restart(DOCKERHUB_USERNAME="", DOCKERHUB_TOKEN="")
    assert night(desk)["repositories"] == []
    assert set(desk.on_hub()) == {"old"}
    with pytest.raises(InvalidSettings, match="DOCKERHUB_TOKEN"):
        cleaned_registry(desk.services, DOCKER_HUB)


def test_an_overwritten_replica_is_judged_by_its_own_push(desk: Desk) -> None:
    policy(desk, HUB_RULE)
    replicate(desk, build_image(), "old", days=40)
    desk.put_on_hub(build_image(), "old")
    desk.world.clock.now += timedelta(hours=1)
    night(desk)
    assert set(desk.on_hub()) == {"old"}
