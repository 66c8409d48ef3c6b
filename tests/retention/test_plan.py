from dataclasses import replace

import pytest

from shared.oci import media_types
from shared.retention.plan import check_limits, plan_repository, rules_without_match
from tests.retention.registry import (
    NOW,
    Repository,
    cosign_tag,
    deleted,
    digest,
    retention,
    untagged,
    why,
)

PRS = "{name: prs, repositories: ['**'], tags: [pr-*], older_than: 14d}"
STALE = "{name: stale, repositories: ['**'], untagged: true, older_than: 7d}"
NEWEST = "{name: prs, repositories: ['**'], tags: [pr-*], older_than: 14d, keep_newest: 2}"


def images(count: int, *, step: float = 10, prefix: str = "pr-") -> Repository:
    """Return a repository of tags of rising age, the first of them pushed just now."""
    repository = Repository()
    for number in range(count):
        repository.manifest(f"{prefix}{number}", tags=[f"{prefix}{number}"], age=number * step)
    return repository


def test_a_tag_goes_when_it_is_old_and_its_reason_says_how_old() -> None:
    plan = images(3).plan(retention(PRS))
    assert untagged(plan) == {"pr-2"}
    assert deleted(plan, ["pr-2"]) == {"pr-2"}
    assert str(plan.untag[0].reason) == "older than 14d: last updated 2026-11-03, 20 days ago"
    assert str(plan.delete[0].reason) == "nothing kept holds it, and its last tag goes: pr-2"
    assert why(plan, "pr-1") == "not older than 14d (rule prs): last updated 2026-11-13, 10 days ago"


def test_a_tag_exactly_as_old_as_the_rule_says_stays() -> None:
    repository = Repository()
    repository.manifest("image", tags=["pr-1"], age=14)
    assert repository.plan(retention(PRS)).is_empty


def test_both_conditions_must_hold_and_both_are_said() -> None:
    plan = images(5).plan(retention(NEWEST))
    assert untagged(plan) == {"pr-2", "pr-3", "pr-4"}
    assert why(plan, "pr-4") == (
        "older than 14d: last updated 2026-10-14, 40 days ago; not among the newest 2 of rule prs"
    )


def test_young_and_locked_tags_count_among_the_newest() -> None:
    repository = images(4, step=20)
    repository.tags[1] = repository.tags[1]._replace(locked=True)
    assert untagged(repository.plan(retention(NEWEST))) == {"pr-2", "pr-3"}


def test_with_when_any_one_condition_is_enough() -> None:
    rules = "{name: prs, repositories: ['**'], tags: [pr-*], older_than: 14d, keep_newest: 1, when: any}"
    plan = images(3).plan(retention(rules))
    assert untagged(plan) == {"pr-1", "pr-2"}
    assert why(plan, "pr-1") == "not among the newest 1 of rule prs"


def test_with_when_any_the_newest_are_not_kept_from_their_age() -> None:
    repository = Repository()
    repository.manifest("image", tags=["pr-1"], age=20)
    rules = "{name: prs, repositories: ['**'], tags: [pr-*], older_than: 14d, keep_newest: 1, when: any}"
    assert untagged(repository.plan(retention(rules))) == {"pr-1"}


def test_the_newest_of_one_rule_are_kept_from_every_other() -> None:
    plan = images(4).plan(
        retention(NEWEST + "\n{name: all, repositories: ['**'], tags: ['*'], older_than: 1d}")
    )
    assert untagged(plan) == {"pr-2", "pr-3"}
    assert why(plan, "pr-1") == "among the newest 2 of rule prs"


def test_a_protected_tag_stays() -> None:
    plan = images(3).plan(retention(PRS, protect="['pr-2', v*]"))
    assert plan.is_empty
    assert why(plan, "pr-2") == "protected by pr-2, v*"


def test_a_keep_rule_keeps_its_newest_only() -> None:
    rules = PRS + "\n{name: some, repositories: ['**'], tags: [pr-*], keep: true, keep_newest: 3}"
    plan = images(5).plan(retention(rules))
    assert untagged(plan) == {"pr-3", "pr-4"}
    assert why(plan, "pr-2") == "among the newest 3 of rule some"


