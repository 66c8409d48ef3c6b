"""Docker Hub's times alone never remove what the times at the sources keep."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from cli.doubts import in_doubt
from shared.oci import media_types
from shared.oci.names import DOCKER_HUB, Digest, RepositoryName, TagName
from shared.retention.durations import parse_duration
from shared.retention.plan import plan_repository
from shared.retention.rules import KeepRule, Newest, RetentionPolicy, TagRule
from shared.retention.snapshot import ManifestRecord, RepositorySnapshot, TagRecord
from shared.selection import TagSelection, parse_glob
from tests.retention.strategies import EVERYWHERE, EXAMPLES, NOW

LONG_AGO = NOW - timedelta(days=90)
SOME = TagSelection(globs=(parse_glob("v*", "tag"),))
ALL = TagSelection(globs=(parse_glob("*", "tag"),))
ORDERS: list[Newest | None] = [
    None,
    Newest(count=1),
    Newest(count=2, order_by="created"),
    Newest(count=2, order_by="semver"),
]


@st.composite
def replicas(draw: st.DrawFn) -> tuple[RepositorySnapshot, RepositorySnapshot]:
    """A repository with the times of its sources, and as Docker Hub dates it: by later replications."""
    true, dated, manifests = [], [], []
    for number in range(draw(st.integers(2, 5))):
        digest = Digest(f"sha256:{number:064x}")
        name = TagName(draw(st.sampled_from([f"v1.{number}", f"pr-{number}"])))
        updated = NOW - timedelta(days=draw(st.sampled_from([60, 40, 20, 10])))
        created = updated - timedelta(days=draw(st.sampled_from([0, 25])))
        pushed = min(NOW, updated + timedelta(days=draw(st.sampled_from([0, 1, 15, 45]))))
        true.append(TagRecord(name, digest, created, updated))
        dated.append(TagRecord(name, digest, pushed, pushed))
        manifests.append(ManifestRecord(digest, media_types.OCI_MANIFEST, LONG_AGO, LONG_AGO))
    snapshot = RepositorySnapshot(
        registry=DOCKER_HUB,
        repository=RepositoryName("acme/app"),
        taken_at=NOW,
        tags=true,
        manifests=manifests,
    )
    return snapshot, replace(snapshot, tags=dated)


@st.composite
def policies(draw: st.DrawFn) -> RetentionPolicy:
    """One or two rules that remove, and perhaps one that keeps, by age and by every order."""
    rules = []
    for name in draw(st.sampled_from([["one", "two"], ["one", "two"], ["one"]])):
        newest = draw(st.sampled_from(ORDERS))
        older_than = draw(st.sampled_from(["30d", "14d"] if newest is None else [None, "30d", "14d"]))
        rules.append(
            TagRule(
                name=name,
                repositories=EVERYWHERE,
                tags=draw(st.sampled_from([ALL, ALL, SOME])),
                older_than=None if older_than is None else parse_duration(older_than),
                age_by=draw(st.sampled_from(["updated", "created"])),
                newest=newest,
                when=draw(st.sampled_from(["all", "all", "any"])) if newest and older_than else "all",
                only_if_more_than=draw(st.sampled_from([None, None, 3])),
            )
        )
    keeping = draw(st.sampled_from([None, None, None, *ORDERS[1:]]))
    keep = KeepRule(name="keep", repositories=EVERYWHERE, tags=SOME, newest=keeping)
    return RetentionPolicy(
        grace=parse_duration("0h", zero=True),
        keep_rules=() if keeping is None else (keep,),
        tag_rules=tuple(rules),
    )


@EXAMPLES
@given(replicas(), policies())
def test_in_doubt_nothing_goes_that_true_times_keep(
    seen: tuple[RepositorySnapshot, RepositorySnapshot], policy: RetentionPolicy
) -> None:
    true, dated = seen
    careful, _ = in_doubt(policy)
    certain = plan_repository(true, policy, now=NOW)
    cautious = plan_repository(dated, careful, now=NOW)
    assert {untag.tag for untag in cautious.untag} <= {untag.tag for untag in certain.untag}
    assert {each.digest for each in cautious.delete} <= {each.digest for each in certain.delete}


@given(replicas(), policies())
def test_what_no_order_by_time_is_asked_about_goes_by_its_age(
    seen: tuple[RepositorySnapshot, RepositorySnapshot], policy: RetentionPolicy
) -> None:
    rules: tuple[KeepRule | TagRule, ...] = (*policy.keep_rules, *policy.tag_rules)
    timeless = all(rule.newest is None or rule.newest.order_by == "semver" for rule in rules)
    careful, doubts = in_doubt(policy)
    assert (careful == policy) is timeless
    assert len(doubts) == sum(rule.newest is not None and rule.newest.order_by != "semver" for rule in rules)
    _, dated = seen
    if timeless:
        assert plan_repository(dated, careful, now=NOW) == plan_repository(dated, policy, now=NOW)
