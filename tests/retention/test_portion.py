"""What a cap lets through is as safe as the whole plan, and what it leaves is not forgotten."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.oci.graph import reachable
from shared.oci.names import Digest, TagName
from shared.retention.bound import bound_tags
from shared.retention.caps import Caps, Postponement, within_run
from shared.retention.limits import Limit, Limits, check_run_limits
from shared.retention.plan import RepositoryPlan, plan_repository, plan_within_limits
from shared.retention.portion import postpone, take_portion
from shared.retention.rules import RetentionPolicy
from shared.retention.snapshot import RepositorySnapshot
from tests.retention.laws import after, kept_manifests, kept_tags, ordinary
from tests.retention.registry import Repository, deleted, digest, retention, untagged, why
from tests.retention.strategies import EXAMPLES, NOW, policies, snapshots

caps = st.sampled_from([1, 2, 3, 5, 8])
OLD = "{name: old, repositories: ['**'], tags: [pr-*], older_than: 14d}"


def portion(snapshot: RepositorySnapshot, policy: RetentionPolicy, most: int | None) -> RepositoryPlan:
    return take_portion(plan_repository(snapshot, policy, now=NOW), snapshot, most)


def removals(plan: RepositoryPlan) -> set[str]:
    return {*(entry.tag for entry in plan.untag), *(entry.digest for entry in plan.delete)}


@given(snapshots(), policies(), caps)
@EXAMPLES
def test_a_portion_is_a_part_of_the_plan_and_says_what_it_leaves(
    snapshot: RepositorySnapshot, policy: RetentionPolicy, most: int
) -> None:
    whole = plan_repository(snapshot, policy, now=NOW)
    part = take_portion(whole, snapshot, most)
    assert bool(removals(part)) == bool(removals(whole))
    assert set(part.untag) <= set(whole.untag)
    assert set(part.delete) <= set(whole.delete)
    left = removals(whole) - removals(part)
    said = {
        *(verdict.tag for verdict in part.tag_verdicts if "left for the next run" in str(verdict.reason)),
        *(entry.digest for entry in part.manifest_verdicts if "left for the next run" in str(entry.reason)),
    }
    assert said == left
    assert len(part.tag_verdicts) == len(whole.tag_verdicts)
    assert len(part.manifest_verdicts) == len(whole.manifest_verdicts)
    assert {verdict.tag for verdict in part.tag_verdicts if not verdict.keep} == {
        entry.tag for entry in part.untag
    }
    if part.postponed is not None:
        assert part.postponed.tags + part.postponed.manifests == len(left)
    else:
        assert part == whole


@given(snapshots(), policies(), caps)
@EXAMPLES
def test_nothing_that_a_portion_leaves_loses_what_it_needs(
    snapshot: RepositorySnapshot, policy: RetentionPolicy, most: int
) -> None:
    part = portion(snapshot, policy, most)
    gone = {entry.digest for entry in part.delete}
    for holder, pointing in snapshot.edges.items():
        if holder not in gone:
            assert not gone.intersection(pointing.children)
            assert pointing.subject not in gone
    subjects = bound_tags(snapshot.tags, {record.digest for record in snapshot.manifests})
    follow: dict[Digest, list[Digest]] = {}
    for tag in snapshot.tags:
        if tag.name in subjects:
            follow.setdefault(subjects[tag.name], []).append(tag.digest)
    held = reachable(
        [tag.digest for tag in ordinary(snapshot) if tag.name in kept_tags(part)],
        snapshot.edges,
        bound=follow,
    )
    assert not held.keys() & gone


@given(snapshots(), policies(), caps)
@EXAMPLES
def test_a_portion_takes_units_whole(
    snapshot: RepositorySnapshot, policy: RetentionPolicy, most: int
) -> None:
    """A manifest goes with its tags, with all that goes because of it, and never without what holds it."""
    whole = plan_repository(snapshot, policy, now=NOW)
    part = take_portion(whole, snapshot, most)
    gone, tags = {entry.digest for entry in part.delete}, {entry.tag for entry in part.untag}
    for deletion in whole.delete:
        for holder in deletion.held_by:
            assert (holder in gone) == (deletion.digest in gone)
    going = {entry.digest for entry in whole.delete}
    for entry in whole.untag:
        if entry.digest in going:
            assert (entry.tag in tags) == (entry.digest in gone)


@given(snapshots(), policies(), caps)
@EXAMPLES
def test_a_portion_keeps_to_its_cap_unless_one_unit_alone_is_more(
    snapshot: RepositorySnapshot, policy: RetentionPolicy, most: int
) -> None:
    part = portion(snapshot, policy, most)
    if len(removals(part)) > most:
        assert len(removals(take_portion(part, snapshot, 1))) == len(removals(part)), "more than one unit"


def settled(snapshot: RepositorySnapshot, policy: RetentionPolicy, most: int | None) -> RepositorySnapshot:
    """Carry out one run after the other, until a plan is empty."""
    for _ in range(len(snapshot.tags) + len(snapshot.manifests) + 1):
        part = portion(snapshot, policy, most)
        if part.is_empty:
            return snapshot
        snapshot = after(snapshot, part)
    raise AssertionError("there is no end of it")


def what(snapshot: RepositorySnapshot) -> tuple[set[TagName], set[Digest]]:
    return {tag.name for tag in snapshot.tags}, {record.digest for record in snapshot.manifests}


def looks_at_how_much_there_is(policy: RetentionPolicy, snapshot: RepositorySnapshot) -> bool:
    """Tell whether what goes depends on what else there is: then a first run may spare what a whole takes.

    So do ``only_if_more_than``, the newest N of a rule that does not keep them (``when: any``), and orphaned
    signatures, which go only where there is something else.
    """
    subjects = bound_tags(snapshot.tags, {record.digest for record in snapshot.manifests})
    return any(
        rule.only_if_more_than is not None or rule.when == "any" for rule in policy.tag_rules
    ) or not set(subjects.values()) <= {record.digest for record in snapshot.manifests}


@given(snapshots(), policies(untag_only=False), caps)
@EXAMPLES
def test_capped_runs_never_take_more_in_the_end_than_runs_without_a_cap(
    snapshot: RepositorySnapshot, policy: RetentionPolicy, most: int
) -> None:
    """Without ``untag_only``: a manifest that lost its tags alone is untagged to the runs that follow."""
    capped, whole = what(settled(snapshot, policy, most)), what(settled(snapshot, policy, None))
    assert whole[0] <= capped[0]
    assert whole[1] <= capped[1]
    if not looks_at_how_much_there_is(policy, snapshot):
        assert capped == whole


@given(snapshots(), policies(untag_only=False), caps)
@EXAMPLES
def test_what_is_left_is_planned_by_the_next_run(
    snapshot: RepositorySnapshot, policy: RetentionPolicy, most: int
) -> None:
    if looks_at_how_much_there_is(policy, snapshot):
        return
    whole = plan_repository(snapshot, policy, now=NOW)
    part = take_portion(whole, snapshot, most)
    following = plan_repository(after(snapshot, part), policy, now=NOW)
    assert removals(following) == removals(whole) - removals(part)


@given(snapshots(), policies())
@EXAMPLES
def test_a_repository_whose_turn_does_not_come_in_a_run_keeps_everything(
    snapshot: RepositorySnapshot, policy: RetentionPolicy
) -> None:
    whole = plan_repository(snapshot, policy, now=NOW)
    left = postpone(whole, 7)
    assert left.is_empty
    assert kept_tags(left) == {verdict.tag for verdict in whole.tag_verdicts}
    assert kept_manifests(left) == {verdict.digest for verdict in whole.manifest_verdicts}
    assert left.postponed == Postponement(
        cap="run", most=7, tags=len(whole.untag), manifests=len(whole.delete)
    )


def three_old_images() -> Repository:
    repository = Repository()
    for name, age in (("young", 20), ("oldest", 90), ("middle", 40)):
        repository.manifest(name, age=age, tags=[f"pr-{name}"])
    return repository


def test_the_longest_untouched_goes_first() -> None:
    repository = three_old_images()
    policy = replace(retention(OLD), at_most=Caps(repository=4))
    plan = plan_within_limits(repository.snapshot(), policy, now=NOW)
    assert untagged(plan) == {"pr-oldest", "pr-middle"}
    assert deleted(plan, ["young", "oldest", "middle"]) == {"oldest", "middle"}
    assert why(plan, "pr-young") == "left for the next run: the cap of 4 removals a repository"
    assert str(plan.postponed) == (
        "1 tags and 1 manifests are left for the next run; the cap of a repository is 4 removals"
    )
    assert (plan.counts["postponed_tags"], plan.counts["postponed_manifests"]) == (1, 1)


def test_an_image_that_is_more_than_the_cap_goes_all_the_same_and_alone() -> None:
    repository = three_old_images()
    repository.manifest("index", age=100, children=["amd", "arm"], tags=["pr-index"])
    repository.manifest("amd", age=100)
    repository.manifest("arm", age=100)
    plan = plan_within_limits(
        repository.snapshot(), replace(retention(OLD), at_most=Caps(repository=1)), now=NOW
    )
    assert untagged(plan) == {"pr-index"}
    assert deleted(plan, ["index", "amd", "arm"]) == {"index", "amd", "arm"}


def test_a_tag_whose_manifest_stays_is_a_unit_by_itself() -> None:
    repository = Repository()
    repository.manifest("app", age=90, tags=["pr-1", "pr-2", "v1"])
    plan = plan_within_limits(
        repository.snapshot(), replace(retention(OLD), at_most=Caps(repository=1)), now=NOW
    )
    assert (untagged(plan), plan.delete) == ({"pr-1"}, ())


def test_a_cap_is_no_way_around_a_brake() -> None:
    repository = three_old_images()
    policy = replace(retention(OLD), at_most=Caps(repository=1), limits=Limits(repository=Limit(deletions=2)))
    plan = plan_within_limits(repository.snapshot(), policy, now=NOW)
    assert plan.refused is not None
    assert plan.refused.removals == 3
    assert plan.postponed is None


def test_the_brake_of_a_run_counts_what_a_cap_postponed() -> None:
    policy = replace(retention(OLD), at_most=Caps(repository=2))
    plan = plan_within_limits(three_old_images().snapshot(), policy, now=NOW)
    assert len(plan.delete) == 1
    refusal = check_run_limits([plan.counts], Limit(deletions=2))
    assert refusal is not None
    assert refusal.removals == 3


def test_postponing_what_is_left_of_a_plan_counts_all_that_waits() -> None:
    policy = replace(retention(OLD), at_most=Caps(repository=2))
    plan = postpone(plan_within_limits(three_old_images().snapshot(), policy, now=NOW), 10)
    assert plan.postponed == Postponement(cap="run", most=10, tags=3, manifests=3)
    assert why(plan, digest("oldest")) == "left for the next run: the cap of 10 removals a run"


@pytest.mark.parametrize(
    ("most", "chosen"),
    [
        (None, {"big", "small", "other"}),
        (1, {"small"}),
        (5, {"small"}),
        (6, {"small", "other"}),
        (105, {"small", "other"}),
        (106, {"small", "other", "big"}),
    ],
)
def test_a_run_carries_out_the_shortest_plans_first_and_at_least_one(
    most: int | None, chosen: set[str]
) -> None:
    removals_of = {("r", "big"): 100, ("r", "small"): 2, ("r", "other"): 4}
    assert {name for _, name in within_run(removals_of, most)} == chosen


@given(
    st.dictionaries(st.tuples(st.sampled_from("ab"), st.sampled_from("cdefg")), st.integers(1, 20)),
    st.integers(1, 40),
)
def test_a_run_keeps_to_its_cap_unless_one_plan_alone_is_more(
    removals_of: dict[tuple[str, str], int], most: int
) -> None:
    chosen = within_run(removals_of, most)
    assert bool(chosen) == bool(removals_of)
    if len(chosen) > 1:
        assert sum(removals_of[place] for place in chosen) <= most
    assert all(
        removals_of[one] <= removals_of[other] for one in chosen for other in removals_of.keys() - chosen
    )
