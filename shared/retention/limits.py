"""Brakes: how much of a repository, or of everything, one run may remove before a person is asked."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

type Scope = Literal["repository", "run"]
type What = Literal["tags", "manifests"]
type Combine = Literal["or", "and"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """At most so many removals, at most such a share; with ``and``, both must be exceeded to refuse."""

    deletions: int | None = None
    percent: float | None = None
    combine: Combine = "or"

    def is_exceeded(self, removals: int, total: int) -> bool:
        """Tell whether removing so many of so many is too much."""
        exceeded = [
            *([] if self.deletions is None else [removals > self.deletions]),
            *([] if self.percent is None else [removals * 100 > self.percent * total]),
        ]
        return bool(exceeded) and (any(exceeded) if self.combine == "or" else all(exceeded))

    def __str__(self) -> str:
        """Read as ``500 and 50 %``."""
        parts = [
            *([] if self.deletions is None else [str(self.deletions)]),
            *([] if self.percent is None else [f"{self.percent:g} %"]),
        ]
        return f" {self.combine} ".join(parts) or "none"


DEFAULT_REPOSITORY_LIMIT = Limit(deletions=500, percent=50, combine="and")
DEFAULT_RUN_LIMIT = Limit(deletions=5000, percent=50, combine="and")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The brakes of one policy."""

    repository: Limit = DEFAULT_REPOSITORY_LIMIT
    run: Limit = DEFAULT_RUN_LIMIT


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why nothing is removed: a limit, and the numbers that exceed it."""

    limit: Scope
    what: What
    removals: int
    total: int
    deletions: int | None
    percent: float | None
    combine: Combine

    def __str__(self) -> str:
        """Read as a sentence with the numbers."""
        allowed = Limit(deletions=self.deletions, percent=self.percent, combine=self.combine)
        share = self.removals * 100 / self.total if self.total else 0
        return (
            f"would remove {self.removals} of {self.total} {self.what} ({share:.3g} %); "
            f"the limit of a {self.limit} is {allowed}"
        )

    def to_json(self) -> dict[str, object]:
        """Return the numbers, and the sentence."""
        return {**{each.name: getattr(self, each.name) for each in fields(self)}, "message": str(self)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Refusal":
        """Return the refusal that :meth:`to_json` wrote."""
        return cls(**{each.name: document[each.name] for each in fields(cls)})


def check_run_limits(counts: Iterable[Mapping[str, int]], limit: Limit) -> Refusal | None:
    """Return why the plans of a run together remove too much, or ``None``.

    ``counts`` are those of every plan of the run (:attr:`RepositoryPlan.counts`), also of the plans that
    remove nothing: the percentage is of everything that was looked at. What a refused plan would have
    removed does not count, since it stays. What a cap postponed counts: it goes, only later.
    """
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
        if one.get("refused"):
            total.subtract({name: one[name] for name in ("untag", "delete")})
    return refuse(total, limit, "run")


def refuse(counts: Mapping[str, int], limit: Limit, scope: Scope) -> Refusal | None:
    """Return why the counts are too much for the limit, or ``None``.

    Tags and manifests are judged each against their own total: either can be the disaster.
    """
    judged: tuple[tuple[What, str, str], ...] = (
        ("manifests", "delete", "postponed_manifests"),
        ("tags", "untag", "postponed_tags"),
    )
    for what, removal, postponed in judged:
        removals, total = counts.get(removal, 0) + counts.get(postponed, 0), counts.get(what, 0)
        if limit.is_exceeded(removals, total):
            return Refusal(
                limit=scope,
                what=what,
                removals=removals,
                total=total,
                deletions=limit.deletions,
                percent=limit.percent,
                combine=limit.combine,
            )
    return None
