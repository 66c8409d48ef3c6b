import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given

from shared.errors import InvalidMessage
from shared.render import plan_from_json, plan_to_json, plans_to_json, report_to_json
from shared.retention.caps import Caps
from shared.retention.limits import Limit, Limits
from shared.retention.plan import RepositoryPlan, check_limits, plan_repository, plan_within_limits
from shared.retention.report import Outcome, RepositoryReport
from shared.retention.rules import RetentionPolicy
from shared.retention.snapshot import RepositorySnapshot
from shared.retention.traffic import Traffic
from tests.retention.registry import NOW, Repository, cosign_tag, digest, retention
from tests.retention.strategies import EXAMPLES, policies, snapshots


def small_plan() -> RepositoryPlan:
    repository = Repository()
    repository.manifest("index", children=["amd"], tags=["pr-1"])
    repository.manifest("amd")
    repository.manifest("signature")
    repository.tag(cosign_tag("index"), "signature")
    repository.manifest("release", tags=["v1"])
    rules = "{name: prs, repositories: ['**'], tags: [pr-*], older_than: 14d}"
    return replace(repository.plan(retention(rules)), policy_digest="sha256:0")


def test_a_plan_as_json() -> None:
    document = plan_to_json(small_plan())
    held = f"held only by {digest('index')}, which goes"
    assert document == {
        "registry": "demo.azurecr.io",
        "repository": "team/app",
        "at": "2026-11-23T12:00:00+00:00",
        "policy_digest": "sha256:0",
        "untag": [
            {
                "tag": "pr-1",
                "digest": digest("index"),
                "rule": "prs",
                "reason": "older than 14d: last updated 2026-10-14, 40 days ago",
            },
            {
                "tag": cosign_tag("index"),
                "digest": digest("signature"),
                "rule": "prs",
                "reason": f"belongs to {digest('index')}, and its manifest goes",
                "subject": digest("index"),
            },
        ],
        "delete": [
            {
                "digest": digest("index"),
                "size": 100,
                "rule": "prs",
                "reason": "nothing kept holds it, and its last tag goes: pr-1",
            },
            *(
                {"digest": each, "size": 100, "rule": "prs", "reason": held, "held_by": [digest("index")]}
                for each in sorted([digest("amd"), digest("signature")])
            ),
        ],
        "keep": [
            {"tag": "v1", "rule": None, "reason": "no rule selects it"},
            {"digest": digest("release"), "rule": None, "reason": "tagged v1"},
        ],
        "warnings": [],
        "refused": None,
        "postponed": None,
        "closed": False,
        "rules_matched": ["prs"],
    }


@given(snapshots(), policies())
@EXAMPLES
def test_a_plan_reads_back_as_it_was(snapshot: RepositorySnapshot, policy: RetentionPolicy) -> None:
    """A stored plan is what a killed run goes on with."""
    plan = check_limits(
        plan_repository(snapshot, policy, now=NOW), Limits(repository=Limit(deletions=1, percent=40))
    )
    document = json.loads(json.dumps(plan_to_json(plan)))
    again = plan_from_json(document)
    assert plan_to_json(again) == document
    assert again.counts == plan.counts
    assert [entry[:3] for entry in again.untag] == [entry[:3] for entry in plan.untag]
    assert [(entry.digest, entry.held_by) for entry in again.delete] == [
        (entry.digest, entry.held_by) for entry in plan.delete
    ]
    assert [verdict[:3] for verdict in again.tag_verdicts] == [v[:3] for v in plan.tag_verdicts]
    assert [verdict[:3] for verdict in again.manifest_verdicts] == [v[:3] for v in plan.manifest_verdicts]
    assert again.refused == plan.refused


def _broken(**changes: Any) -> dict[str, Any]:
    return {**plan_to_json(small_plan()), **changes}


@pytest.mark.parametrize(
    "document",
    [
        {},
        _broken(untag=None),
        _broken(untag=[{}]),
        _broken(untag=[{"tag": "-", "digest": digest("a"), "rule": "r", "reason": ""}]),
        _broken(delete=[{"digest": "x", "size": 1, "rule": "r", "reason": ""}]),
        _broken(registry="not a host"),
        _broken(repository="../etc"),
        _broken(at="now"),
        _broken(refused={}),
        _broken(keep=["tag"]),
    ],
)
def test_a_document_that_is_no_plan_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(InvalidMessage, match="stored plan"):
        plan_from_json(document)


