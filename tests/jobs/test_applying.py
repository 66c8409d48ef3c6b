"""What becomes of each action of a plan, when the registry is not any more as the plan saw it."""

import time
from datetime import timedelta
from typing import Any

import pytest

from emulators.registry.images import (
    Artifact,
    build_cosign_signature,
    build_image,
    build_index,
    build_referrer,
    cosign_tag,
)
from emulators.registry.records import Locks
from shared.errors import AccessDenied, StorageUnavailable
from shared.retention.report import Outcome
from tests.jobs.application import UNTAGGED, Application, planned
from tests.jobs.world import World

LOCKED = Locks(delete=False, write=False)


def push_again(world: World, artifact: Artifact, *, tag: str | None = None) -> None:
    """Push as another client does now, some time after the plan."""
    world.push(artifact, tag=tag, days=-0.001)


def deletes(world: World) -> list[str]:
    """Return the tags and digests whose DELETE reached this repository, in order."""
    asked = [request for request in world.acr.traffic.requests if request.method == "DELETE"]
    return [request.path.rpartition("/")[2] for request in asked if f"/{world.repository}/" in request.path]


def test_a_tag_and_its_manifest_are_done(world: World) -> None:
    digest = world.push(build_image(), tag="pr-1")
    application = planned(world)
    assert application.run() is None
    assert application.results == {"pr-1": "done", digest: "done"}
    assert len(world.home().tags) == len(world.home().manifests) == 0


def test_what_somebody_else_removed_is_already_gone(world: World) -> None:
    digest = world.push(build_image(), tag="pr-1")
    orphan = world.push(build_image())
    application = planned(world)
    world.acr.state.delete_manifest(world.repository, digest)
    world.acr.state.delete_manifest(world.repository, orphan)
    assert application.run() is None
    assert application.results == {"pr-1": "already_gone", digest: "already_gone", orphan: "already_gone"}


def test_a_repository_that_is_gone_leaves_nothing_to_do(world: World) -> None:
    digest = world.push(build_image(), tag="pr-1")
    application = planned(world)
    world.acr.state.delete_repository(world.repository)
    assert application.run() is None
    assert application.results == {"pr-1": "already_gone", digest: "already_gone"}
    assert deletes(world) == []


def test_a_tag_that_points_elsewhere_has_moved(world: World) -> None:
    before = world.push(build_image(), tag="pr-1")
    application = planned(world)
    after = build_image()
    push_again(world, after, tag="pr-1")
    application.run()
    assert application.results == {"pr-1": "moved", before: "done"}
    assert after.digest in application.detail("pr-1")
    assert world.home().tags["pr-1"].digest == after.digest


def test_a_tag_that_was_pushed_again_to_the_same_manifest_is_young(world: World) -> None:
    image = build_image()
    world.push(image, tag="pr-1")
    application = planned(world)
    push_again(world, image, tag="pr-1")
    application.run()
    assert application.results == {"pr-1": "moved", image.digest: "retagged"}
    assert "pushed again" in application.detail("pr-1")
    assert world.home().tags["pr-1"].digest == image.digest


def test_an_orphan_that_got_a_tag_is_retagged(world: World) -> None:
    orphan = build_image()
    world.push(orphan)
    application = planned(world)
    push_again(world, orphan, tag="v1")
    application.run()
    assert application.results == {orphan.digest: "retagged"}
    assert application.detail(orphan.digest) == "has the tag v1"
    assert world.home().tags["v1"].digest == orphan.digest


def test_an_orphan_that_was_pushed_again_may_be_half_of_a_push(world: World) -> None:
    orphan = build_image()
    world.push(orphan)
    application = planned(world)
    push_again(world, orphan)
    application.run()
    assert application.results == {orphan.digest: "retagged"}
    assert "pushed again" in application.detail(orphan.digest)


@pytest.mark.parametrize("locks", [Locks(delete=False), Locks(write=False)])
def test_what_was_locked_since_the_plan_stays(world: World, locks: Locks) -> None:
    digest = world.push(build_image(), tag="pr-1")
    orphan = world.push(build_image())
    application = planned(world)
    world.acr.state.set_tag_locks(world.repository, "pr-1", locks)
    world.acr.state.change_manifest(world.repository, orphan, locks=locks)
    application.run()
    assert application.results == {"pr-1": "locked", digest: "retagged", orphan: "locked"}
    assert deletes(world) == []