def test_a_keep_rule_without_a_number_keeps_all_that_match() -> None:
    rules = PRS + "\n{name: some, repositories: ['**'], tags: [pr-4], keep: true}"
    plan = images(5).plan(retention(rules))
    assert untagged(plan) == {"pr-2", "pr-3"}
    assert why(plan, "pr-4") == "kept by rule some"


def test_age_can_be_that_of_the_first_push() -> None:
    repository = Repository()
    repository.manifest("image", age=40)
    repository.tag("pr-1", "image", age=3, created=40)
    created = "{name: prs, repositories: ['**'], tags: [pr-*], older_than: 14d, age_by: created}"
    assert repository.plan(retention(PRS)).is_empty
    plan = repository.plan(retention(created))
    assert str(plan.untag[0].reason) == "older than 14d: created 2026-10-14, 40 days ago"


def test_newest_can_mean_first_pushed_last() -> None:
    repository = Repository()
    repository.manifest("image", age=40)
    repository.tag("pr-1", "image", age=20, created=40)
    repository.tag("pr-2", "image", age=30, created=35)
    rules = "{name: prs, repositories: ['**'], tags: ['*'], keep_newest: 1, order_by: %s}"
    assert untagged(repository.plan(retention(rules % "updated"))) == {"pr-2"}
    assert untagged(repository.plan(retention(rules % "created"))) == {"pr-1"}


def test_a_rule_can_wait_until_there_are_many_tags() -> None:
    rules = "{name: prs, repositories: ['**'], tags: [pr-*], older_than: 14d, only_if_more_than: %d}"
    repository = images(4)
    assert untagged(repository.plan(retention(rules % 3))) == {"pr-2", "pr-3"}
    plan = repository.plan(retention(rules % 4))
    assert plan.is_empty
    assert why(plan, "pr-3") == "the repository has 4 tags; rule prs acts on more than 4"


def test_excluded_tags_are_not_seen_by_the_rule() -> None:
    rules = "{name: all, repositories: ['**'], tags: ['*'], exclude_tags: [pr-3], keep_newest: 1}"
    plan = images(4).plan(retention(rules))
    assert untagged(plan) == {"pr-1", "pr-2"}
    assert why(plan, "pr-3") == "no rule selects it"


def test_a_tag_moved_within_the_grace_period_stays() -> None:
    repository = Repository()
    repository.manifest("image", age=40)
    repository.tag("pr-1", "image", age=0.5, created=40)
    repository.tag("pr-2", "image", age=0.4, created=40)
    plan = repository.plan(retention("{name: prs, repositories: ['**'], tags: ['*'], keep_newest: 1}"))
    assert plan.is_empty
    assert why(plan, "pr-1") == "the tag is younger than the grace period of 24h"


def test_children_of_a_push_in_flight_stay() -> None:
    repository = Repository()
    repository.manifest("amd", age=0.01)
    repository.manifest("arm", age=0.01)
    plan = repository.plan(retention("{name: stale, repositories: ['**'], untagged: true, older_than: 1m}"))
    assert plan.is_empty
    assert why(plan, "arm") == "the manifest is younger than the grace period of 24h"


def test_an_index_goes_with_the_children_and_referrers_that_only_it_held() -> None:
    repository = Repository()
    repository.manifest("index", children=["amd", "shared"], tags=["pr-1"])
    repository.manifest("other", children=["shared"], tags=["v1"])
    repository.manifest("amd")
    repository.manifest("shared")
    repository.manifest("signature", subject="amd")
    repository.manifest("countersignature", subject="signature")
    names = ["index", "amd", "signature", "countersignature"]
    plan = repository.plan(retention(PRS))
    assert deleted(plan, names) == set(names)
    assert [entry.digest for entry in plan.delete] == [digest(name) for name in names]
    assert why(plan, "amd") == f"held only by {digest('index')}, which goes"
    assert {entry.rule for entry in plan.delete} == {"prs"}
    assert plan.delete[1].held_by == (digest("index"),)


def test_a_young_child_stays_when_its_index_goes() -> None:
    repository = Repository()
    repository.manifest("index", children=["amd"], tags=["pr-1"])
    repository.manifest("amd", age=0.2)
    assert deleted(repository.plan(retention(PRS)), ["index"]) == {"index"}


