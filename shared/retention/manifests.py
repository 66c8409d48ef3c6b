"""Judging manifests: what a kept tag, a lock or youth holds stays; of the rest, what a rule wants goes.

Three kinds of manifest are told apart first. *Roots* stay whatever the graph says. *Candidates* go unless
something that stays holds them: all their tags go, or an ``untagged`` rule wants them. All others are
*passive*: they go with a candidate that held them, and otherwise stay and hold in their turn.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from shared.oci.names import Digest, TagName
from shared.retention.durations import Duration
from shared.retention.holdings import Hold, Holdings
from shared.retention.reasons import Because, Reason
from shared.retention.rules import UntaggedRule
from shared.retention.snapshot import ManifestRecord
from shared.retention.tags import Loss, Opinion, is_young


class BoundTag(NamedTuple):
    """A tag that belongs to a subject, on the manifest that carries it."""

    subject: Digest
    name: TagName
    locked: bool
    young: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TagsByManifest:
    """What the tags of a repository, once judged, mean for its manifests."""

    kept: Mapping[Digest, TagName]
    lost: Mapping[Digest, list[tuple[TagName, Loss]]]
    bound: Mapping[Digest, list[BoundTag]]


class UntaggedCondition(NamedTuple):
    """When a manifest that was untagged before goes: the least demanding rule that covers the repository."""

    rule: str
    age: Duration
    cutoff: datetime


def untagged_condition(
    rules: Iterable[UntaggedRule], *, now: datetime, grace: Duration
) -> UntaggedCondition | None:
    """Return the condition of the rules together, or ``None`` when there is none."""
    ages = [(rule.older_than or grace, rule.name) for rule in rules]
    if not ages:
        return None
    age, name = min(ages)
    return UntaggedCondition(name, age, now - age.delta)


class Standing(NamedTuple):
    """Whether a manifest stays, by which rule, and why."""

    keep: bool
    opinion: Opinion


class ManifestJudge:
    """Decides on every manifest of one repository; asked once, by :meth:`judge`."""

    def __init__(
        self,
        manifests: Mapping[Digest, ManifestRecord],
        tags: TagsByManifest,
        holdings: Holdings,
        *,
        condition: UntaggedCondition | None,
        grace: Duration,
        now: datetime,
    ) -> None:
        self._manifests = manifests
        self._tags = tags
        self._holdings = holdings
        self._condition = condition
        self._grace = grace
        self._grace_cutoff = now - grace.delta
        self._now = now
        self._holds_images = bool(tags.kept or tags.lost)
        self._roots: dict[Digest, Opinion] = {}
        self._candidates: dict[Digest, Opinion] = {}
        self._passive: dict[Digest, Opinion] = {}

    def judge(self) -> dict[Digest, Standing]:
        """Return where every manifest stands."""
        for record in self._manifests.values():
            self._sort(record)
        movable = self._holdings.spread(self._candidates, self._passive)
        kept: dict[Digest, Hold | None] = {}
        self._holdings.keep(self._roots, kept, present=self._manifests)
        staying = [digest for digest in self._passive if digest not in movable]
        self._holdings.keep(staying, kept, present=self._manifests)
        leaving = {digest: self._candidates[digest] for digest in self._candidates if digest not in kept}
        dragged = self._holdings.spread(
            leaving, {digest for digest in movable if digest not in kept and digest in self._passive}
        )
        return self._standings(kept, leaving, dragged)

    def _sort(self, record: ManifestRecord) -> None:
        digest = record.digest
        if (root := self._why_root(record)) is not None:
            self._roots[digest] = root
        elif (lost := self._tags.lost.get(digest)) is not None:
            names = tuple(sorted(name for name, _ in lost))
            rule = min(loss.rule for _, loss in lost)
            self._candidates[digest] = Opinion(rule, Reason(Because.LAST_TAGS, (names,)))
        else:
            self._sort_untagged(record)

    def _why_root(self, record: ManifestRecord) -> Opinion | None:
        if record.locked:
            return _LOCKED
        if (tag := self._tags.kept.get(record.digest)) is not None:
            return Opinion(None, Reason(Because.TAGGED, (tag,)))
        bound = self._tags.bound.get(record.digest, ())
        for mark in bound:
            if mark.locked:
                return Opinion(None, Reason(Because.TAGGED, (mark.name,)))
        if is_young(record, self._grace_cutoff) or any(mark.young for mark in bound):
            return Opinion(None, Reason(Because.MANIFEST_YOUNG, (self._grace,)))
        for _, loss in self._tags.lost.get(record.digest, ()):
            if loss.untag_only:
                return Opinion(loss.rule, Reason(Because.UNTAG_ONLY, (loss.rule,)))
        return None

    def _sort_untagged(self, record: ManifestRecord) -> None:
        condition = self._condition
        if condition is None:
            self._passive[record.digest] = _NO_UNTAGGED_RULE
            return
        bound = self._tags.bound.get(record.digest)
        orphaned_from = self._orphaned_from(record.digest)
        last = max(record.created, record.updated)
        if bound and orphaned_from is not None and not self._holds_images:
            store = Reason(Because.SIGNATURE_STORE, (orphaned_from,))
            self._passive[record.digest] = Opinion(None, store)
        elif orphaned_from is not None:
            orphan = Reason(Because.ORPHAN, (orphaned_from, self._grace))
            self._candidates[record.digest] = Opinion(condition.rule, orphan)
        elif bound:
            follows = Reason(Because.HELD_BY_SUBJECT, (min(mark.subject for mark in bound), None))
            self._passive[record.digest] = Opinion(None, follows)
        elif last < condition.cutoff:
            expired = Reason(Because.UNTAGGED_EXPIRED, (condition.age, self._now, last))
            self._candidates[record.digest] = Opinion(condition.rule, expired)
        else:
            waiting = Reason(Because.UNTAGGED_UNEXPIRED, (condition.rule, condition.age, self._now, last))
            self._passive[record.digest] = Opinion(condition.rule, waiting)

    def _orphaned_from(self, digest: Digest) -> Digest | None:
        """Return the subject that the manifest belonged to, when none of its subjects is left."""
        subjects = [mark.subject for mark in self._tags.bound.get(digest, ())]
        if (subject := self._holdings.subject(digest)) is not None:
            subjects.append(subject)
        if not subjects or any(subject in self._manifests for subject in subjects):
            return None
        return min(subjects)

    def _standings(
        self,
        kept: Mapping[Digest, Hold | None],
        leaving: Mapping[Digest, Opinion],
        dragged: Mapping[Digest, Digest | None],
    ) -> dict[Digest, Standing]:
        standings: dict[Digest, Standing] = {}
        for digest in dragged:
            holder = dragged[digest]
            if holder is None:
                standings[digest] = Standing(keep=False, opinion=leaving[digest])
            else:
                with_holder = Reason(Because.GOES_WITH, (holder,))
                standings[digest] = Standing(
                    keep=False, opinion=Opinion(standings[holder].opinion.rule, with_holder)
                )
        for digest in self._manifests:
            if digest not in standings:
                standings[digest] = Standing(keep=True, opinion=self._why_kept(digest, kept.get(digest)))
        return standings

    def _why_kept(self, digest: Digest, hold: Hold | None) -> Opinion:
        if hold is not None:
            return Opinion(None, Reason(hold.how, (hold.holder, self._tags.kept.get(hold.holder))))
        return self._roots.get(digest) or self._passive[digest]


_LOCKED = Opinion(None, Reason(Because.MANIFEST_LOCKED))
_NO_UNTAGGED_RULE = Opinion(None, Reason(Because.NO_UNTAGGED_RULE))
