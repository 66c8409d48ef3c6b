"""The night: in plan mode it touches nothing, in apply mode it removes exactly what the plan says."""

from collections.abc import Iterator
from typing import Any

import pytest

from emulators.registry.images import (
    Artifact,
    build_cosign_signature,
    build_image,
    build_referrer,
    cosign_tag,
)
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
    with world(tmp_path_factory.mktemp("nights")) as started:
        yield started


class History:
    """A repository in which months have passed: what must stay, by reference, and what must go."""

    def __init__(self, steward: World, repository: str) -> None:
        self._state = steward.state
        self.repository = repository
        self.stays: dict[str, Artifact] = {}
        self.goes: set[str] = set()
        for number in (1, 2, 3):
            self._put(build_image(), 30 + number, tag=f"pr-{number}", goes=True)
        old = multi_platform()
        self._put(old, 40, tag="pr-index", goes=True)
        self._put(build_cosign_signature(old), 40, tag=cosign_tag(old.digest), goes=True)
        for _ in range(2):
            self._put(build_image(), 20, goes=True)

        self._put(build_image(), 1, tag="pr-young")
        self._put(build_image(), 90, tag="pr-locked")
        self._state.set_tag_locks(repository, "pr-locked", Locks(delete=False))
        nightly = multi_platform()
        self._put(nightly, 60, tag="nightly")
        self._put(build_referrer(nightly.children[0]), 60)
        self._put(build_image(), 0.2)

    def _put(self, artifact: Artifact, age: float, *, tag: str | None = None, goes: bool = False) -> None:
        artifact.push_to(self._state, self.repository, tag=tag, at=days_ago(age))
        if goes:
            self.goes |= {node.digest for node in artifact.walk()} | ({tag} if tag else set())
        else:
            self.stays[tag or artifact.digest] = artifact

    def assert_untouched(self) -> None:
        content = self._state.repository(self.repository)
        assert self.goes <= {*content.tags, *content.manifests}

    def assert_cleaned(self, steward: World) -> None:
        content = self._state.repository(self.repository)
        assert not self.goes & {*content.tags, *content.manifests}
        assert set(content.tags) == {reference for reference in self.stays if ":" not in reference}
        for reference, artifact in self.stays.items():
            assert_whole(steward.acr, self.repository, reference, artifact)


def deletes(steward: World) -> int:
    return steward.stack.acr.traffic.count("DELETE")


def planned(plan: dict[str, Any]) -> set[str]:
    return {each["tag"] for each in plan["untag"]} | {each["digest"] for each in plan["delete"]}


def test_every_tag_and_manifest_has_a_verdict_with_a_reason(steward: World) -> None:
    repository = unique("verdicts")
    history = History(steward, repository)
    steward.write_policy(retention(repository))
    steward.run_in_mode("plan")

    plan = steward.finished_report(steward.night()["run"], repository)["plan"]

    judged = [*plan["untag"], *plan["delete"], *plan["keep"]]
    content = steward.state.repository(repository)
    assert {each.get("tag") or each["digest"] for each in judged} == {*content.tags, *content.manifests}
    assert all(each["reason"] for each in judged)
    reasons = {each.get("tag"): each["reason"] for each in judged if "tag" in each}
    assert "locked" in reasons["pr-locked"]
    assert "older than 14d" in reasons["pr-1"]
    assert set(history.goes) == planned(plan)


def test_a_plan_whose_report_was_not_written_any_more_is_finished_by_the_next_delivery(
    steward: World,
) -> None:
    repository = unique("interrupted")
    unique_old(steward, repository)
    steward.write_policy(retention(repository))
    steward.run_in_mode("plan")
    run = steward.night()["run"]
    login_server = steward.stack.acr.login_server
    steward.delete_blob(f"runs/{run}/{login_server}/{repository}/report.json")
    assert (steward.get(f"runs/{run}") or {})["state"] == "planning"

    message = {
        "version": 1,
        "kind": "plan-repository",
        "run": run,
        "registry": login_server,
        "repository": repository,
    }
    steward.send(steward.stack.settings["CLEANUP_QUEUE"], message)

    assert steward.ended(run)["state"] == "finished"
    assert steward.finished_report(run, repository)["plan"]["delete"]


