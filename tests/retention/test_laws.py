"""What is true of every plan, whatever the repository and the policy."""

from collections.abc import Iterable
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from shared.oci.graph import reachable
from shared.oci.names import Digest
from shared.retention.bound import bound_tags
from shared.retention.durations import parse_duration
from shared.retention.plan import ManifestVerdict, TagVerdict, plan_repository
from shared.retention.rules import KeepRule, Protection, RetentionPolicy, TagRule
from shared.retention.snapshot import RepositorySnapshot
from tests.retention.laws import after, kept_manifests, kept_tags, ordinary
from tests.retention.strategies import (
    EVERYWHERE,
    EXAMPLES,
    NOW,
    durations,
    newest,
    policies,
    snapshots,
    tag_rules,
    tag_selections,
)


@given(snapshots(), policies())
@EXAMPLES
def test_nothing_reachable_from_a_kept_tag_is_removed(
    snapshot: RepositorySnapshot, policy: RetentionPolicy
) -> None:
    plan = plan_repository(snapshot, policy, now=NOW)
    kept = kept_tags(plan)
    digests = {record.digest for record in snapshot.manifests}
    names = bound_tags(snapshot.tags, digests)
    follow: dict[Digest, list[Digest]] = {}
    for tag in snapshot.tags:
        if tag.name in names:
            follow.setdefault(names[tag.name], []).append(tag.digest)
    roots = [tag.digest for tag in ordinary(snapshot) if tag.name in kept]
    held = reachable(roots, snapshot.edges, bound=follow)
    assert not held.keys() & {entry.digest for entry in plan.delete}


@given(snapshots(), policies())
@EXAMPLES
def test_nothing_that_stays_loses_what_it_needs(
    snapshot: RepositorySnapshot, policy: RetentionPolicy
) -> None:
    """A manifest that stays keeps its children; and its subject, with which the registry would delete it."""
    plan = plan_repository(snapshot, policy, now=NOW)
    gone = {entry.digest for entry in plan.delete}
    for digest, pointing in snapshot.edges.items():
        if digest not in gone:
            assert not gone.intersection(pointing.children)
            assert pointing.subject not in gone


@given(snapshots(), policies())
@EXAMPLES
def test_every_tag_and_manifest_has_exactly_one_verdict(
    snapshot: RepositorySnapshot, policy: RetentionPolicy
) -> None:
    plan = plan_repository(snapshot, policy, now=NOW)
    assert [verdict.tag for verdict in plan.tag_verdicts] == sorted(tag.name for tag in snapshot.tags)
    assert [verdict.digest for verdict in plan.manifest_verdicts] == sorted(
        record.digest for record in snapshot.manifests
    )
    assert {entry.tag for entry in plan.untag} == {v.tag for v in plan.tag_verdicts if not v.keep}
    assert {entry.digest for entry in plan.delete} == {v.digest for v in plan.manifest_verdicts if not v.keep}
    assert len(plan.untag) == len({entry.tag for entry in plan.untag})
    assert len(plan.delete) == len({entry.digest for entry in plan.delete})
    verdicts: list[TagVerdict | ManifestVerdict] = [*plan.tag_verdicts, *plan.manifest_verdicts]
    for verdict in verdicts:
        assert str(verdict.reason)
        assert verdict.keep or verdict.rule in policy.rule_names


@given(snapshots(), policies())
@EXAMPLES
def test_a_manifest_goes_only_with_all_its_tags(
    snapshot: RepositorySnapshot, policy: RetentionPolicy
) -> None:
    plan = plan_repository(snapshot, policy, now=NOW)
    gone = {entry.digest for entry in plan.delete}
    untagged = {entry.tag for entry in plan.untag}
    assert all(tag.name in untagged for tag in snapshot.tags if tag.digest in gone)


