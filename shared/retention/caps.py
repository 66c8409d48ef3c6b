"""Caps: how much one run removes at most. What is left over waits for the next run, and nobody is asked.

Limits (:mod:`shared.retention.limits`) are brakes: a plan beyond them is most likely a mistake. A plan beyond
a cap is merely long.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from shared.retention.limits import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """How many tags and manifests together one run removes, from each repository and in all."""

    repository: int | None = None
    run: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Postponement:
    """What a cap leaves for the next run: so many tags and manifests that the policy wants gone."""

    cap: Scope
    most: int
    tags: int
    manifests: int

    def __str__(self) -> str:
        """Read as a sentence with the numbers."""
        return (
            f"{self.tags} tags and {self.manifests} manifests are left for the next run; "
            f"the cap of a {self.cap} is {self.most} removals"
        )

    def to_json(self) -> dict[str, object]:
        """Return the numbers, and the sentence."""
        return {**{each.name: getattr(self, each.name) for each in fields(self)}, "message": str(self)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Postponement":
        """Return the postponement that :meth:`to_json` wrote."""
        return cls(**{each.name: document[each.name] for each in fields(cls)})


def within_run[Place: tuple[str, ...]](removals: Mapping[Place, int], most: int | None) -> frozenset[Place]:
    """Return the repositories whose plans one run carries out: the shortest plans first, at least one.

    ``removals`` says how much each plan removes; those that remove nothing are not asked about.
    """
    ordered = sorted(removals, key=lambda place: (removals[place], place))
    if most is None:
        return frozenset(ordered)
    chosen: list[Place] = []
    room = most
    for place in ordered:
        room -= removals[place]
        if room < 0 and chosen:
            break
        chosen.append(place)
    return frozenset(chosen)
