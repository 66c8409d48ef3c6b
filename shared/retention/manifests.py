"""Judging manifests: what a kept tag, a lock or youth holds stays; of the rest, what a rule wants goes.

Three kinds of manifest are told apart first. *Roots* stay whatever the graph says. *Candidates* go unless
something that stays holds them: all their tags go, or an ``untagged`` rule wants them. All others are
*passive*: they go with a candidate that held them, and otherwise stay and hold in their turn.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from shared.oci.names import Digest, TagName
from shared.retention.durations import Duration
from shared.retention.holdings import Hold, Holdings
from shared.retention.reasons import Because, Reason
from shared.retention.rules import UntaggedRule
from shared.retention.snapshot import ManifestRecord
from shared.retention.tags import Loss, Opinion


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


class ManifestJudgement(NamedTuple):
    """Every manifest once: those that go, those that stay, and why."""

    leaving: dict[Digest, Opinion]
    staying: dict[Digest, Opinion]


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
        self._roots: dict[Digest, Opinion] = {}
        self._candidates: dict[Digest, Opinion] = {}
        self._passive: dict[Digest, Opinion] = {}

    def judge(self) -> ManifestJudgement:
        """Return where every manifest stands."""
        self._sort()
        movable = self._holdings.spread(self._candidates, self._passive)
        kept: dict[Digest, Hold | None] = {}
        self._holdings.keep(self._roots, kept, present=self._manifests)
        settled = [digest for digest in self._passive if digest not in movable]
        self._holdings.keep(settled, kept, present=self._manifests)
        leaving = {digest: opinion for digest, opinion in self._candidates.items() if digest not in kept}
        dragged = self._holdings.spread(leaving, {digest for digest in movable if digest not in kept})
        for digest, holder in dragged.items():
            leaving[digest] = (leaving[holder][0], Reason(Because.GOES_WITH, (holder,)))
        return ManifestJudgement(leaving, self._staying(kept))

    def _sort(self) -> None:
        """Tell roots, candidates and passive manifests apart."""
        kept, condition, cutoff = self._tags.kept, self._condition, self._grace_cutoff
        roots, candidates, passive = self._roots, self._candidates, self._passive
        special = self._tags.lost.keys() | self._tags.bound.keys()
        orphans = {} if condition is None else self._holdings.orphans(self._manifests)
        young: Opinion = (None, Reason(Because.MANIFEST_YOUNG, (self._grace,)))
        for digest, (_, _, created, updated, _, locked) in self._manifests.items():
            if locked:
                roots[digest] = _LOCKED
            elif digest in kept:
                roots[digest] = (None, Reason(Because.TAGGED, (kept[digest],)))
            elif updated >= cutoff or created >= cutoff:
                roots[digest] = young
            elif digest in special:
                self._sort_special(digest, young)
            elif condition is None:
                passive[digest] = _NO_UNTAGGED_RULE
            elif digest in orphans:
                candidates[digest] = self._orphan(orphans[digest], condition)
            else:
                last = max(updated, created)
                facts = (condition.rule, condition.age, self._now, last)
                if last < condition.cutoff:
                    candidates[digest] = (condition.rule, Reason(Because.UNTAGGED_EXPIRED, facts))
                else:
                    passive[digest] = (condition.rule, Reason(Because.UNTAGGED_UNEXPIRED, facts))

    def _sort_special(self, digest: Digest, young: Opinion) -> None:
        """Sort a manifest whose tags go, or belong to another manifest."""
        bound, lost = self._tags.bound.get(digest, ()), self._tags.lost.get(digest, ())
        locked = next((mark.name for mark in bound if mark.locked), None)
        untag_only = next((loss.rule for _, loss in lost if loss.untag_only), None)
        if locked is not None:
            self._roots[digest] = (None, Reason(Because.TAGGED, (locked,)))
        elif any(mark.young for mark in bound):
            self._roots[digest] = young
        elif untag_only is not None:
            self._roots[digest] = (untag_only, Reason(Because.UNTAG_ONLY, (untag_only,)))
        elif lost:
            names = tuple(sorted(name for name, _ in lost))
            rule = min(loss.rule for _, loss in lost)
            self._candidates[digest] = (rule, Reason(Because.LAST_TAGS, (names,)))
        else:
            self._sort_bound(digest, [mark.subject for mark in bound])

    def _sort_bound(self, digest: Digest, subjects: list[Digest]) -> None:
        """Sort a manifest that has no tags but those of its subjects."""
        if (subject := self._holdings.subject(digest)) is not None:
            subjects.append(subject)
        named = min(subjects)
        if self._condition is None:
            self._passive[digest] = _NO_UNTAGGED_RULE
        elif any(subject in self._manifests for subject in subjects):
            self._passive[digest] = (None, Reason(Because.HELD_BY_SUBJECT, (named, None)))
        elif not self._tags.kept and not self._tags.lost:
            self._passive[digest] = (None, Reason(Because.SIGNATURE_STORE, (named,)))
        else:
            self._candidates[digest] = self._orphan(named, self._condition)

    def _orphan(self, subject: Digest, condition: UntaggedCondition) -> Opinion:
        return condition.rule, Reason(Because.ORPHAN, (subject, self._grace))

    def _staying(self, kept: Mapping[Digest, Hold | None]) -> dict[Digest, Opinion]:
        """Say of everything that stays what holds it, or else why it stays by itself."""
        staying: dict[Digest, Opinion] = {}
        for digest, hold in kept.items():
            if hold is not None:
                holder_tag = self._tags.kept.get(hold.holder)
                staying[digest] = (None, Reason(hold.how, (hold.holder, holder_tag)))
            elif digest in self._roots:
                staying[digest] = self._roots[digest]
            else:
                staying[digest] = self._passive[digest]
        return staying


_LOCKED: Final[Opinion] = (None, Reason(Because.MANIFEST_LOCKED))
_NO_UNTAGGED_RULE: Final[Opinion] = (None, Reason(Because.NO_UNTAGGED_RULE))