@given(snapshots(), policies())
@EXAMPLES
def test_locked_and_young_things_are_never_touched(
    snapshot: RepositorySnapshot, policy: RetentionPolicy
) -> None:
    plan = plan_repository(snapshot, policy, now=NOW)
    gone = {entry.digest for entry in plan.delete}
    untagged = {entry.tag for entry in plan.untag}
    cutoff = NOW - policy.grace.delta
    locked_manifests = {record.digest for record in snapshot.manifests if record.locked}
    assert not gone & locked_manifests
    assert not gone & {record.digest for record in snapshot.manifests if record.updated >= cutoff}
    assert not untagged & {tag.name for tag in snapshot.tags if tag.locked}
    assert not untagged & {tag.name for tag in snapshot.tags if tag.digest in locked_manifests}
    assert not untagged & {tag.name for tag in ordinary(snapshot) if tag.updated >= cutoff}
    if snapshot.locked:
        assert plan.is_empty


@given(snapshots(), policies(), st.randoms(use_true_random=False))
@EXAMPLES
def test_the_order_of_records_and_rules_does_not_matter(
    snapshot: RepositorySnapshot, policy: RetentionPolicy, random: object
) -> None:
    def shuffled[T](items: Iterable[T]) -> list[T]:
        found = list(items)
        random.shuffle(found)  # type: ignore[attr-defined]
        return found

    plan = plan_repository(snapshot, policy, now=NOW)
    other = plan_repository(
        replace(
            snapshot,
            tags=shuffled(snapshot.tags),
            manifests=shuffled(snapshot.manifests),
            edges=dict(shuffled(snapshot.edges.items())),
        ),
        replace(
            policy,
            protections=tuple(shuffled(policy.protections)),
            keep_rules=tuple(shuffled(policy.keep_rules)),
            tag_rules=tuple(shuffled(policy.tag_rules)),
            untagged_rules=tuple(shuffled(policy.untagged_rules)),
        ),
        now=NOW,
    )
    assert replace(other, warnings=()) == replace(plan, warnings=())
    assert sorted(other.warnings) == sorted(plan.warnings)


@given(snapshots(), policies(untag_only=False))
@EXAMPLES
def test_planning_the_result_of_a_plan_gives_an_empty_plan(
    snapshot: RepositorySnapshot, policy: RetentionPolicy
) -> None:
    """At the same moment, without ``untag_only``: what that leaves untagged, an untagged rule may take."""
    plan = plan_repository(snapshot, policy, now=NOW)
    again = plan_repository(after(snapshot, plan), policy, now=NOW)
    assert again.is_empty


@given(snapshots(), policies())
@EXAMPLES
def test_with_untag_only_the_third_plan_is_empty(
    snapshot: RepositorySnapshot, policy: RetentionPolicy
) -> None:
    once = after(snapshot, plan_repository(snapshot, policy, now=NOW))
    second = plan_repository(once, policy, now=NOW)
    assert plan_repository(after(once, second), policy, now=NOW).is_empty


@given(snapshots(), policies(), tag_selections())
@EXAMPLES
def test_keep_beats_delete(snapshot: RepositorySnapshot, policy: RetentionPolicy, protected: object) -> None:
    protection = Protection(name="protection", repositories=EVERYWHERE, tags=protected)  # type: ignore[arg-type]
    plan = plan_repository(snapshot, replace(policy, protections=(protection,)), now=NOW)
    lost = {entry.tag for entry in plan.untag if entry.subject is None}
    bound = bound_tags(snapshot.tags, {record.digest for record in snapshot.manifests})
    assert not [tag for tag in lost if tag not in bound and protection.tags.match(tag) is not None]


def _older(rule: TagRule, draw: st.DrawFn) -> TagRule:
    return (
        rule if rule.older_than is None else replace(rule, older_than=max(rule.older_than, draw(durations())))
    )


def _more(rule: TagRule) -> TagRule:
    return (
        rule
        if rule.newest is None
        else replace(rule, newest=replace(rule.newest, count=rule.newest.count + 1))
    )


