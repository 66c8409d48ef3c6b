"""The part of a plan that one run carries out, where a cap lets it do no more.

A plan falls apart into units: a manifest that goes with its tags, with what it holds and with what holds it.
A unit is removed whole or left whole, so a part of a plan is as safe as the plan, and no manifest that is
left for later has lost its tags already.
"""

from collections.abc import Container, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from shared.oci.names import Digest, TagName
from shared.retention.caps import Postponement
from shared.retention.limits import Scope
from shared.retention.reasons import Because, Reason
from shared.retention.snapshot import RepositorySnapshot
from shared.retention.verdicts import RepositoryPlan


def take_portion(plan: RepositoryPlan, snapshot: RepositorySnapshot, most: int | None) -> RepositoryPlan:
    """Return the plan with at most so many removals: whole units, the longest untouched first.

    The first unit goes even if it alone is more than the cap: else it would never go. A plan that is refused
    stays as it is. ``snapshot`` is what the plan was made from.
    """
    if most is None or plan.refused is not None or _removals(plan) <= most:
        return plan
    tags: set[TagName] = set()
    manifests: set[Digest] = set()
    for unit in sorted(_units(plan, snapshot), key=lambda unit: (unit.touched, unit.name)):
        if (tags or manifests) and len(tags) + len(manifests) + unit.size > most:
            break
        tags.update(unit.tags)
        manifests.update(unit.manifests)
    return _keep_only(plan, tags, manifests, cap="repository", most=most)


def postpone(plan: RepositoryPlan, most: int) -> RepositoryPlan:
    """Return the plan with nothing left to do in this run, whose cap is reached by other repositories."""
    return _keep_only(plan, frozenset(), frozenset(), cap="run", most=most)


def _removals(plan: RepositoryPlan) -> int:
    return len(plan.untag) + len(plan.delete)


@dataclass(slots=True, kw_only=True)
class _Unit:
    """What goes together; ``touched`` is when any of it was last updated."""

    touched: datetime
    tags: list[TagName] = field(default_factory=list)
    manifests: list[Digest] = field(default_factory=list)

    @property
    def size(self) -> int:
        return len(self.tags) + len(self.manifests)

    @property
    def name(self) -> str:
        return min([*self.tags, *self.manifests])


def _units(plan: RepositoryPlan, snapshot: RepositorySnapshot) -> list[_Unit]:
    """Return the connected parts of what goes; a tag whose manifest stays is one by itself."""
    groups = _groups(plan, snapshot)
    units: dict[str, _Unit] = {}
    updated = {record.digest: record.updated for record in snapshot.manifests}
    pushed = {tag.name: tag.updated for tag in snapshot.tags}

    def unit_of(key: str, touched: datetime) -> _Unit:
        unit = units.setdefault(key, _Unit(touched=touched))
        unit.touched = max(unit.touched, touched)
        return unit

    for deletion in plan.delete:
        unit_of(groups.root(deletion.digest), updated[deletion.digest]).manifests.append(deletion.digest)
    for untag in plan.untag:
        key = groups.root(untag.digest) if untag.digest in groups else f"tag {untag.tag}"
        unit_of(key, pushed[untag.tag]).tags.append(untag.tag)
    return list(units.values())


def _groups(plan: RepositoryPlan, snapshot: RepositorySnapshot) -> "_Groups":
    """Join the manifests that go wherever one holds the other: as child, as referrer, or by a bound tag."""
    groups = _Groups(deletion.digest for deletion in plan.delete)
    for deletion in plan.delete:
        pointing = snapshot.edges.get(deletion.digest)
        if pointing is not None:
            for other in (*pointing.children, pointing.subject):
                if other is not None and other in groups:
                    groups.join(deletion.digest, other)
    for untag in plan.untag:
        if untag.subject is not None and untag.subject in groups and untag.digest in groups:
            groups.join(untag.subject, untag.digest)
    return groups


class _Groups:
    """Disjoint sets of digests, each known by one of its members."""

    def __init__(self, digests: Iterable[Digest]) -> None:
        self._parents: dict[Digest, Digest] = {digest: digest for digest in digests}

    def __contains__(self, digest: Digest) -> bool:
        return digest in self._parents

    def root(self, digest: Digest) -> Digest:
        parents = self._parents
        while (parent := parents[digest]) != digest:
            parents[digest] = digest = parents[parent]
        return digest

    def join(self, one: Digest, other: Digest) -> None:
        self._parents[self.root(one)] = self.root(other)


def _keep_only(
    plan: RepositoryPlan,
    tags: Container[TagName],
    manifests: Container[Digest],
    *,
    cap: Scope,
    most: int,
) -> RepositoryPlan:
    """Return the plan without the removals that are not named; their verdicts say what they wait for."""
    why = Reason(Because.POSTPONED, (cap, most))
    before = plan.postponed
    left_tags = sum(untag.tag not in tags for untag in plan.untag)
    left_manifests = sum(deletion.digest not in manifests for deletion in plan.delete)
    return replace(
        plan,
        tag_verdicts=tuple(
            stands if stands.keep or stands.tag in tags else stands._replace(keep=True, reason=why)
            for stands in plan.tag_verdicts
        ),
        manifest_verdicts=tuple(
            verdict
            if verdict.keep or verdict.digest in manifests
            else verdict._replace(keep=True, reason=why)
            for verdict in plan.manifest_verdicts
        ),
        untag=tuple(untag for untag in plan.untag if untag.tag in tags),
        delete=tuple(deletion for deletion in plan.delete if deletion.digest in manifests),
        postponed=Postponement(
            cap=cap,
            most=most,
            tags=left_tags + (before.tags if before else 0),
            manifests=left_manifests + (before.manifests if before else 0),
        ),
    )