def test_a_young_signature_keeps_its_image_because_the_registry_would_delete_both() -> None:
    repository = Repository()
    repository.manifest("image", tags=["pr-1"])
    repository.manifest("signature", subject="image", age=0.2)
    plan = repository.plan(retention(PRS))
    assert untagged(plan) == {"pr-1"}
    assert deleted(plan, []) == set()
    assert why(plan, "image") == (
        f"subject of {digest('signature')}, which stays and would be deleted with it"
    )


def test_one_kept_tag_keeps_the_manifest_of_a_thousand_stale_ones() -> None:
    repository = Repository()
    repository.manifest("image", tags=["v1", *(f"pr-{number}" for number in range(50))])
    plan = repository.plan(retention(PRS))
    assert len(plan.untag) == 50
    assert plan.delete == ()
    assert why(plan, "image") == "tagged v1"


def test_untag_only_leaves_the_manifest_and_what_it_holds() -> None:
    repository = Repository()
    repository.manifest("index", children=["amd"], tags=["pr-1"])
    repository.manifest("amd")
    rules = "{name: prs, repositories: ['**'], tags: ['*'], older_than: 1d, untag_only: true}"
    plan = repository.plan(retention(rules + "\n" + STALE))
    assert untagged(plan) == {"pr-1"}
    assert plan.delete == ()
    assert why(plan, "index") == "rule prs removes tags only"


def test_an_untagged_manifest_stays_without_a_rule_for_it() -> None:
    repository = Repository()
    repository.manifest("index", children=["amd"])
    repository.manifest("amd", tags=["pr-1"])
    plan = repository.plan(retention(PRS))
    assert untagged(plan) == {"pr-1"}
    assert plan.delete == ()
    assert why(plan, "index") == "untagged, and no rule for untagged manifests names this repository"
    assert why(plan, "amd") == f"listed by index {digest('index')}, which stays"


def test_an_untagged_manifest_goes_by_the_later_of_its_times() -> None:
    repository = Repository()
    key = repository.manifest("image", age=40)
    record = repository.manifests[key]
    assert deleted(repository.plan(retention(STALE)), ["image"]) == {"image"}
    repository.manifests[key] = record._replace(updated=NOW.replace(day=20))
    plan = repository.plan(retention(STALE))
    assert plan.is_empty
    assert why(plan, "image") == (
        "untagged, but not older than 7d (rule stale): last updated 2026-11-20, 3 days ago"
    )


def test_of_several_rules_for_untagged_manifests_the_shortest_decides() -> None:
    repository = Repository()
    repository.manifest("image", age=10)
    rules = "{name: long, repositories: ['**'], untagged: true, older_than: 30d}\n" + STALE
    plan = repository.plan(retention(rules))
    assert [entry.rule for entry in plan.delete] == ["stale"]


def test_a_locked_repository_is_left_alone() -> None:
    repository = images(3)
    repository.locked = True
    plan = repository.plan(retention(PRS))
    assert plan.is_empty
    assert why(plan, "pr-2") == "the repository is locked"


def test_a_locked_tag_and_its_manifest_stay() -> None:
    repository = Repository()
    repository.manifest("image")
    repository.tag("pr-1", "image", locked=True)
    plan = repository.plan(retention(PRS + "\n" + STALE))
    assert plan.is_empty
    assert why(plan, "pr-1") == "the tag is locked"


def test_the_tags_of_a_locked_manifest_stay() -> None:
    repository = Repository()
    repository.manifest("image", tags=["pr-1"], locked=True)
    plan = repository.plan(retention(PRS))
    assert plan.is_empty
    assert why(plan, "pr-1") == "the manifest is locked"


def test_a_repository_that_no_rule_names_is_kept_whole() -> None:
    plan = images(3).plan(retention("{name: prs, repositories: [x/**], tags: ['*'], older_than: 1d}"))
    assert plan.is_empty
    assert why(plan, "pr-2") == "no rule names this repository"


