"""The laws of a comparison, whatever the two sides and the ledger hold."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from shared.oci.manifest import digest_of
from shared.oci.names import (
    DOCKER_HUB,
    Digest,
    Reference,
    TagName,
    parse_login_server,
    parse_reference,
    parse_repository,
    parse_tag,
)
from shared.policy import parse_policy
from shared.replication.drift import Comparison, TargetListing
from shared.replication.replicas import Replica

REGISTRY = parse_login_server("demo.azurecr.io")
REPOSITORY = parse_repository("team/app")
REPLICA = parse_repository("acme/app")
PLACE = (DOCKER_HUB, REPLICA)
POLICY = parse_policy(
    "version: 1\nreplication:\n  routes:\n"
    "  - {name: hub, from: {repositories: [team/app], tags: ['v*']}, to: docker.io/acme/app,"
    " on_delete: mirror}\n"
).replication

tags = st.sampled_from([parse_tag(f"{letter}{number}") for letter in "vx" for number in range(4)])
digests = st.integers(0, 3).map(lambda number: digest_of(bytes([number])))
held = st.dictionaries(tags, digests)


def replica(source: str, digest: Digest) -> Replica:
    return Replica(
        source=parse_reference(source),
        route="hub",
        digest=digest,
        source_digest=digest,
        copied=datetime(2025, 1, 1, tzinfo=UTC),
    )


replicas = st.dictionaries(
    tags,
    st.builds(
        replica,
        st.sampled_from(["demo.azurecr.io/team/app:v1", "demo.azurecr.io/other/app:v1"]),
        digests,
    ),
)


def compared(source: dict[TagName, Digest]) -> Comparison:
    return Comparison(REGISTRY, REPOSITORY, source, POLICY)


def at(tag: TagName) -> Reference:
    return Reference(registry=DOCKER_HUB, repository=REPLICA, tag=tag)


@given(source=held, target=held, ledger=replicas)
def test_what_is_behind_is_exactly_what_is_routed_and_not_equal(
    source: dict[TagName, Digest], target: dict[TagName, Digest], ledger: dict[TagName, Replica]
) -> None:
    listings = {PLACE: TargetListing(tags=target, replicas=ledger)}
    comparison = compared(source)
    routed = {tag for tag in source if tag.startswith("v")}
    behind = list(comparison.behind(listings))
    assert {each.target for each in behind} == {at(tag) for tag in routed if target.get(tag) != source[tag]}
    assert all((each.state == "missing") == (each.target.tag not in target) for each in behind)
    assert [each.source.tag for each in behind if each.source] == sorted(
        each.source.tag for each in behind if each.source and each.source.tag
    )
    assert comparison.compared(listings) == len(routed)


@given(source=held, target=held, ledger=replicas)
def test_once_everything_behind_is_copied_nothing_is_behind(
    source: dict[TagName, Digest], target: dict[TagName, Digest], ledger: dict[TagName, Replica]
) -> None:
    comparison = compared(source)
    listings = {PLACE: TargetListing(tags=target, replicas=ledger)}
    copied = target | {
        each.target.tag: each.wanted
        for each in comparison.behind(listings)
        if each.target.tag is not None and each.wanted is not None
    }
    assert list(comparison.behind({PLACE: TargetListing(tags=copied, replicas=ledger)})) == []


@given(source=held, target=held, ledger=replicas)
def test_only_what_came_from_here_and_is_gone_here_is_orphaned(
    source: dict[TagName, Digest], target: dict[TagName, Digest], ledger: dict[TagName, Replica]
) -> None:
    listings = {PLACE: TargetListing(tags=target, replicas=ledger)}
    surplus = compared(source).surplus(listings)
    assert not {each.target for each in surplus} & {at(tag) for tag in source if tag.startswith("v")}
    for each in surplus:
        tag = TagName(each.target.tag or "")
        entry = ledger.get(tag)
        assert each.found == target[tag]
        assert (each.state == "foreign") == (entry is None)
        if each.state == "orphaned":
            assert entry is not None
            assert entry.source.repository == REPOSITORY
            assert entry.source.tag not in source
            assert each.found == each.wanted == entry.digest
            assert each.mirror


@given(source=held)
def test_what_was_not_listed_is_neither_behind_nor_counted(source: dict[TagName, Digest]) -> None:
    comparison = compared(source)
    assert list(comparison.behind({})) == []
    assert comparison.surplus({}) == []
    assert comparison.compared({}) == 0
