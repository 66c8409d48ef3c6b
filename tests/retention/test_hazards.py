"""Ten ways in which a purge tool in wide use removes what it should keep, or gives up; none is possible here.

Each was reproduced with that tool's own code (Azure/acr-cli at cfbb835).
"""

from datetime import timedelta

import pytest

from shared.errors import InvalidInput, InvalidPolicy
from shared.policy import parse_policy
from shared.retention.durations import parse_duration
from tests.retention.registry import Repository, cosign_tag, deleted, digest, retention, untagged, why

STALE = "{name: stale, repositories: ['**'], untagged: true, older_than: 7d}"


def test_h1_children_of_a_locked_index_stay() -> None:
    repository = Repository()
    repository.manifest("index", children=["arm", "amd"], tags=["v1"], locked=True)
    repository.manifest("arm")
    repository.manifest("amd")
    repository.manifest("orphan")
    plan = repository.plan(retention(STALE))
    assert deleted(plan, ["orphan"]) == {"orphan"}
    assert why(plan, "arm") == f"listed by index {digest('index')} tagged v1, which stays"


def test_h1_an_untagged_locked_index_holds_its_children_too() -> None:
    repository = Repository()
    repository.manifest("index", children=["arm"], locked=True)
    repository.manifest("arm")
    plan = repository.plan(retention(STALE))
    assert plan.is_empty
    assert why(plan, "index") == "the manifest is locked"


def test_h2_an_untagged_index_that_refers_to_a_living_subject_stays_with_its_children() -> None:
    repository = Repository()
    repository.manifest("image", tags=["v1"])
    repository.manifest("attestation", children=["part"], subject="image")
    repository.manifest("part")
    plan = repository.plan(retention(STALE))
    assert plan.is_empty
    assert why(plan, "attestation") == f"refers to {digest('image')} tagged v1, which stays"


def test_h3_a_referrer_whose_subject_is_gone_goes_after_the_grace_period() -> None:
    repository = Repository()
    repository.manifest("old", subject="gone", age=2)
    repository.manifest("young", subject="gone", age=0.5)
    plan = repository.plan(retention(STALE))
    assert deleted(plan, ["old"]) == {"old"}
    assert str(plan.delete[0].reason) == (
        f"its subject {digest('gone')} is gone; older than the grace period of 24h"
    )


def test_h3_without_a_rule_for_untagged_manifests_orphans_stay() -> None:
    repository = Repository()
    repository.manifest("old", subject="gone")
    plan = repository.plan(retention("{name: prs, repositories: ['**'], tags: [pr-*], older_than: 7d}"))
    assert plan.is_empty


def test_h4_a_missing_nested_child_is_a_warning_and_the_rest_is_cleaned() -> None:
    repository = Repository()
    repository.manifest("index", children=["nested", "amd"], tags=["v1"])
    repository.manifest("amd")
    repository.manifest("orphan")
    plan = repository.plan(retention(STALE))
    assert deleted(plan, ["orphan"]) == {"orphan"}
    assert plan.warnings == (
        f"index {digest('index')} lists {digest('nested')}, which the repository does not have",
    )


def test_h4_a_child_that_could_not_be_read_and_is_not_listed_does_not_close_the_repository() -> None:
    repository = Repository()
    repository.manifest("index", children=["nested"], tags=["v1"])
    repository.manifest("orphan")
    repository.unreadable[digest("nested")] = "404"
    assert deleted(repository.plan(retention(STALE)), ["orphan"]) == {"orphan"}


@pytest.mark.parametrize(
    "text",
    [
        "d",
        "days",
        "thirtyd",
        "1.5d",
        "12h1d",
        "-1d",
        "30days",
        "P30D",
        "foo",
        "30",
        "1W",
        " 1d",
        "1d\n",
        "01d",
        "1e2d",
        "٣d",
        "",
        "0d",
        "999999d",
        "99999999999999d",
        "3654d",
        "522w",
    ],
)
def test_h5_what_is_not_exactly_a_duration_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "delta"),
    [
        ("90m", timedelta(minutes=90)),
        ("12h", timedelta(hours=12)),
        ("30d", timedelta(days=30)),
        ("6w", timedelta(weeks=6)),
        ("3653d", timedelta(days=3653)),
    ],
)
def test_h5_the_four_forms_are_read(text: str, delta: timedelta) -> None:
    assert parse_duration(text).delta == delta
    assert str(parse_duration(text)) == text


def test_h6_alternatives_match_whole_names_only() -> None:
    repository = Repository()
    for tag in ["dev", "test", "development", "my-test", "1.0", "11.0", "1-0", "v1.0.5"]:
        repository.manifest(tag, tags=[tag])
    rules = "{name: envs, repositories: ['**'], tags_matching: ['dev|test', '1\\.0'], older_than: 7d}"
    assert untagged(repository.plan(retention(rules))) == {"dev", "test", "1.0"}


def test_h6_repository_globs_match_whole_names_only() -> None:
    policy = retention("{name: all, repositories: [dev, test/*], tags: ['*'], older_than: 7d}")
    covered = [
        name
        for name in ["dev", "development-prod", "prod/dev", "test", "test/a", "test/a/b"]
        if policy.covers(Repository().snapshot().registry, name)  # type: ignore[arg-type]
    ]
    assert covered == ["dev", "test/a"]