def test_a_locked_manifest_keeps_its_tags(world: World) -> None:
    digest = world.push(build_image(), tag="pr-1")
    application = planned(world)
    world.acr.state.change_manifest(world.repository, digest, locks=LOCKED)
    application.run()
    assert application.results["pr-1"] == "locked"
    assert list(world.home().tags) == ["pr-1"]


@pytest.mark.parametrize("locks", [Locks(delete=False), Locks(write=False)])
def test_nothing_goes_from_a_repository_that_was_locked_since_the_plan(world: World, locks: Locks) -> None:
    digest = world.push(build_image(), tag="pr-1")
    application = planned(world)
    world.acr.state.set_repository_locks(world.repository, locks)
    application.run()
    assert application.results == {"pr-1": "locked", digest: "locked"}
    assert deletes(world) == []


def test_a_lock_that_comes_after_the_last_look_is_the_registrys_to_honour(world: World) -> None:
    orphan = world.push(build_image())
    application = planned(world)
    world.acr.faults.inject(
        method="DELETE",
        status=405,
        body='{"errors":[{"code":"UNSUPPORTED","message":"The operation is disallowed"}]}',
    )
    application.run()
    assert application.results == {orphan: "locked"}


def test_children_of_an_index_that_stayed_are_reachable(world: World) -> None:
    index = build_index([build_image(), build_image()])
    world.push(index, tag="pr-1")
    application = planned(world)
    push_again(world, index, tag="v1")
    application.run()
    children = {child.digest: "reachable" for child in index.children}
    assert application.results == {"pr-1": "done", index.digest: "retagged", **children}
    assert index.digest in application.detail(index.children[0].digest)


def test_a_manifest_that_a_new_index_lists_is_reachable(world: World) -> None:
    image = build_image()
    world.push(image)
    application = planned(world)
    newcomer = build_index([image])
    world.acr.state.put_manifest(world.repository, newcomer.content, newcomer.media_type, tag="v2")
    application.run()
    assert application.results == {image.digest: "reachable"}
    assert newcomer.digest in application.detail(image.digest)


def test_a_manifest_that_was_signed_since_the_plan_is_reachable(world: World) -> None:
    image = build_image()
    world.push(image)
    application = planned(world)
    push_again(world, build_referrer(image))
    application.run()
    assert application.results == {image.digest: "reachable"}


def test_a_newcomer_is_seen_though_another_deletion_looked_a_moment_ago(world: World) -> None:
    orphans = sorted((build_image() for _ in range(4)), key=lambda image: image.digest)
    for orphan in orphans:
        world.push(orphan)
    application = planned(world)
    newcomer = build_index([orphans[-1]])

    def push_after_the_first_delete(data: dict[str, Any]) -> None:
        if data["action"] == "delete" and data["target"]["repository"] == world.repository:
            world.acr.state.put_manifest(world.repository, newcomer.content, newcomer.media_type, tag="v2")

    world.acr.subscribe(push_after_the_first_delete)
    application.run(threads=1)
    assert application.results[orphans[0].digest] == "done"
    assert application.results[orphans[-1].digest] == "reachable"


def test_an_index_that_is_pushed_again_after_it_was_deleted_keeps_its_children(world: World) -> None:
    index = build_index([build_image(), build_image()])
    world.push(index, tag="pr-1")
    application = planned(world)

    def push_back(data: dict[str, Any]) -> None:
        if data["action"] == "delete" and data["target"]["digest"] == index.digest:
            world.acr.state.put_manifest(world.repository, index.content, index.media_type, tag="pr-1")

    world.acr.subscribe(push_back)
    application.run()
    children = {child.digest: "reachable" for child in index.children}
    assert application.results == {"pr-1": "done", index.digest: "done", **children}


@pytest.mark.parametrize("signature", ["cosign", "referrer"])
def test_a_signature_stays_when_its_image_is_pushed_again_after_it_was_deleted(
    world: World, signature: str
) -> None:
    image = build_image()
    world.push(image, tag="pr-1")
    signed = build_cosign_signature(image) if signature == "cosign" else build_referrer(image)
    world.push(signed, tag=cosign_tag(image.digest) if signature == "cosign" else None)
    application = planned(world)

    def push_back(data: dict[str, Any]) -> None:
        if data["action"] == "delete" and data["target"]["digest"] == image.digest:
            world.acr.state.put_manifest(world.repository, image.content, image.media_type, tag="v1")

    world.acr.subscribe(push_back)
    application.run()
    assert application.results[image.digest] == "done"
    assert application.results[signed.digest] == "reachable"
    if signature == "cosign":
        assert application.results[cosign_tag(image.digest)] == "reachable"
        assert list(world.home().tags) == [cosign_tag(image.digest), "v1"]


