"""Judging tags: which rule wants one gone, and what keeps it all the same."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from shared.oci.names import TagName
from shared.retention.reasons import Because, Expiry, Reason
from shared.retention.rules import KeepRule, Newest, Protection, TagRule
from shared.retention.snapshot import ManifestRecord, TagRecord
from shared.retention.versions import parse_version

_NAMED_IN_A_WARNING = 5


type Opinion = tuple[str | None, Reason]
"""Which rule or protection decides, if any, and why; a plain tuple, because there is one per manifest."""


class Loss(NamedTuple):
    """That a rule wants a tag gone, and whether its manifest must stay."""

    rule: str
    reason: Reason
    untag_only: bool


type _Matched = list[tuple[TagRecord, Mapping[str, str]]]


@dataclass(slots=True, kw_only=True)
class TagJudgement:
    """What all rules together say of the ordinary tags of one repository."""

    keeps: dict[TagName, Opinion] = field(default_factory=dict)
    losses: dict[TagName, Loss] = field(default_factory=dict)
    spared: dict[TagName, Opinion] = field(default_factory=dict)
    matched: set[str] = field(default_factory=set)
    warnings: list[str] = field(default_factory=list)

    def verdict(
        self, tag: TagRecord, manifest: ManifestRecord | None, grace_cutoff: datetime, grace: object
    ) -> tuple[bool, Opinion]:
        """Return whether the tag stays, and why: locks before keeps before losses, the young before them."""
        locked = _TAG_LOCKED if tag.locked else _MANIFEST_LOCKED if manifest and manifest.locked else None
        if locked is not None:
            return True, (None, locked)
        loss = self.losses.get(tag.name)
        kept = self.keeps.get(tag.name)
        if kept is not None or loss is None:
            return True, kept or self.spared.get(tag.name, _UNSELECTED)
        if is_young(tag, grace_cutoff):
            return True, (loss.rule, Reason(Because.TAG_YOUNG, (grace,)))
        if manifest is not None and is_young(manifest, grace_cutoff):
            return True, (loss.rule, Reason(Because.MANIFEST_YOUNG, (grace,)))
        return False, (loss.rule, loss.reason)


_TAG_LOCKED = Reason(Because.TAG_LOCKED)
_MANIFEST_LOCKED = Reason(Because.MANIFEST_LOCKED)
_UNSELECTED = (None, Reason(Because.UNSELECTED))


def is_young(record: TagRecord | ManifestRecord, cutoff: datetime) -> bool:
    """Tell whether it was made or changed at the cutoff or after it."""
    return record.updated >= cutoff or record.created >= cutoff


def judge_tags(
    tags: Sequence[TagRecord],
    *,
    protections: Iterable[Protection],
    keep_rules: Iterable[KeepRule],
    tag_rules: Iterable[TagRule],
    now: datetime,
) -> TagJudgement:
    """Return what the rules say of the tags; neither the order of rules nor that of tags matters.

    Every rule sees all tags that it matches, so one rule's newest N are counted before any other rule
    takes tags away. Where several rules agree, the one whose name sorts first is named.
    """
    judgement = TagJudgement()
    for protection in sorted(protections, key=lambda rule: rule.name):
        reason = Reason(Because.PROTECTED, (protection.name,))
        for tag in tags:
            if protection.tags.match(tag.name) is not None:
                judgement.keeps.setdefault(tag.name, (protection.name, reason))
    for keep_rule in sorted(keep_rules, key=lambda rule: rule.name):
        _apply_keep_rule(keep_rule, tags, judgement)
    for tag_rule in sorted(tag_rules, key=lambda rule: (rule.untag_only, rule.name)):
        _apply_tag_rule(tag_rule, tags, judgement, now)
    return judgement


def _apply_keep_rule(rule: KeepRule, tags: Sequence[TagRecord], judgement: TagJudgement) -> None:
    matched = _match(rule, tags, judgement)
    if rule.newest is None:
        kept = (rule.name, Reason(Because.KEPT, (rule.name,)))
        for tag, _ in matched:
            judgement.keeps.setdefault(tag.name, kept)
        return
    ranking = _rank(rule.newest, matched)
    _warn_of_strangers(rule.name, ranking, judgement)
    for name, stream in ranking.inside.items():
        judgement.keeps.setdefault(name, _among_newest(rule.name, rule.newest, stream))


def _apply_tag_rule(rule: TagRule, tags: Sequence[TagRecord], judgement: TagJudgement, now: datetime) -> None:
    matched = _match(rule, tags, judgement)
    ranking = _rank(rule.newest, matched) if rule.newest else _NO_RANKING
    _warn_of_strangers(rule.name, ranking, judgement)
    cutoff = None if rule.older_than is None else now - rule.older_than.delta
    expiry = Expiry(rule.name, rule.older_than, rule.age_by, rule.newest)
    idle = None
    if rule.only_if_more_than is not None and len(tags) <= rule.only_if_more_than:
        idle = Reason(Because.FEW_TAGS, (rule.name, len(tags), rule.only_if_more_than))
    for tag, groups in matched:
        stream = ranking.inside.get(tag.name)
        if stream is not None and rule.newest is not None and rule.when == "all":
            judgement.keeps.setdefault(tag.name, _among_newest(rule.name, rule.newest, stream))
            continue
        then = tag.updated if rule.age_by == "updated" else tag.created
        is_old = cutoff is not None and then < cutoff
        is_version = tag.name not in ranking.strangers
        is_outside = rule.newest is not None and stream is None and is_version
        if rule.when == "all":
            goes = (is_old or cutoff is None) and (is_outside or rule.newest is None)
        else:
            goes = is_old or is_outside
        if not goes:
            unexpired = Reason(Because.UNEXPIRED, (expiry, now, then, is_version))
            judgement.spared.setdefault(tag.name, (rule.name, unexpired))
        elif idle is not None:
            judgement.spared.setdefault(tag.name, (rule.name, idle))
        else:
            outside_of = _stream_of(rule.newest, groups) if is_outside and rule.newest else None
            reason = Reason(Because.EXPIRED, (expiry, now, then, is_old, outside_of))
            judgement.losses.setdefault(tag.name, Loss(rule.name, reason, rule.untag_only))


def _match(rule: KeepRule | TagRule, tags: Sequence[TagRecord], judgement: TagJudgement) -> _Matched:
    matched = [(tag, groups) for tag in tags if (groups := rule.tags.match(tag.name)) is not None]
    if matched:
        judgement.matched.add(rule.name)
    return matched


def _among_newest(rule: str, newest: Newest, stream: str) -> Opinion:
    return (rule, Reason(Because.NEWEST, (rule, newest, stream)))


class _Ranking(NamedTuple):
    """The newest N by name, each with its stream; and what has no place in the order."""

    inside: Mapping[TagName, str]
    strangers: frozenset[TagName]


_NO_RANKING = _Ranking({}, frozenset())


def _rank(newest: Newest, matched: _Matched) -> _Ranking:
    streams: dict[str, list[tuple[object, datetime, TagName]]] = {}
    strangers: list[TagName] = []
    for tag, groups in matched:
        key: object = tag.created if newest.order_by == "created" else tag.updated
        if newest.order_by == "semver":
            key = parse_version(groups.get("version", tag.name))
            if key is None:
                strangers.append(tag.name)
                continue
        streams.setdefault(_stream_of(newest, groups), []).append((key, tag.updated, tag.name))
    inside = {
        name: stream
        for stream, ranked in streams.items()
        for _, _, name in sorted(ranked, reverse=True)[: newest.count]
    }
    return _Ranking(inside, frozenset(strangers))


def _stream_of(newest: Newest, groups: Mapping[str, str]) -> str:
    return "" if newest.per is None else groups.get(newest.per, "")


def _warn_of_strangers(rule: str, ranking: _Ranking, judgement: TagJudgement) -> None:
    if not ranking.strangers:
        return
    names = sorted(ranking.strangers)
    more = len(names) - _NAMED_IN_A_WARNING
    judgement.warnings.append(
        f"rule {rule} orders by semantic version; not versions, so neither counted nor outside: "
        + ", ".join(names[:_NAMED_IN_A_WARNING])
        + (f" and {more} more" if more > 0 else "")
    )