def test_an_excluded_repository_is_not_named() -> None:
    rules = "{name: a, repositories: ['**'], exclude_repositories: [team/*], tags: ['*'], older_than: 1d}"
    assert images(3).plan(retention(rules)).is_empty


def test_a_rule_for_another_registry_does_not_count() -> None:
    rules = "{name: a, registries: ['%s'], repositories: ['**'], tags: ['*'], older_than: 15d}"
    assert images(3).plan(retention(rules % "other.azurecr.io")).is_empty
    assert untagged(images(3).plan(retention(rules % "*.azurecr.io"))) == {"pr-2"}


@pytest.mark.parametrize("media_type", [None, "application/vnd.example.future.v9+json"])
def test_an_unknown_media_type_that_was_not_read_closes_the_repository(media_type: str | None) -> None:
    repository = images(3)
    repository.manifest("future", media_type=media_type)
    plan = repository.plan(retention(PRS))
    assert plan.is_empty
    assert plan.closed
    assert why(plan, "pr-2") == (
        f"the repository is closed for this run: {digest('future')} is of media type {media_type}, "
        "and what it points at was not read"
    )
    assert plan.warnings == (f"nothing is removed: {why(plan, 'pr-2').partition(': ')[2]}",)


def test_an_index_that_was_not_read_closes_the_repository() -> None:
    repository = images(3)
    repository.manifest("index", media_type=media_types.DOCKER_INDEX)
    assert repository.plan(retention(PRS)).closed


def test_an_unreadable_manifest_closes_the_repository_and_is_named() -> None:
    repository = images(3)
    repository.unreadable[digest("pr-1")] = "500 Internal Server Error"
    plan = repository.plan(retention(PRS))
    assert plan.is_empty
    assert why(plan, "pr-2").endswith(f"{digest('pr-1')} could not be read (500 Internal Server Error)")
    assert why(plan, "pr-0") == "not older than 14d (rule prs): last updated 2026-11-23, 0 minutes ago"


def test_a_tag_whose_manifest_was_not_listed_closes_the_repository() -> None:
    repository = images(3)
    repository.tag("ghost", "ghost")
    plan = repository.plan(retention(PRS))
    assert plan.is_empty
    assert f"tag ghost points at {digest('ghost')}, which was not listed" in plan.warnings[0]


def test_a_tag_that_names_its_own_manifest_is_a_tag_like_any_other() -> None:
    repository = Repository()
    repository.manifest("image")
    repository.tag(cosign_tag("image", ""), "image")
    assert repository.plan(retention(STALE)).is_empty


def test_the_referrers_fallback_tag_follows_its_subject() -> None:
    repository = Repository()
    repository.manifest("image", tags=["pr-1"])
    repository.manifest("referrers", children=["sbom"])
    repository.tag(cosign_tag("image", ""), "referrers")
    repository.manifest("sbom", subject="image")
    rules = retention(PRS.replace("pr-*", "v*") + "\n" + STALE)
    assert repository.plan(rules).is_empty
    names = ["image", "referrers", "sbom"]
    plan = repository.plan(retention(PRS))
    assert deleted(plan, names) == set(names)


def test_signatures_of_images_in_another_repository_stay() -> None:
    """Cosign keeps them apart when COSIGN_REPOSITORY says so."""
    repository = Repository()
    repository.manifest("signature")
    repository.tag(cosign_tag("elsewhere"), "signature")
    plan = repository.plan(retention(STALE))
    assert plan.is_empty
    assert why(plan, "signature") == (
        f"belongs to {digest('elsewhere')}, which may be in another repository: "
        "this one holds nothing but signatures"
    )


def test_a_signature_whose_image_is_gone_goes_from_a_repository_of_images() -> None:
    repository = Repository()
    repository.manifest("image", tags=["v1"])
    repository.manifest("signature", age=3)
    repository.tag(cosign_tag("gone"), "signature", age=3)
    plan = repository.plan(retention(STALE))
    assert deleted(plan, ["signature"]) == {"signature"}
    assert [(entry.tag, entry.subject) for entry in plan.untag] == [(cosign_tag("gone"), None)]