@pytest.mark.parametrize("signature", ["cosign", "referrer"])
def test_an_orphaned_signature_stays_when_its_image_came_back_since_the_plan(
    world: World, signature: str
) -> None:
    image, other = build_image(), build_image()
    world.push(other, tag="v0")
    signed = build_cosign_signature(image) if signature == "cosign" else build_referrer(image)
    world.push(signed, tag=cosign_tag(image.digest) if signature == "cosign" else None)
    application = planned(world)
    assert [deletion.digest for deletion in application.plan.delete] == [signed.digest]
    push_again(world, image, tag="v1")
    application.run()
    assert set(application.results.values()) == {"reachable"}
    assert signed.digest in world.home().manifests


def test_a_signature_is_untagged_only_after_its_image_is_gone(world: World) -> None:
    image = build_image()
    world.push(image, tag="pr-1")
    signature = build_cosign_signature(image)
    name = cosign_tag(image.digest)
    world.push(signature, tag=name)
    application = planned(world)
    assert application.run() is None
    assert deletes(world) == ["pr-1", image.digest, name, signature.digest]


def test_the_signature_of_an_image_that_stayed_keeps_its_tag(world: World) -> None:
    image = build_image()
    world.push(image, tag="pr-1")
    signature = build_cosign_signature(image)
    name = cosign_tag(image.digest)
    world.push(signature, tag=name)
    application = planned(world)
    push_again(world, image, tag="v1")
    application.run()
    assert application.results[name] == application.results[signature.digest] == "reachable"
    assert list(world.home().tags) == [name, "v1"]


def test_a_newcomer_that_vanished_again_holds_nothing_and_hides_nothing(world: World) -> None:
    """A newcomer's 404 must not be taken for the one of what is to be deleted."""
    index = build_index([build_image()])
    world.push(index)
    application = planned(world)
    newcomer = build_image()
    push_again(world, newcomer)
    world.acr.faults.inject(
        method="GET", path=f"/v2/{world.repository}/manifests/{newcomer.digest}", status=404, times=None
    )
    application.run()
    assert application.results == {index.digest: "done", index.children[0].digest: "done"}
    assert list(world.home().manifests) == [newcomer.digest]


def test_nothing_is_deleted_while_a_newcomer_cannot_be_read(world: World) -> None:
    orphan = world.push(build_image())
    application = planned(world)
    newcomer = build_image()
    push_again(world, newcomer)
    world.acr.faults.inject(
        method="GET", path=f"/v2/{world.repository}/manifests/{newcomer.digest}", corrupt=True, times=None
    )
    application.run()
    assert application.results == {orphan: "failed"}
    assert newcomer.digest in application.detail(orphan)
    assert deletes(world) == []


def test_what_the_registry_refuses_for_another_reason_has_failed(world: World) -> None:
    orphan = world.push(build_image())
    application = planned(world)
    world.acr.faults.inject(method="DELETE", status=400, body="{}")
    application.run()
    assert application.results == {orphan: "failed"}
    assert "400" in application.detail(orphan)


def test_children_of_an_index_whose_delete_failed_stay(world: World) -> None:
    index = build_index([build_image()])
    world.push(index)
    application = planned(world)
    world.acr.faults.inject(method="DELETE", status=500)
    application.run()
    assert application.results == {index.digest: "failed", index.children[0].digest: "reachable"}


def test_after_a_denial_the_rest_is_skipped(world: World) -> None:
    orphans = {world.push(build_image()) for _ in range(6)}
    application = planned(world)
    world.acr.faults.inject(method="DELETE", status=403, times=None)
    assert application.run(threads=1) is None
    assert sorted(application.results.values()) == ["failed", *["skipped"] * 5]
    assert application.results.keys() == orphans
    assert len(deletes(world)) == 1
    assert "refuses" in application.detail(next(t for t, r in application.results.items() if r == "skipped"))


def test_a_rate_limit_pauses_for_as_long_as_the_registry_says(world: World) -> None:
    tags = [f"pr-{number}" for number in range(6)]
    for tag in tags:
        world.push(build_image(), tag=tag)
    application = planned(world)
    world.acr.faults.inject(
        method="DELETE", after=2, times=None, status=429, headers={"Retry-After": "300"}, body="{}"
    )
    pause = application.run(threads=1)
    assert pause is not None
    assert pause.delay == pytest.approx(300, abs=1)
    assert "429" in pause.reason
    assert list(application.results.values()) == ["done", "done"]


