"""What happened: one outcome for each action that was tried, and the report that a repository ends with."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from shared.oci.names import Digest, TagName
from shared.retention.traffic import Traffic
from shared.retention.verdicts import RepositoryPlan

type Action = Literal["untag", "delete"]
type Result = Literal["done", "already_gone", "moved", "retagged", "locked", "reachable", "failed", "skipped"]
"""``moved``: the tag was pushed again since the plan, mostly to point elsewhere. ``retagged``: the manifest
was tagged or pushed again. ``reachable``: something that stays holds it. ``skipped``: not tried."""

_GONE: Final = frozenset({"done", "already_gone"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one action came to; ``target`` is a tag for ``untag`` and a digest for ``delete``."""

    action: Action
    target: TagName | Digest
    result: Result
    at: datetime
    detail: str = ""

    @property
    def is_gone(self) -> bool:
        """Tell whether what was to be removed is not there any more."""
        return self.result in _GONE

    def to_json(self) -> dict[str, Any]:
        """Return the stored form."""
        return {
            "action": self.action,
            "target": self.target,
            "result": self.result,
            "at": self.at.isoformat(),
            "detail": self.detail,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Outcome":
        """Return the outcome that :meth:`to_json` wrote."""
        return cls(
            action=document["action"],
            target=document["target"],
            result=document["result"],
            at=datetime.fromisoformat(document["at"]),
            detail=document["detail"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryReport:
    """One repository's plan and what came of it; without outcomes when it was only planned, or refused.

    ``traffic`` is what the registry was asked, for the plan and for carrying it out.
    """

    plan: RepositoryPlan
    mode: Literal["plan", "apply"]
    started: datetime
    finished: datetime
    outcomes: tuple[Outcome, ...] = ()
    traffic: Traffic = field(default_factory=Traffic)

    @property
    def bytes_freed_at_most(self) -> int:
        """Return the sizes of the deleted manifests together.

        An upper bound: layers that other manifests share stay, and are counted all the same.
        """
        sizes = {deletion.digest: deletion.size for deletion in self.plan.delete}
        return sum(
            sizes.get(Digest(outcome.target), 0)
            for outcome in self.outcomes
            if outcome.action == "delete" and outcome.result == "done"
        )

    @property
    def missing(self) -> int:
        """Return how many planned actions have no outcome."""
        planned = len(self.plan.untag) + len(self.plan.delete)
        return max(planned - len(self.outcomes), 0) if self.mode == "apply" else 0

    @property
    def counts(self) -> dict[str, int]:
        """Return the plan's counts, what was done by action, every other result by its name, the traffic."""
        results = count_results(self.outcomes)
        freed = {"bytes_freed_at_most": self.bytes_freed_at_most}
        return {**self.plan.counts, **results, **freed, **self.traffic.counts}


def count_results(outcomes: Iterable[Outcome]) -> dict[str, int]:
    """Return how many tags and manifests are gone, and how often each result came otherwise."""
    found: Counter[str] = Counter(untagged=0, deleted=0)
    for outcome in outcomes:
        if outcome.result == "done":
            found["untagged" if outcome.action == "untag" else "deleted"] += 1
        else:
            found[outcome.result] += 1
    return dict(found)


def add_counts(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Return the counts of several repositories together."""
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return dict(total)


def postponed_in(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Return how much caps leave for the next run, and in how many repositories."""
    total = {"repositories": 0, "tags": 0, "manifests": 0}
    for one in counts:
        tags, manifests = one.get("postponed_tags", 0), one.get("postponed_manifests", 0)
        total["repositories"] += bool(tags or manifests)
        total["tags"] += tags
        total["manifests"] += manifests
    return total


def traffic_in(counts: Mapping[str, int]) -> dict[str, int]:
    """Return what the counts say of requests."""
    return {name: counts.get(name, 0) for name in Traffic().counts}
