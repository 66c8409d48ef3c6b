"""The look at a tag or a manifest right before it is removed: why it stays after all, if it does."""

from collections.abc import Container
from typing import NamedTuple

from shared.jobs.cleaned import CleanedRegistry
from shared.oci.names import Digest
from shared.retention.plan import DeleteManifest, RepositoryPlan, Untag
from shared.retention.report import Result


class Found(NamedTuple):
    """What came of an action, and why."""

    result: Result
    detail: str = ""


def why_tag_stays(registry: CleanedRegistry, plan: RepositoryPlan, untag: Untag) -> Found | None:
    """Return why the tag is not removed, ``None`` when it is as the plan saw it.

    :raises StewardError: when the registry does not say.
    """
    manifest = registry.manifest_attributes(plan.repository, untag.digest)
    if manifest is not None and manifest.record.locked:
        return Found("locked", f"{untag.digest} is locked")
    now = registry.tag_attributes(plan.repository, untag.tag)
    if now is None:
        return Found("already_gone")
    if now.digest != untag.digest:
        return Found("moved", f"points at {now.digest} since the plan")
    if now.updated > plan.at:
        return Found("moved", f"pushed again at {now.updated:%Y-%m-%d %H:%M:%S} UTC")
    return Found("locked") if now.locked else None


def why_manifest_stays(
    registry: CleanedRegistry, plan: RepositoryPlan, deletion: DeleteManifest, *, untagged: Container[Digest]
) -> Found | None:
    """Return why the manifest is not deleted, ``None`` when it has no tag, no lock and was not pushed again.

    Of those that this plan ``untagged`` a later update says nothing: whether untagging counts as an update
    of the manifest is not documented.

    :raises StewardError: when the registry does not say.
    """
    now = registry.manifest_attributes(plan.repository, deletion.digest)
    if now is None:
        return Found("already_gone")
    if now.tags:
        return Found("retagged", f"has the tag {now.tags[0]}")
    if now.record.updated > plan.at and deletion.digest not in untagged:
        return Found("retagged", f"pushed again at {now.record.updated:%Y-%m-%d %H:%M:%S} UTC")
    return Found("locked") if now.record.locked else None