def test_only_rules_marked_for_it_remove_on_a_push_and_all_keep() -> None:
    rules = retention(
        """{name: prs, repositories: ['**'], tags: [pr-*], older_than: 1d, on_push: true}
        {name: newest, repositories: ['**'], tags: ['*'], older_than: 1d, keep_newest: 2}
        {name: stale, repositories: ['**'], untagged: true, older_than: 1d}"""
    )
    repository = images(4)
    repository.manifest("main", tags=["main"])
    repository.manifest("orphan")
    assert untagged(repository.plan(rules)) == {"pr-2", "pr-3", "main"}
    plan = repository.plan(rules.on_push())
    assert untagged(plan) == {"pr-2", "pr-3"}
    assert why(plan, "pr-1") == "among the newest 2 of rule newest"


def test_rules_that_found_nothing_are_named() -> None:
    policy = retention(PRS + "\n{name: typo, repositories: ['**'], tags: [pr.*], older_than: 1d}\n" + STALE)
    plan = images(3).plan(policy)
    assert plan.rules_matched == ("prs",)
    assert rules_without_match(policy, [plan]) == ("stale", "typo")


def test_a_plan_beyond_its_limits_is_refused_whole() -> None:
    policy = retention(PRS)
    plan = images(700, step=1).plan(policy)
    refused = check_limits(plan, policy.limits)
    assert refused.untag == plan.untag
    assert str(refused.refused) == (
        "would remove 685 of 700 manifests (97.9 %); the limit of a repository is 500 and 50 %"
    )
    assert refused.counts["refused"] == 1


def test_a_plan_within_its_limits_is_not_changed() -> None:
    policy = retention(PRS)
    plan = images(20).plan(policy)
    assert check_limits(plan, policy.limits) is plan


def test_a_locked_signature_tag_keeps_its_manifest_when_the_image_goes() -> None:
    repository = Repository()
    repository.manifest("image", tags=["pr-1"])
    repository.manifest("signature")
    repository.tag(cosign_tag("image"), "signature", locked=True)
    plan = repository.plan(retention(PRS))
    assert deleted(plan, ["image"]) == {"image"}
    assert why(plan, cosign_tag("image")) == "the tag is locked"


def test_a_signature_tag_that_was_moved_lately_keeps_its_manifest() -> None:
    repository = Repository()
    repository.manifest("image", tags=["pr-1"])
    repository.manifest("signature")
    repository.tag(cosign_tag("image"), "signature", age=0.5)
    assert deleted(repository.plan(retention(PRS)), ["image"]) == {"image"}


def test_an_old_tag_on_a_manifest_that_was_changed_lately_stays() -> None:
    repository = Repository()
    repository.manifest("image", age=0.5)
    repository.tag("pr-1", "image", age=40)
    plan = repository.plan(retention(PRS))
    assert plan.is_empty
    assert why(plan, "pr-1") == "the manifest is younger than the grace period of 24h"


def test_a_signature_waits_for_its_image() -> None:
    repository = Repository()
    repository.manifest("image", tags=["pr-1"])
    repository.manifest("signature")
    repository.tag(cosign_tag("image"), "signature")
    plan = repository.plan(retention(PRS))
    assert [(entry.digest, entry.held_by) for entry in plan.delete] == [
        (digest("image"), ()),
        (digest("signature"), (digest("image"),)),
    ]


@pytest.mark.parametrize("locked_first", [True, False])
def test_a_tag_that_paging_returned_twice_is_locked_if_either_is(locked_first: bool) -> None:  # noqa: FBT001
    repository = images(3)
    free = repository.tags.pop()
    locked = free._replace(locked=True, updated=free.updated.replace(hour=1))
    repository.tags += [locked, free] if locked_first else [free, locked]
    assert repository.plan(retention(PRS)).is_empty
    manifest = repository.manifests[free.digest]
    twice = [manifest, manifest._replace(locked=True)]
    snapshot = repository.snapshot()
    snapshot = replace(
        snapshot,
        tags=[*repository.tags[:2], free],
        manifests=[*snapshot.manifests[:2], *(twice if locked_first else reversed(twice))],
    )
    plan = plan_repository(snapshot, retention(PRS), now=NOW)
    assert len(plan.manifest_verdicts) == 3
    assert plan.is_empty