def test_a_night_in_plan_mode_deletes_nothing_and_one_in_apply_mode_just_what_it_planned(
    steward: World,
) -> None:
    repository = unique("night")
    history = History(steward, repository)
    steward.write_policy(retention(repository))

    steward.run_in_mode("plan")
    before = deletes(steward)
    summary = steward.night()
    report = steward.finished_report(summary["run"], repository)
    assert deletes(steward) == before
    assert planned(report["plan"]) == history.goes
    assert report["outcomes"] == []
    history.assert_untouched()

    steward.run_in_mode("apply")
    summary = steward.night()
    report = steward.finished_report(summary["run"], repository)
    assert planned(report["plan"]) == history.goes
    assert {outcome["target"] for outcome in report["outcomes"]} == history.goes
    assert {outcome["result"] for outcome in report["outcomes"]} == {"done"}
    assert summary["state"] == "finished"
    history.assert_cleaned(steward)

    again = steward.finished_report(steward.night()["run"], repository)
    assert planned(again["plan"]) == set()


def test_a_repository_that_would_lose_too_much_loses_nothing(steward: World) -> None:
    repository, harmless = unique("refused"), unique("harmless")
    history, other = History(steward, repository), unique_old(steward, harmless)
    steward.write_policy(retention(repository, harmless, limits={"repository": {"deletions": 4}}))
    steward.run_in_mode("apply")

    summary = steward.night()

    refused = steward.finished_report(summary["run"], repository)["plan"]["refused"]
    assert (refused["removals"], refused["total"], refused["deletions"]) == (9, 16, 4)
    assert refused["message"] == ("would remove 9 of 16 manifests (56.2 %); the limit of a repository is 4")
    assert steward.stack.acr.traffic.count("DELETE", f"/(acr/v1|v2)/{repository}/.*") == 0
    history.assert_untouched()
    assert other not in steward.state.repository(harmless).manifests


def test_a_run_that_would_remove_too_much_removes_nothing(steward: World) -> None:
    repositories = [unique("run-a"), unique("run-b")]
    histories = [History(steward, repository) for repository in repositories]
    steward.write_policy(retention(*repositories, limits={"run": {"deletions": 12}}))
    steward.run_in_mode("apply")
    before = deletes(steward)

    summary = steward.night()
    steward.await_quiet()

    assert summary["state"] == "refused"
    refused = summary["refused"]
    assert (refused["limit"], refused["removals"], refused["total"], refused["deletions"]) == (
        "run",
        18,
        32,
        12,
    )
    assert "would remove 18 of 32 manifests" in refused["message"]
    assert deletes(steward) == before
    for history in histories:
        history.assert_untouched()


def test_a_repository_that_vanishes_is_reported_and_the_others_are_cleaned(steward: World) -> None:
    vanishing, other = unique("vanishing"), unique("steady")
    unique_old(steward, vanishing)
    digest = unique_old(steward, other)
    steward.write_policy(retention(vanishing, other))
    steward.run_in_mode("apply")
    gone = steward.stack.acr.faults.inject(
        method="GET", path=f"/acr/v1/{vanishing}", times=None, status=404, body="{}"
    )

    summary = steward.night()

    assert gone.fired
    assert summary["state"] == "finished"
    assert summary["done"]["failures"] == 1
    failed = steward.finished_report(summary["run"], vanishing)
    assert failed["failed"] == "the repository does not exist any more"
    assert digest not in steward.state.repository(other).manifests


def test_an_unreadable_index_closes_its_repository(steward: World) -> None:
    """What cannot be read may list anything, so nothing of the repository is removed."""
    repository = unique("unreadable")
    index = multi_platform()
    index.push_to(steward.state, repository, tag="nightly", at=days_ago(60))
    orphan = unique_old(steward, repository)
    steward.write_policy(retention(repository))
    steward.run_in_mode("apply")
    hidden = steward.stack.acr.faults.inject(
        method="GET", path=f"/v2/{repository}/manifests/{index.digest}", times=None, status=403, body="{}"
    )

    report = steward.finished_report(steward.night()["run"], repository)

    assert hidden.fired
    assert report["plan"]["closed"] is True
    assert planned(report["plan"]) == set()
    assert any("could not be read" in warning for warning in report["plan"]["warnings"])
    assert orphan in steward.state.repository(repository).manifests


def test_a_catalog_that_cannot_be_read_is_a_problem_of_the_run(steward: World) -> None:
    steward.write_policy(retention(unique("unlisted")))
    steward.stack.acr.faults.inject(path="/acr/v1/_catalog", times=1, status=403, body="{}")

    run = steward.open_night()
    summary = eventually(lambda: steward.get(f"runs/{run}"), "the run")

    assert summary["repositories"] == []
    (problem,) = summary["problems"]
    assert problem.startswith(f"the catalog of {steward.stack.acr.login_server} could not be read")


def unique_old(steward: World, repository: str) -> str:
    """Put an orphan that the policy wants gone, and return its digest."""
    orphan = build_image()
    orphan.push_to(steward.state, repository, at=days_ago(30))
    return orphan.digest