def test_several_plans_are_one_document() -> None:
    document = plans_to_json([small_plan()], registry="demo.azurecr.io", at=NOW, policy_digest="sha256:0")
    assert list(document) == ["registry", "at", "policy_digest", "repositories"]
    assert document["repositories"] == [plan_to_json(small_plan())]


def test_a_refusal_shows_the_limit_and_its_numbers() -> None:
    plan = check_limits(small_plan(), Limits(repository=Limit(deletions=2)))
    assert plan_to_json(plan)["refused"] == {
        "limit": "repository",
        "what": "manifests",
        "removals": 3,
        "total": 4,
        "deletions": 2,
        "percent": None,
        "combine": "or",
        "message": "would remove 3 of 4 manifests (75 %); the limit of a repository is 2",
    }


def outcomes(plan: RepositoryPlan) -> tuple[Outcome, ...]:
    return (
        Outcome(action="untag", target=plan.untag[0].tag, result="done", at=NOW),
        Outcome(action="untag", target=plan.untag[1].tag, result="already_gone", at=NOW),
        Outcome(action="delete", target=plan.delete[0].digest, result="done", at=NOW),
        Outcome(action="delete", target=plan.delete[1].digest, result="failed", at=NOW, detail="500"),
    )


def test_a_report_counts_what_was_done_and_what_is_missing() -> None:
    plan = small_plan()
    report = RepositoryReport(
        plan=plan,
        mode="apply",
        started=NOW,
        finished=NOW + timedelta(seconds=3),
        outcomes=outcomes(plan),
        traffic=Traffic(requests={"read": 5, "delete": 3}, throttled=2, waited=1.25),
    )
    document = json.loads(json.dumps(report_to_json(report)))
    assert document["plan"] == plan_to_json(plan)
    assert document["missing"] == 1
    assert [Outcome.from_json(outcome) for outcome in document["outcomes"]] == list(report.outcomes)
    counts = document["counts"]
    assert (counts["untagged"], counts["deleted"], counts["already_gone"], counts["failed"]) == (1, 1, 1, 1)
    assert (counts["untag"], counts["delete"], counts["bytes_freed_at_most"]) == (2, 3, 100)
    assert document["seconds"] == 3
    assert document["traffic"] == {
        "requests": {"delete": 3, "read": 5},
        "throttled": 2,
        "waited_seconds": 1.25,
    }
    assert (counts["requests"], counts["throttled"], counts["waited_seconds"]) == (8, 2, 2)


def test_a_report_of_a_plan_alone_misses_nothing() -> None:
    report = RepositoryReport(plan=small_plan(), mode="plan", started=NOW, finished=NOW)
    assert report_to_json(report)["missing"] == 0


def test_what_a_cap_leaves_is_kept_with_its_reason_and_counted() -> None:
    repository = Repository()
    for name in ("one", "two"):
        repository.manifest(name, tags=[f"pr-{name}"])
    rules = "{name: prs, repositories: ['**'], tags: [pr-*], older_than: 14d}"
    policy = replace(retention(rules), at_most=Caps(repository=2))
    document = plan_to_json(plan_within_limits(repository.snapshot(), policy, now=NOW))
    left = {"rule": "prs", "reason": "left for the next run: the cap of 2 removals a repository"}
    assert {"tag": "pr-two", **left} in document["keep"]
    assert {"digest": digest("two"), **left} in document["keep"]
    assert document["postponed"] == {
        "cap": "repository",
        "most": 2,
        "tags": 1,
        "manifests": 1,
        "message": "1 tags and 1 manifests are left for the next run; the cap of a repository is 2 removals",
    }
    again = plan_from_json(json.loads(json.dumps(document)))
    assert again.counts["postponed_tags"] == again.counts["postponed_manifests"] == 1
    assert plan_to_json(again) == document


def test_a_plan_of_before_there_were_caps_is_read() -> None:
    document = plan_to_json(small_plan())
    del document["postponed"]
    assert plan_to_json(plan_from_json(document)) == plan_to_json(small_plan())
