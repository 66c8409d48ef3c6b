"""What others do between the plan and its application: nothing that is in use again is removed."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from emulators.registry.images import Artifact, build_image, build_index
from emulators.registry.records import Locks
from tests.e2e.world import (
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
    settings = {"CLEANUP_MODE": "apply"}
    with world(tmp_path_factory.mktemp("races"), settings=settings) as started:
        yield started


@contextmanager
def planned_and_held_back(steward: World, repository: str) -> Iterator[dict[str, Any]]:
    """Yield the night's plan for the repository; it is carried out when the block ends.

    A run applies its plans when it has all of them, so a second repository that cannot be listed holds
    the first one's back.
    """
    brake = unique("brake")
    build_image().push_to(steward.state, brake, tag="v1", at=days_ago(1))
    steward.write_policy(retention(repository, brake))
    steward.stack.acr.faults.inject(
        method="GET", path=f"/acr/v1/{brake}/_manifests", times=None, status=503, body="{}"
    )
    run = steward.open_night()
    report = eventually(lambda: steward.report(run, repository), "the plan")
    assert report["finished"] is None
    before = steward.stack.acr.traffic.count("DELETE")
    held: dict[str, Any] = {"run": run, "plan": report["plan"]}
    yield held
    assert steward.stack.acr.traffic.count("DELETE") == before, "the plan was carried out too early"
    steward.stack.acr.faults.clear()
    held["summary"] = steward.ended(run)
    held["outcomes"] = results(steward.finished_report(run, repository))


def results(report: dict[str, Any]) -> dict[str, str]:
    return {outcome["target"]: outcome["result"] for outcome in report["outcomes"]}


def put(steward: World, repository: str, artifact: Artifact, *, tag: str | None = None) -> Artifact:
    artifact.push_to(steward.state, repository, tag=tag, at=days_ago(40))
    return artifact


def test_what_changed_since_the_plan_stays(steward: World) -> None:
    repository = unique("changed")
    acr, state = steward.acr, steward.state
    image = {
        name: put(steward, repository, build_image(), tag=f"pr-{name}")
        for name in ("moved", "repushed", "deleted", "locked", "retagged", "manifest-locked", "plain")
    }
    orphan = {name: put(steward, repository, build_image()) for name in ("listed", "referred", "plain")}
    replacement = build_image()

    with planned_and_held_back(steward, repository) as held:
        acr.push(repository, replacement, "pr-moved")
        acr.push(repository, image["repushed"], "pr-repushed")
        state.delete_tag(repository, "pr-deleted")
        state.set_tag_locks(repository, "pr-locked", Locks(delete=False))
        acr.push(repository, image["retagged"], "stable")
        state.change_manifest(repository, image["manifest-locked"].digest, locks=Locks(delete=False))
        newcomer = build_index([orphan["listed"], build_image()])
        acr.push(repository, newcomer, "v2")
        referring = build_image(subject=orphan["referred"])
        acr.push(repository, referring)

    assert len(held["plan"]["untag"]) == 7
    assert len(held["plan"]["delete"]) == 10
    outcomes = held["outcomes"]
    assert outcomes["pr-moved"] == "moved"
    assert outcomes["pr-repushed"] not in {"done", "already_gone"}
    assert outcomes["pr-deleted"] == "already_gone"
    assert outcomes["pr-locked"] == "locked"
    assert outcomes["pr-plain"] == "done"
    assert outcomes[image["retagged"].digest] == "retagged"
    assert outcomes["pr-manifest-locked"] == "locked"
    assert outcomes[image["manifest-locked"].digest] in {"locked", "retagged"}
    assert outcomes[orphan["listed"].digest] == "reachable"
    assert outcomes[orphan["referred"].digest] == "reachable"
    assert outcomes[orphan["plain"].digest] == "done"
    assert outcomes[image["plain"].digest] == "done"
    assert_whole(acr, repository, "pr-moved", replacement)
    assert_whole(acr, repository, "pr-repushed", image["repushed"])
    assert_whole(acr, repository, "pr-locked", image["locked"])
    assert_whole(acr, repository, "stable", image["retagged"])
    assert_whole(acr, repository, image["manifest-locked"].digest, image["manifest-locked"])
    assert_whole(acr, repository, "v2", newcomer)
    assert_whole(acr, repository, orphan["referred"].digest, orphan["referred"])
    assert_whole(acr, repository, referring.digest, referring)
    assert held["summary"]["state"] == "finished"


def test_an_index_that_is_tagged_again_keeps_its_children(steward: World) -> None:
    repository = unique("index")
    index = put(steward, repository, multi_platform(), tag="pr-1")

    with planned_and_held_back(steward, repository) as held:
        steward.acr.push(repository, index, "v1")

    assert held["outcomes"]["pr-1"] in {"done", "moved"}
    assert held["outcomes"][index.digest] == "retagged"
    assert {held["outcomes"][child.digest] for child in index.children} == {"reachable"}
    assert_whole(steward.acr, repository, "v1", index)


def test_an_index_pushed_again_right_after_its_deletion_keeps_its_children(steward: World) -> None:
    """The same bytes come back, tagged, while the application is between the index and its children."""
    repository = unique("again")
    index = put(steward, repository, multi_platform(), tag="pr-1")

    def bring_back(event: dict[str, Any]) -> None:
        if event["action"] == "delete" and event["target"].get("digest") == index.digest:
            steward.state.put_manifest(repository, index.content, index.media_type, tag="v1")

    steward.stack.acr.subscribe(bring_back)
    steward.write_policy(retention(repository))

    report = steward.finished_report(steward.night()["run"], repository)

    assert results(report)[index.digest] == "done"
    assert {results(report)[child.digest] for child in index.children} == {"reachable"}
    assert_whole(steward.acr, repository, "v1", index)


def test_indexes_pushed_all_the_while_are_never_broken(steward: World) -> None:
    """With every delete that is done, an index over a manifest that the plan deletes much later is pushed."""
    repository = unique("storm")
    orphans = [put(steward, repository, build_image()) for _ in range(40)]
    left = {orphan.digest: orphan for orphan in sorted(orphans, key=lambda each: each.digest)}
    taken: list[Artifact] = []

    def push_another(event: dict[str, Any]) -> None:
        if event["action"] != "delete" or event["target"]["repository"] != repository:
            return
        left.pop(event["target"]["digest"], None)
        last = next(reversed(left), None)
        if last is not None and len(taken) < 10 and last in steward.state.repository(repository).manifests:
            index = build_index([left.pop(last)])
            steward.state.put_manifest(repository, index.content, index.media_type, tag=f"v{len(taken)}")
            taken.append(index)

    steward.stack.acr.subscribe(push_another)
    steward.write_policy(retention(repository))

    report = steward.finished_report(steward.night()["run"], repository)

    assert len(taken) == 10
    outcomes = results(report)
    assert len(outcomes) == len(orphans)
    kept = {index.children[0].digest for index in taken}
    assert {digest for digest, result in outcomes.items() if result == "reachable"} == kept
    assert {digest for digest, result in outcomes.items() if result == "done"} == outcomes.keys() - kept
    for number, index in enumerate(taken):
        assert_whole(steward.acr, repository, f"v{number}", index)


def test_a_manifest_that_is_in_use_again_while_its_delete_waits_for_its_turn_stays(steward: World) -> None:
    """A registry that is asked too much says when to come back: by then the last look is old."""
    repository = unique("waiting")
    orphan = put(steward, repository, build_image())
    busy = steward.stack.acr.faults.inject(
        method="DELETE",
        path=f"/v2/{repository}/manifests/.*",
        status=429,
        headers={"Retry-After": "4"},
        body="{}",
    )
    steward.write_policy(retention(repository))
    run = steward.open_night()
    eventually(lambda: busy.fired, "the delete to be turned away")

    index = build_index([orphan])
    steward.acr.push(repository, index, "v1")

    steward.ended(run)
    assert results(steward.finished_report(run, repository)) == {orphan.digest: "reachable"}
    assert_whole(steward.acr, repository, "v1", index)


def test_a_plan_that_is_carried_out_twice_at_once_is_reported_as_done(steward: World) -> None:
    """Queues deliver at least once; the second worker finds gone what the first removed."""
    repository = unique("double")
    goes: set[str] = set()
    for number in range(6):
        image = put(steward, repository, build_image(), tag=f"pr-{number}")
        goes |= {f"pr-{number}", image.digest}
    steward.write_policy(retention(repository))
    slow = steward.stack.acr.faults.inject(
        method="DELETE", path=f"/(acr/v1|v2)/{repository}/.*", times=None, delay=0.5
    )
    run = steward.open_night()
    eventually(lambda: slow.fired, "the application to begin")
    again = {
        "version": 1,
        "kind": "apply-plan",
        "run": run,
        "registry": steward.stack.acr.login_server,
        "repository": repository,
    }

    steward.send(steward.stack.settings["CLEANUP_QUEUE"], again)
    steward.ended(run)
    steward.await_quiet()

    assert slow.fired > len(goes), "both have worked at once"
    assert results(steward.finished_report(run, repository)) == dict.fromkeys(goes, "done")
    assert (steward.get(f"runs/{run}") or {})["done"]["untagged"] == 6