@st.composite
def stricter(draw: st.DrawFn, policy: RetentionPolicy) -> RetentionPolicy:
    """Return the policy with one thing changed that lets less go."""
    protection = Protection(name="added", repositories=EVERYWHERE, tags=draw(tag_selections()))
    keep = KeepRule(name="added", repositories=EVERYWHERE, tags=draw(tag_selections()), newest=draw(newest()))
    rules = policy.tag_rules
    changes: list[dict[str, object]] = [
        {"protections": (*policy.protections, protection)},
        {"keep_rules": (*policy.keep_rules, keep)},
        {"grace": parse_duration("8d")},
        {"tag_rules": tuple(_older(rule, draw) for rule in rules)},
        {"tag_rules": tuple(_more(rule) for rule in rules)},
        {
            "tag_rules": tuple(
                replace(rule, only_if_more_than=(rule.only_if_more_than or 0) + 2) for rule in rules
            )
        },
        {"tag_rules": tuple(replace(rule, untag_only=True) for rule in rules)},
        {"untagged_rules": policy.untagged_rules[1:]},
    ]
    return replace(policy, **draw(st.sampled_from(changes)))  # type: ignore[arg-type]


@given(st.data(), snapshots(), policies())
@EXAMPLES
def test_what_a_policy_keeps_a_stricter_one_keeps_too(
    data: st.DataObject, snapshot: RepositorySnapshot, policy: RetentionPolicy
) -> None:
    less = plan_repository(snapshot, policy, now=NOW)
    more = plan_repository(snapshot, data.draw(stricter(policy)), now=NOW)
    assert kept_tags(less) <= kept_tags(more)
    assert kept_manifests(less) <= kept_manifests(more)


@given(snapshots(), policies())
@EXAMPLES
def test_a_push_removes_nothing_that_the_night_would_not(
    snapshot: RepositorySnapshot, policy: RetentionPolicy
) -> None:
    night = plan_repository(snapshot, policy, now=NOW)
    push = plan_repository(snapshot, policy.on_push(), now=NOW)
    assert kept_tags(night) <= kept_tags(push)
    assert kept_manifests(night) <= kept_manifests(push)


@given(snapshots(), policies())
@EXAMPLES
def test_what_holds_a_manifest_is_deleted_before_it(
    snapshot: RepositorySnapshot, policy: RetentionPolicy
) -> None:
    plan = plan_repository(snapshot, policy, now=NOW)
    position = {entry.digest: at for at, entry in enumerate(plan.delete)}
    for entry in plan.delete:
        assert all(position[holder] < position[entry.digest] for holder in entry.held_by)
        for child in snapshot.edges.get(entry.digest, ((), None))[0]:
            assert child not in position or position[entry.digest] < position[child]


@given(snapshots(), policies(), st.data())
@EXAMPLES
def test_one_unreadable_manifest_closes_the_repository(
    snapshot: RepositorySnapshot, policy: RetentionPolicy, data: st.DataObject
) -> None:
    if not snapshot.manifests:
        return
    victim = data.draw(st.sampled_from([record.digest for record in snapshot.manifests]))
    plan = plan_repository(replace(snapshot, unreadable={victim: "500"}), policy, now=NOW)
    assert plan.is_empty


@given(snapshots(), tag_rules("only"))
@EXAMPLES
def test_without_an_untagged_rule_only_tags_decide(snapshot: RepositorySnapshot, rule: object) -> None:
    policy = RetentionPolicy(tag_rules=(rule,))  # type: ignore[arg-type]
    plan = plan_repository(snapshot, policy, now=NOW)
    lost = {entry.digest for entry in plan.untag}
    reached = reachable(lost, snapshot.edges, bound=_followers(snapshot))
    assert {entry.digest for entry in plan.delete} <= reached.keys()


def _followers(snapshot: RepositorySnapshot) -> dict[Digest, list[Digest]]:
    subjects = bound_tags(snapshot.tags, {record.digest for record in snapshot.manifests})
    found: dict[Digest, list[Digest]] = {}
    for tag in snapshot.tags:
        if tag.name in subjects:
            found.setdefault(subjects[tag.name], []).append(tag.digest)
    return found
