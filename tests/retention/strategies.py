"""Generated repositories and policies: small enough to collide often, odd enough to break assumptions."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st

from shared.oci import media_types
from shared.oci.graph import Edges
from shared.oci.names import Digest, LoginServer, RepositoryName, TagName
from shared.policy.expressions import parse_expression
from shared.retention.durations import Duration, parse_duration
from shared.retention.rules import (
    KeepRule,
    Newest,
    Protection,
    RetentionPolicy,
    TagRule,
    UntaggedRule,
)
from shared.retention.snapshot import ManifestRecord, RepositorySnapshot, TagRecord
from shared.selection import RepositorySelection, TagSelection, parse_glob

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
EXAMPLES = settings(max_examples=max(200, settings().max_examples), deadline=None)
"""Of every law; a profile may ask for more."""

EVERYWHERE = RepositorySelection(repositories=(parse_glob("**", "repository"),))
ELSEWHERE = RepositorySelection(repositories=(parse_glob("other/**", "repository"),))

_TAGS = ("pr-1", "pr-2", "pr-3", "main-1", "main-2", "latest", "v1.0.0", "v1.0.0-rc.1", "v1.2.0", "v1.10.0")
_GLOBS = ("*", "pr-*", "v*", "latest", "main-?", "v1.0.[0-9]*")
_AGES = ("6h", "24h", "7d", "14d", "30d")


def _digest(number: int) -> Digest:
    return Digest(f"sha256:{number:064x}")


_MISSING = _digest(999)


_HOURS = (90 * 24, 60 * 24, 40 * 24, 30 * 24, 20 * 24, 14 * 24, 8 * 24, 7 * 24, 25, 24, 6, 0)
_LIVES = [
    (NOW - timedelta(hours=created), NOW - timedelta(hours=updated), turn == 0)
    for created in _HOURS
    for updated in _HOURS
    if updated <= created
    for turn in range(8, -1, -1)
]
"""Times around the durations that the policies use, the exact moment among them; one in ten is locked."""


def lives() -> st.SearchStrategy[tuple[datetime, datetime, bool]]:
    """When something was created and updated, and whether it is locked."""
    return st.sampled_from(_LIVES)


@st.composite
def edges_between(draw: st.DrawFn, number: int) -> Edges | None:
    """Point only at what has a lower number: real digests cannot make a circle either."""
    targets: Sequence[Digest] = [_digest(lower) for lower in range(number)]
    if not targets or draw(st.booleans()):
        return None
    some = st.lists(st.sampled_from([*targets, _MISSING]), max_size=3, unique=True)
    children = tuple(draw(some)) if draw(st.booleans()) else ()
    subject = draw(st.sampled_from([*targets, _MISSING])) if draw(st.booleans()) else None
    return Edges(children, subject)


@st.composite
def snapshots(draw: st.DrawFn) -> RepositorySnapshot:
    """A repository that could be read: nested indexes, referrers, shared children, locks, bound tags."""
    count = draw(st.sampled_from([6, 3, 9, 12, 1, 0]))
    manifests: list[ManifestRecord] = []
    edges: dict[Digest, Edges] = {}
    for number in range(count):
        pointing = draw(edges_between(number))
        media_type = media_types.OCI_INDEX if pointing and pointing.children else media_types.OCI_MANIFEST
        if pointing is not None:
            edges[_digest(number)] = pointing
        created, updated, locked = draw(lives())
        manifests.append(ManifestRecord(_digest(number), media_type, created, updated, 1000 + number, locked))
    return RepositorySnapshot(
        registry=LoginServer("demo.azurecr.io"),
        repository=RepositoryName("team/app"),
        taken_at=NOW,
        tags=draw(_tags([record.digest for record in manifests])),
        manifests=manifests,
        edges=edges,
        locked=draw(st.sampled_from([False] * 24 + [True])),
    )


@st.composite
def _tags(draw: st.DrawFn, digests: Sequence[Digest]) -> list[TagRecord]:
    if not digests:
        return []
    bound = [f"{subject.replace(':', '-')}{end}" for subject in [*digests, _MISSING] for end in ("", ".sig")]
    names = draw(
        st.lists(
            st.one_of(st.sampled_from(_TAGS), st.sampled_from(bound)), min_size=2, max_size=12, unique=True
        )
    )
    found: list[TagRecord] = []
    for name in names:
        created, updated, locked = draw(lives())
        found.append(TagRecord(TagName(name), draw(st.sampled_from(digests)), created, updated, locked))
    return found


def tag_selections() -> st.SearchStrategy[TagSelection]:
    globs = st.lists(st.sampled_from(_GLOBS), min_size=1, max_size=2, unique=True)
    return globs.map(lambda texts: TagSelection(globs=tuple(parse_glob(text, "tag") for text in texts)))


_STREAMS = TagSelection(expressions=(parse_expression(r"(?P<stream>[a-z]+)[-0-9].*"),))


def durations() -> st.SearchStrategy[Duration]:
    return st.sampled_from(_AGES).map(parse_duration)


def _places() -> st.SearchStrategy[RepositorySelection]:
    return st.sampled_from([*[EVERYWHERE] * 7, ELSEWHERE])


@st.composite
def newest(draw: st.DrawFn, *, per: str | None = None) -> Newest:
    return Newest(
        count=draw(st.integers(1, 3)),
        order_by=draw(st.sampled_from(["updated", "created", "semver"])),
        per=per,
    )


@st.composite
def tag_rules(draw: st.DrawFn, name: str, *, untag_only: bool | None = None) -> TagRule:
    per = draw(st.sampled_from([None, None, "stream"]))
    count = draw(newest(per=per)) if per or draw(st.booleans()) else None
    older_than = draw(durations()) if count is None or draw(st.booleans()) else None
    both = count is not None and older_than is not None
    return TagRule(
        name=name,
        repositories=draw(_places()),
        tags=draw(tag_selections()) if per is None else _STREAMS,
        older_than=older_than,
        age_by=draw(st.sampled_from(["updated", "created"])),
        newest=count,
        when=draw(st.sampled_from(["all", "any"])) if both else "all",
        only_if_more_than=draw(st.one_of(st.none(), st.integers(1, 6))),
        untag_only=draw(st.booleans()) if untag_only is None else untag_only,
        on_push=draw(st.booleans()),
    )


@st.composite
def policies(draw: st.DrawFn, *, untag_only: bool | None = None) -> RetentionPolicy:
    names = iter(["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"])
    some = st.sampled_from([1, 2, 1, 2, 1, 0])
    return RetentionPolicy(
        digest="sha256:" + "0" * 64,
        grace=parse_duration(draw(st.sampled_from(["6h", "0h", "24h"])), zero=True),
        protections=tuple(
            Protection(name=next(names), repositories=draw(_places()), tags=draw(tag_selections()))
            for _ in range(draw(st.sampled_from([0, 1, 2])))
        ),
        keep_rules=tuple(
            KeepRule(
                name=next(names),
                repositories=draw(_places()),
                tags=draw(tag_selections()),
                newest=draw(st.one_of(st.none(), newest())),
            )
            for _ in range(draw(st.sampled_from([0, 1, 2])))
        ),
        tag_rules=tuple(draw(tag_rules(next(names), untag_only=untag_only)) for _ in range(draw(some))),
        untagged_rules=tuple(
            UntaggedRule(
                name=next(names),
                repositories=draw(_places()),
                older_than=draw(st.one_of(st.none(), durations())),
                on_push=draw(st.booleans()),
            )
            for _ in range(draw(some))
        ),
    )
