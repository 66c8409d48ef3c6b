"""Why a tag or manifest stays or goes: a code and its arguments, put in words only when someone reads them.

A plan has a reason for each of a million manifests, so a reason is two words of memory where it can be
shared and a short tuple where it cannot.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, NamedTuple

from shared.retention.durations import Duration
from shared.retention.rules import AgeBy, Newest


class Because(StrEnum):
    """What was decisive."""

    STORED = "stored"
    NO_RULE = "no-rule"
    REPOSITORY_LOCKED = "repository-locked"
    CLOSED = "closed"
    TAG_LOCKED = "tag-locked"
    MANIFEST_LOCKED = "manifest-locked"
    PROTECTED = "protected"
    KEPT = "kept"
    NEWEST = "newest"
    TAG_YOUNG = "tag-young"
    MANIFEST_YOUNG = "manifest-young"
    UNSELECTED = "unselected"
    UNEXPIRED = "unexpired"
    FEW_TAGS = "few-tags"
    BOUND = "bound"
    EXPIRED = "expired"
    BOUND_GOES = "bound-goes"
    TAGGED = "tagged"
    UNTAG_ONLY = "untag-only"
    NO_UNTAGGED_RULE = "no-untagged-rule"
    UNTAGGED_UNEXPIRED = "untagged-unexpired"
    SIGNATURE_STORE = "signature-store"
    HELD_BY_INDEX = "held-by-index"
    HELD_BY_SUBJECT = "held-by-subject"
    HELD_BY_REFERRER = "held-by-referrer"
    LAST_TAGS = "last-tags"
    UNTAGGED_EXPIRED = "untagged-expired"
    ORPHAN = "orphan"
    GOES_WITH = "goes-with"
    POSTPONED = "postponed"


class Expiry(NamedTuple):
    """The conditions of one rule, as words need them."""

    rule: str
    older_than: Duration | None
    age_by: AgeBy
    newest: Newest | None


class Reason(NamedTuple):
    """Why; ``str`` puts it in words."""

    code: Because
    arguments: tuple[Any, ...] = ()

    def __str__(self) -> str:
        """Read as a clause that follows the name of what it is about."""
        return _PHRASES[self.code](*self.arguments)


def _expired(expiry: Expiry, at: datetime, then: datetime, is_old: bool, stream: str | None) -> str:  # noqa: FBT001
    """Say which conditions hold: both under ``all``, perhaps one under ``any``."""
    parts: list[str] = []
    if is_old and expiry.older_than is not None:
        parts.append(f"older than {expiry.older_than}: {_since(then, at, expiry.age_by)}")
    if stream is not None and expiry.newest is not None:
        parts.append(f"not among the {expiry.newest}{_stream(stream)} of rule {expiry.rule}")
    return "; ".join(parts)


def _unexpired(expiry: Expiry, at: datetime, then: datetime, is_version: bool) -> str:  # noqa: FBT001
    if not is_version:
        return f"is no semantic version, by which rule {expiry.rule} orders"
    if expiry.older_than is None:
        return f"among the {expiry.newest} of rule {expiry.rule}"
    return f"not older than {expiry.older_than} (rule {expiry.rule}): {_since(then, at, expiry.age_by)}"


def _since(then: datetime, at: datetime, age_by: AgeBy) -> str:
    verb = "last updated" if age_by == "updated" else "created"
    return f"{verb} {then:%Y-%m-%d}, {_span(at - then)} ago"


def _span(age: timedelta) -> str:
    for unit, name in ((timedelta(days=1), "day"), (timedelta(hours=1), "hour")):
        if age >= unit * 2 or (name == "hour" and age >= unit):
            count = age // unit
            return f"{count} {name}{'' if count == 1 else 's'}"
    minutes = max(age // timedelta(minutes=1), 0)
    return f"{minutes} minute{'' if minutes == 1 else 's'}"


def _stream(stream: str) -> str:
    return f" of stream {stream!r}" if stream else ""


def _tagged(tag: str | None) -> str:
    return "" if tag is None else f" tagged {tag}"


_PHRASES: Final[Mapping[Because, Callable[..., str]]] = {
    Because.STORED: lambda text: text,
    Because.NO_RULE: lambda: "no rule names this repository",
    Because.REPOSITORY_LOCKED: lambda: "the repository is locked",
    Because.CLOSED: lambda why: f"the repository is closed for this run: {why}",
    Because.TAG_LOCKED: lambda: "the tag is locked",
    Because.MANIFEST_LOCKED: lambda: "the manifest is locked",
    Because.PROTECTED: lambda name: f"protected by {name}",
    Because.KEPT: lambda rule: f"kept by rule {rule}",
    Because.NEWEST: lambda rule, newest, stream: f"among the {newest}{_stream(stream)} of rule {rule}",
    Because.TAG_YOUNG: lambda grace: f"the tag is younger than the grace period of {grace}",
    Because.MANIFEST_YOUNG: lambda grace: f"the manifest is younger than the grace period of {grace}",
    Because.UNSELECTED: lambda: "no rule selects it",
    Because.UNEXPIRED: _unexpired,
    Because.FEW_TAGS: lambda rule, count, floor: (
        f"the repository has {count} tags; rule {rule} acts on more than {floor}"
    ),
    Because.BOUND: lambda subject: f"belongs to {subject}, and stays as long as its manifest does",
    Because.EXPIRED: _expired,
    Because.BOUND_GOES: lambda subject: f"belongs to {subject}, and its manifest goes",
    Because.TAGGED: lambda tag: f"tagged {tag}",
    Because.UNTAG_ONLY: lambda rule: f"rule {rule} removes tags only",
    Because.NO_UNTAGGED_RULE: lambda: "untagged, and no rule for untagged manifests names this repository",
    Because.UNTAGGED_UNEXPIRED: lambda rule, older_than, at, then: (
        f"untagged, but not older than {older_than} (rule {rule}): {_since(then, at, 'updated')}"
    ),
    Because.SIGNATURE_STORE: lambda subject: (
        f"belongs to {subject}, which may be in another repository: this one holds nothing but signatures"
    ),
    Because.HELD_BY_INDEX: lambda holder, tag: f"listed by index {holder}{_tagged(tag)}, which stays",
    Because.HELD_BY_SUBJECT: lambda holder, tag: f"refers to {holder}{_tagged(tag)}, which stays",
    Because.HELD_BY_REFERRER: lambda holder, tag: (
        f"subject of {holder}{_tagged(tag)}, which stays and would be deleted with it"
    ),
    Because.LAST_TAGS: lambda tags: (
        f"nothing kept holds it, and its last tag{' goes' if len(tags) == 1 else 's go'}: {', '.join(tags)}"
    ),
    Because.UNTAGGED_EXPIRED: lambda _rule, older_than, at, then: (
        f"untagged, nothing kept holds it, and older than {older_than}: {_since(then, at, 'updated')}"
    ),
    Because.ORPHAN: lambda subject, grace: (
        f"its subject {subject} is gone; older than the grace period of {grace}"
    ),
    Because.GOES_WITH: lambda holder: f"held only by {holder}, which goes",
    Because.POSTPONED: lambda cap, most: f"left for the next run: the cap of {most} removals a {cap}",
}
