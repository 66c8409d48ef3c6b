"""Generated repositories and policies: small enough to collide often, odd enough to break assumptions.

Strategies are made once: to make and check them anew for each example takes longer than drawing from them.
"""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Literal

from hypothesis import settings
from hypothesis import strategies as st

from shared.oci import media_types
from shared.oci.graph import Edges
from shared.oci.names import Digest, LoginServer, RepositoryName, TagName
from shared.policy.expressions import parse_expression
from shared.retention.durations import Duration, parse_duration
from shared.retention.rules import (
    AgeBy,
    KeepRule,
    Newest,
    OrderBy,
    Protection,
    RetentionPolicy,
    TagRule,
    UntaggedRule,
)
from shared.retention.snapshot import ManifestRecord, RepositorySnapshot, TagRecord
from shared.selection import RepositorySelection, TagSelection, parse_glob

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
EXAMPLES = settings(
    max_examples=max(500 if settings.get_current_profile_name() == "ci" else 200, settings().max_examples),
    deadline=None,
)
"""Of every law: 200 at a desk, 500 in CI; a profile may ask for more."""

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


@cache
def lives() -> st.SearchStrategy[tuple[datetime, datetime, bool]]:
    """When something was created and updated, and whether it is locked."""
    return st.sampled_from(_LIVES)


_MAYBE = st.booleans()


@cache
def _below(number: int) -> st.SearchStrategy[Digest]:
    return st.sampled_from([*(_digest(lower) for lower in range(number)), _MISSING])


@cache
def _some_below(number: int) -> st.SearchStrategy[list[Digest]]:
    return st.lists(_below(number), max_size=3, unique=True)


@cache
@st.composite
def edges_between(draw: st.DrawFn, number: int) -> Edges | None:
    """Point only at what has a lower number: real digests cannot make a circle either."""
    if not number or draw(_MAYBE):
        return None
    children = tuple(draw(_some_below(number))) if draw(_MAYBE) else ()
    subject = draw(_below(number)) if draw(_MAYBE) else None
    return Edges(children, subject)


_SIZES = st.sampled_from([6, 3, 9, 12, 1, 0])
_SELDOM = st.sampled_from([False] * 24 + [True])


@cache
@st.composite
def snapshots(draw: st.DrawFn) -> RepositorySnapshot:
    """A repository that could be read: nested indexes, referrers, shared children, locks, bound tags."""
    count = draw(_SIZES)
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
        tags=draw(_tags(count)),
        manifests=manifests,
        edges=edges,
        locked=draw(_SELDOM),
    )


@cache
def _digests(count: int) -> st.SearchStrategy[Digest]:
    return st.sampled_from([_digest(number) for number in range(count)])


@cache
def _tag_names(count: int) -> st.SearchStrategy[list[str]]:
    subjects = [*(_digest(number) for number in range(count)), _MISSING]
    bound = [f"{subject.replace(':', '-')}{end}" for subject in subjects for end in ("", ".sig")]
    name = st.one_of(st.sampled_from(_TAGS), st.sampled_from(bound))
    return st.lists(name, min_size=2, max_size=12, unique=True)


@cache
@st.composite
def _tags(draw: st.DrawFn, manifests: int) -> list[TagRecord]:
    if not manifests:
        return []
    found: list[TagRecord] = []
    for name in draw(_tag_names(manifests)):
        created, updated, locked = draw(lives())
        found.append(TagRecord(TagName(name), draw(_digests(manifests)), created, updated, locked))
    return found


@cache
def tag_selections() -> st.SearchStrategy[TagSelection]:
    globs = st.lists(st.sampled_from(_GLOBS), min_size=1, max_size=2, unique=True)
    return globs.map(lambda texts: TagSelection(globs=tuple(parse_glob(text, "tag") for text in texts)))


_STREAMS = TagSelection(expressions=(parse_expression(r"(?P<stream>[a-z]+)[-0-9].*"),))


@cache
def durations() -> st.SearchStrategy[Duration]:
    return st.sampled_from(_AGES).map(parse_duration)


@cache
def _places() -> st.SearchStrategy[RepositorySelection]:
    return st.sampled_from([*[EVERYWHERE] * 7, ELSEWHERE])


_ORDERS: st.SearchStrategy[OrderBy] = st.sampled_from(["updated", "created", "semver"])
_FEW = st.integers(1, 3)


@cache
@st.composite
def newest(draw: st.DrawFn, *, per: str | None = None) -> Newest:
    return Newest(
        count=draw(_FEW),
        order_by=draw(_ORDERS),
        per=per,
    )


_PER = st.sampled_from([None, None, "stream"])
_AGED_BY: st.SearchStrategy[AgeBy] = st.sampled_from(["updated", "created"])
_WHEN: st.SearchStrategy[Literal["all", "any"]] = st.sampled_from(["all", "any"])
_FLOOR = st.one_of(st.none(), st.integers(1, 6))


@cache
@st.composite
def tag_rules(draw: st.DrawFn, name: str, *, untag_only: bool | None = None) -> TagRule:
    per = draw(_PER)
    count = draw(newest(per=per)) if per or draw(_MAYBE) else None
    older_than = draw(durations()) if count is None or draw(_MAYBE) else None
    both = count is not None and older_than is not None
    return TagRule(
        name=name,
        repositories=draw(_places()),
        tags=draw(tag_selections()) if per is None else _STREAMS,
        older_than=older_than,
        age_by=draw(_AGED_BY),
        newest=count,
        when=draw(_WHEN) if both else "all",
        only_if_more_than=draw(_FLOOR),
        untag_only=draw(_MAYBE) if untag_only is None else untag_only,
        on_push=draw(_MAYBE),
    )


_SOME = st.sampled_from([1, 2, 1, 2, 1, 0])
_UP_TO_TWO = st.sampled_from([0, 1, 2])
_GRACES = st.sampled_from(["6h", "0h", "24h"])
_MAYBE_AGED = st.one_of(st.none(), durations())


@cache
def _maybe_newest() -> st.SearchStrategy[Newest | None]:
    return st.one_of(st.none(), newest())


@cache
@st.composite
def policies(draw: st.DrawFn, *, untag_only: bool | None = None) -> RetentionPolicy:
    names = iter(["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"])
    return RetentionPolicy(
        digest="sha256:" + "0" * 64,
        grace=parse_duration(draw(_GRACES), zero=True),
        protections=tuple(
            Protection(name=next(names), repositories=draw(_places()), tags=draw(tag_selections()))
            for _ in range(draw(_UP_TO_TWO))
        ),
        keep_rules=tuple(
            KeepRule(
                name=next(names),
                repositories=draw(_places()),
                tags=draw(tag_selections()),
                newest=draw(_maybe_newest()),
            )
            for _ in range(draw(_UP_TO_TWO))
        ),
        tag_rules=tuple(draw(tag_rules(next(names), untag_only=untag_only)) for _ in range(draw(_SOME))),
        untagged_rules=tuple(
            UntaggedRule(
                name=next(names),
                repositories=draw(_places()),
                older_than=draw(_MAYBE_AGED),
                on_push=draw(_MAYBE),
            )
            for _ in range(draw(_SOME))
        ),
    )