def test_h7_cosign_tags_follow_their_subject_and_take_no_place() -> None:
    repository = Repository()
    for number in range(1, 4):
        repository.manifest(f"image-{number}", tags=[f"v{number}"], age=40 - number)
        repository.manifest(f"signature-{number}", age=40 - number)
        repository.tag(cosign_tag(f"image-{number}"), f"signature-{number}", age=40 - number)
        repository.manifest(f"sbom-{number}", age=80)
        repository.tag(cosign_tag(f"image-{number}", ".sbom"), f"sbom-{number}", age=80)
    plan = repository.plan(
        retention("{name: all, repositories: ['**'], tags: ['*'], older_than: 7d, keep_newest: 2}")
    )
    gone = ["image-1", "signature-1", "sbom-1"]
    assert deleted(plan, gone) == set(gone)
    assert untagged(plan) == {"v1", cosign_tag("image-1"), cosign_tag("image-1", ".sbom")}
    assert {entry.subject for entry in plan.untag} == {None, digest("image-1")}
    assert plan.delete[0].digest == digest("image-1")


def test_h8_one_failure_is_an_outcome_of_its_own() -> None:
    """The plan names every action by itself, so an outcome belongs to one action and to no other."""
    repository = Repository()
    for number in range(5):
        repository.manifest(f"image-{number}", tags=[f"pr-{number}"])
    plan = repository.plan(retention("{name: prs, repositories: ['**'], tags: [pr-*], older_than: 7d}"))
    assert len(plan.untag) == len(plan.delete) == 5
    assert all(entry.held_by == () for entry in plan.delete)


def test_h9_each_rule_counts_its_own_newest() -> None:
    repository = Repository()
    for number in range(1, 5):
        repository.manifest(f"dev-{number}", tags=[f"dev-{number}"], age=60 - number)
        repository.manifest(f"prod-{number}", tags=[f"prod-{number}"], age=20 - number)
    plan = repository.plan(
        retention(
            """{name: dev, repositories: ['**'], tags: [dev-*], older_than: 7d, keep_newest: 2}
            {name: prod, repositories: ['**'], tags: [prod-*], older_than: 7d, keep_newest: 2}"""
        )
    )
    assert untagged(plan) == {"dev-1", "dev-2", "prod-1", "prod-2"}


def test_h9_each_stream_counts_its_own_newest() -> None:
    repository = Repository()
    for stream, age in (("dev", 60), ("prod", 20)):
        for number in range(1, 5):
            name = f"{stream}-{number}"
            repository.manifest(name, tags=[name], age=age - number)
    rules = (
        "{name: streams, repositories: ['**'], tags_matching: ['(?P<env>[a-z]+)-\\d+'], keep_newest: 2, "
        "keep_newest_per: env}"
    )
    plan = repository.plan(retention(rules))
    assert untagged(plan) == {"dev-1", "dev-2", "prod-1", "prod-2"}
    assert why(plan, "dev-1") == "not among the newest 2 of stream 'dev' of rule streams"
    assert why(plan, "prod-4") == "among the newest 2 of stream 'prod' of rule streams"


def test_h10_newest_can_mean_the_highest_version() -> None:
    repository = Repository()
    for tag, age in (("v1.10.0", 40), ("v1.9.0", 50), ("v1.2.0", 2), ("v1.10.0-rc.1", 3), ("edge", 60)):
        repository.manifest(tag, tags=[tag], age=age)
    rules = "{name: releases, repositories: ['**'], tags: ['*'], keep_newest: 1, order_by: semver}"
    plan = repository.plan(retention(rules))
    assert untagged(plan) == {"v1.9.0", "v1.2.0", "v1.10.0-rc.1"}
    assert why(plan, "v1.10.0") == "among the highest 1 versions of rule releases"
    assert why(plan, "edge") == "is no semantic version, by which rule releases orders"
    assert plan.warnings == (
        "rule releases orders by semantic version; not versions, so neither counted nor outside: edge",
    )


def test_h10_the_newest_by_update_is_the_default() -> None:
    repository = Repository()
    for tag, age in (("v1.10.0", 40), ("v1.9.0", 50), ("v1.2.0", 2)):
        repository.manifest(tag, tags=[tag], age=age)
    rules = "{name: releases, repositories: ['**'], tags: ['*'], keep_newest: 1}"
    assert untagged(repository.plan(retention(rules))) == {"v1.10.0", "v1.9.0"}


def test_a_policy_with_a_duration_that_is_none_names_the_line() -> None:
    text = (
        "version: 1\nretention:\n  rules:\n  - name: a\n    repositories: [a]\n    tags: [b]\n"
        "    older_than: d\n"
    )
    with pytest.raises(InvalidPolicy) as caught:
        parse_policy(text)
    assert str(caught.value) == (
        "policy: retention.rules[0].older_than (line 7): 'd' is not a duration: expected a whole number and "
        "a unit, as in 90m, 12h, 30d or 6w"
    )
