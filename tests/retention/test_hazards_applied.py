"""The ten hazards of ``test_hazards.py`` on a registry: planned, carried out, and pulled afterwards."""

from collections.abc import Iterator

import pytest

from emulators.demo.client import PlainClient
from emulators.registry.images import (
    Artifact,
    build_cosign_signature,
    build_image,
    build_index,
    build_referrer,
    cosign_tag,
)
from emulators.registry.records import Locks
from shared.errors import InvalidPolicy
from shared.jobs.cleaning import clean
from shared.jobs.nightly import start_night
from tests.jobs.application import UNTAGGED, Application, planned
from tests.jobs.world import World, body, counted

ANY_TAG = "tags: ['*'], older_than: 7d"


@pytest.fixture
def client(world: World) -> Iterator[PlainClient]:
    acr = world.acr
    found = PlainClient(
        acr.login_server, acr.admin_username, acr.admin_password, ca_file=world.servers.ca.ca_file
    )
    yield found
    found.close()


def carry_out(world: World, *rules: str) -> Application:
    application = planned(world, *rules)
    assert application.run() is None
    return application


def tags(world: World) -> set[str]:
    return set(world.home().tags)


def assert_whole(client: PlainClient, world: World, *artifacts: Artifact) -> None:
    """Pull each artifact by its digest, all platforms and layers."""
    for artifact in artifacts:
        assert {node.digest for node in artifact.walk()} <= {
            digest for digest, _ in client.pull(world.repository, artifact.digest)
        }


def two_platforms() -> Artifact:
    return build_index([build_image(platform="linux/amd64"), build_image(platform="linux/arm64")])


def test_h1_a_locked_index_is_whole_after_its_untagged_neighbours_went(
    world: World, client: PlainClient
) -> None:
    tagged, untagged, orphan = two_platforms(), two_platforms(), build_image()
    world.push(tagged, tag="nightly")
    world.push(untagged)
    world.push(orphan)
    for index in (tagged, untagged):
        locks = Locks(delete=False, write=False)
        world.acr.state.change_manifest(world.repository, index.digest, locks=locks)
    carry_out(world, UNTAGGED)
    assert orphan.digest not in world.home().manifests
    assert_whole(client, world, tagged, untagged)


def test_h2_an_index_of_attestations_stays_whole_beside_the_image_that_it_is_about(
    world: World, client: PlainClient
) -> None:
    image, orphan = build_image(), build_image()
    attestation = build_index([build_image(), build_image()], subject=image)
    world.push(image, tag="nightly")
    world.push(attestation)
    world.push(orphan)
    carry_out(world, UNTAGGED)
    assert orphan.digest not in world.home().manifests
    assert_whole(client, world, image, attestation)


def test_h3_what_refers_to_an_image_that_is_gone_goes_after_the_grace_period(world: World) -> None:
    gone = build_image()
    old, young = build_referrer(gone), build_referrer(gone)
    world.push(gone)
    world.push(old, days=8)
    world.push(young, days=0.5)
    world.acr.state.delete_manifest(world.repository, gone.digest)
    carry_out(world, UNTAGGED)
    assert set(world.home().manifests) == {young.digest}


def test_h4_a_child_that_is_missing_hinders_nothing_else(world: World, client: PlainClient) -> None:
    nested, other, orphan = build_index([build_image()]), build_image(), build_image()
    index = build_index([nested, other])
    world.push(index, tag="nightly")
    world.push(orphan)
    world.acr.state.delete_manifest(world.repository, nested.digest)
    application = carry_out(world, UNTAGGED)
    assert nested.digest in application.plan.warnings[0]
    assert application.results[orphan.digest] == "done"
    assert index.digest in world.home().manifests
    assert_whole(client, world, other)


@pytest.mark.parametrize("text", ["d", "1.5d", "12h1d", "-1d", "999999d", "99999999999999d"])
def test_h5_a_night_whose_policy_has_no_duration_removes_nothing(world: World, text: str) -> None:
    world.write_policy(f"name: untagged, untagged: true, older_than: '{text}'")
    digest = world.push(build_image())
    with pytest.raises(InvalidPolicy, match="older_than"):
        start_night(world.services, now=world.clock())
    assert world.take_cleanups() == []
    assert digest in world.home().manifests


def test_h6_alternatives_remove_whole_names_only(world: World) -> None:
    for name in ("dev", "test", "development", "my-test"):
        world.push(build_image(), tag=name)
    carry_out(world, "name: envs, tags_matching: ['dev|test'], older_than: 7d")
    assert tags(world) == {"development", "my-test"}


def test_h7_signatures_stay_with_the_newest_and_go_with_the_others(world: World, client: PlainClient) -> None:
    images = [build_image() for _ in range(4)]
    signatures = [build_cosign_signature(image) for image in images]
    for number, (image, signature) in enumerate(zip(images, signatures, strict=True)):
        world.push(image, tag=f"build-{number}", days=40 - number)
        world.push(signature, tag=cosign_tag(image.digest), days=90)
    carry_out(world, f"name: all, {ANY_TAG}, keep_newest: 2")
    assert tags(world) == {"build-2", "build-3", *(cosign_tag(image.digest) for image in images[2:])}
    assert_whole(client, world, *images[2:], *signatures[2:])
    assert len(world.home().manifests) == 4


def test_h8_a_delete_that_fails_is_told_and_stops_neither_the_rest_nor_other_repositories(
    world: World,
) -> None:
    other = f"{world.word}/other"
    world.write_policy("name: old, tags: ['pr-*'], older_than: 14d")
    digests = sorted(world.push(build_image(), tag=f"pr-{number}") for number in range(4))
    world.push(build_image(), tag="pr-1", at=other)
    world.acr.faults.inject(
        method="DELETE", path=f"/v2/{world.repository}/manifests/{digests[0]}", status=500, times=None
    )
    run = start_night(world.services, now=world.clock())
    while messages := world.take_cleanups():
        for message in messages:
            clean(world.services, body(message), clock=world.clock)
    report = world.services.runs.read_report(world.part(run.name))
    assert report is not None
    assert counted(report["outcomes"]) == {
        "done": sorted([*(f"pr-{number}" for number in range(4)), *digests[1:]]),
        "failed": [digests[0]],
    }
    assert set(world.home().manifests) == {digests[0]}
    assert len(world.home(other).manifests) == 0
    finished = world.services.runs.read_finished(run.name)
    assert finished is not None
    assert (finished["done"]["untagged"], finished["done"]["deleted"], finished["done"]["failed"]) == (
        5,
        4,
        1,
    )


def test_h9_each_rule_keeps_its_own_newest(world: World) -> None:
    for number in range(4):
        world.push(build_image(), tag=f"dev-{number}", days=60 - number)
        world.push(build_image(), tag=f"prod-{number}", days=20 - number)
    carry_out(
        world,
        "name: dev, tags: [dev-*], older_than: 7d, keep_newest: 2",
        "name: prod, tags: [prod-*], older_than: 7d, keep_newest: 2",
    )
    assert tags(world) == {"dev-2", "dev-3", "prod-2", "prod-3"}
    assert len(world.home().manifests) == 4


def test_h10_the_highest_version_stays_though_a_lower_one_was_pushed_last(world: World) -> None:
    for tag, age in (("1.10.0", 40), ("1.9.0", 50), ("1.2.0", 20)):
        world.push(build_image(), tag=tag, days=age)
    carry_out(world, "name: releases, tags: ['*'], keep_newest: 1, order_by: semver")
    assert tags(world) == {"1.10.0"}
    assert len(world.home().manifests) == 1
