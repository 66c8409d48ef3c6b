"""Deciding what goes from one repository, and whether that is too much."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from shared.oci.names import Digest, TagName
from shared.retention.limits import Limits, refuse
from shared.retention.planner import Planner
from shared.retention.portion import take_portion
from shared.retention.reasons import Because, Reason
from shared.retention.rules import RetentionPolicy
from shared.retention.snapshot import ManifestRecord, RepositorySnapshot, TagRecord
from shared.retention.verdicts import (
    DeleteManifest,
    ManifestVerdict,
    RepositoryPlan,
    TagVerdict,
    Untag,
)

__all__ = [
    "DeleteManifest",
    "ManifestVerdict",
    "RepositoryPlan",
    "TagVerdict",
    "Untag",
    "check_limits",
    "plan_repository",
    "plan_within_limits",
    "rules_without_match",
]


def plan_repository(
    snapshot: RepositorySnapshot, policy: RetentionPolicy, *, now: datetime
) -> RepositoryPlan:
    """Return what the policy wants removed from the repository as it was seen, and why all else stays.

    Nothing is decided by the order of the snapshot's records or of the policy's rules.
    """
    tags = _distinct_tags(snapshot.tags)
    manifests = _distinct_manifests(snapshot.manifests)
    if not snapshot.locked and policy.covers(snapshot.registry, snapshot.repository):
        return Planner(snapshot, policy, tags, manifests, now).plan()
    stays = Reason(Because.REPOSITORY_LOCKED if snapshot.locked else Because.NO_RULE)
    return RepositoryPlan(
        registry=snapshot.registry,
        repository=snapshot.repository,
        at=now,
        policy_digest=policy.digest,
        tag_verdicts=tuple(TagVerdict(tag, True, None, stays) for tag in tags),
        manifest_verdicts=tuple(ManifestVerdict(digest, True, None, stays) for digest in sorted(manifests)),
        warnings=snapshot.warnings,
    )


def plan_within_limits(
    snapshot: RepositorySnapshot, policy: RetentionPolicy, *, now: datetime
) -> RepositoryPlan:
    """Return the plan that one run may carry out: refused where a limit says so, else cut to the cap.

    The limits look at all that the policy wants gone: a cap is no way around a brake.
    """
    whole = check_limits(plan_repository(snapshot, policy, now=now), policy.limits)
    return take_portion(whole, snapshot, policy.at_most.repository)


def check_limits(plan: RepositoryPlan, limits: Limits) -> RepositoryPlan:
    """Return the plan, refused when it removes more than one repository may lose; never a part of it."""
    refusal = refuse(plan.counts, limits.repository, "repository")
    return plan if refusal is None else replace(plan, refused=refusal)


def rules_without_match(policy: RetentionPolicy, plans: Iterable[RepositoryPlan]) -> tuple[str, ...]:
    """Return the rules that found nothing in any plan: most likely a pattern that is wrong."""
    matched = {rule for plan in plans for rule in plan.rules_matched}
    return tuple(name for name in policy.rule_names if name not in matched)


def _distinct_tags(records: Iterable[TagRecord]) -> dict[TagName, TagRecord]:
    """Return the tags sorted by name; of one that paging returned twice, the latest, locked if either is."""
    found: dict[TagName, TagRecord] = {}
    for record in sorted(records):
        twin = found.get(record.name)
        if twin is not None:
            latest = max(record, twin, key=lambda tag: (tag.updated, tag.created, tag.digest))
            record = latest._replace(locked=record.locked or twin.locked)  # noqa: PLW2901
        found[record.name] = record
    return found


def _distinct_manifests(records: Sequence[ManifestRecord]) -> dict[Digest, ManifestRecord]:
    found = {record.digest: record for record in records}
    if len(found) == len(records):
        return found
    for record in records:
        twin = found[record.digest]
        found[record.digest] = twin._replace(
            media_type=twin.media_type if twin.media_type == record.media_type else None,
            created=max(twin.created, record.created),
            updated=max(twin.updated, record.updated),
            size=max(twin.size, record.size),
            locked=twin.locked or record.locked,
        )
    return found