def test_a_rate_limit_at_the_first_look_pauses_too(world: World) -> None:
    world.push(build_image(), tag="pr-1")
    application = planned(world)
    world.acr.faults.inject(path=f"/acr/v1/{world.repository}", status=429, headers={"Retry-After": "90"})
    pause = application.run()
    assert pause is not None
    assert pause.delay == pytest.approx(90, abs=1)
    assert application.outcomes == []


def test_the_deadline_pauses(world: World) -> None:
    for number in range(3):
        world.push(build_image(), tag=f"pr-{number}")
    application = planned(world)
    pause = application.run(deadline=world.clock())
    assert pause is not None
    assert pause.delay == 0
    assert application.outcomes == []


def test_a_repository_that_cannot_be_looked_at_is_the_callers_to_deal_with(world: World) -> None:
    world.push(build_image(), tag="pr-1")
    application = planned(world)
    world.acr.faults.inject(path=f"/acr/v1/{world.repository}", status=403)
    with pytest.raises(AccessDenied):
        application.run()
    assert application.outcomes == []


def test_resuming_repeats_nothing(world: World) -> None:
    index = build_index([build_image(), build_image()])
    world.push(index, tag="pr-1")
    world.push(build_image(), tag="pr-2")
    application = planned(world)
    world.acr.faults.inject(method="DELETE", after=3, times=None, status=429, headers={"Retry-After": "300"})
    assert application.run(threads=1) is not None
    world.acr.faults.clear()
    first = application.outcomes
    assert len(first) == 3
    world.acr.traffic.clear()
    resumed = Application(world, application.plan)
    assert resumed_run(world, resumed, first) is None
    done = {outcome.target for outcome in first}
    assert not done & set(deletes(world))
    assert done | set(resumed.results) == {"pr-1", "pr-2", *(each.digest for each in application.plan.delete)}
    assert set(resumed.results.values()) == {"done"}
    assert len(world.home().manifests) == 0


def resumed_run(world: World, application: Application, earlier: list[Outcome]) -> object:
    """Run on new clients, as the next invocation may: the old ones still wait for the rate limit."""
    world.set()
    stored = [Outcome.from_json(outcome.to_json()) for outcome in earlier]
    return application.run(earlier=stored)


def test_a_failed_action_is_not_repeated_and_still_holds(world: World) -> None:
    index = build_index([build_image()])
    world.push(index)
    application = planned(world)
    failed = Outcome(
        action="delete", target=application.plan.delete[0].digest, result="failed", at=world.clock()
    )
    application.run(earlier=[failed])
    assert application.results == {index.children[0].digest: "reachable"}
    assert deletes(world) == []


def test_outcomes_are_recorded_at_least_once_a_second_while_actions_finish(world: World) -> None:
    for number in range(8):
        world.push(build_image(), tag=f"pr-{number}")
    application = planned(world, "name: old, tags: ['pr-*'], older_than: 14d, untag_only: true")
    world.acr.faults.inject(method="DELETE", delay=0.35, times=None)
    started = time.monotonic()
    application.run(threads=1)
    seconds = time.monotonic() - started
    assert seconds > 2.5
    assert len(application.batches) >= int(seconds)
    assert max(len(batch) for batch in application.batches) <= 4


def test_when_recording_fails_the_application_ends(world: World) -> None:
    world.push(build_image(), tag="pr-1")
    application = planned(world)

    def fail(_: object) -> None:
        raise StorageUnavailable("appending to outcomes.jsonl: 503")

    application._record = fail  # type: ignore[method-assign,assignment]
    with pytest.raises(StorageUnavailable):
        application.run()
    assert len(world.home().manifests) == 1, "what holds the outcome back holds the next wave back"


def test_an_outcome_has_the_time_of_its_action_not_of_the_plan(world: World) -> None:
    world.push(build_image(), tag="pr-1")
    application = planned(world, UNTAGGED, "name: old, tags: ['pr-*'], older_than: 14d")
    world.clock.pass_by(hours=1)
    application.run()
    assert {outcome.at for outcome in application.outcomes} == {world.clock.now}
    assert application.plan.at == world.clock.now - timedelta(hours=1)
