"""What the laws of plans are told with: a plan carried out the way a registry would, and what it keeps."""

from dataclasses import replace

from shared.oci.names import Digest, TagName
from shared.retention.bound import bound_tags
from shared.retention.plan import RepositoryPlan
from shared.retention.snapshot import RepositorySnapshot, TagRecord


def kept_tags(plan: RepositoryPlan) -> set[TagName]:
    return {verdict.tag for verdict in plan.tag_verdicts if verdict.keep}


def kept_manifests(plan: RepositoryPlan) -> set[Digest]:
    return {verdict.digest for verdict in plan.manifest_verdicts if verdict.keep}


def after(snapshot: RepositorySnapshot, plan: RepositoryPlan) -> RepositorySnapshot:
    """Carry the plan out, the way a registry would."""
    gone = {entry.digest for entry in plan.delete}
    untagged = {entry.tag for entry in plan.untag}
    return replace(
        snapshot,
        tags=[tag for tag in snapshot.tags if tag.name not in untagged and tag.digest not in gone],
        manifests=[record for record in snapshot.manifests if record.digest not in gone],
        edges={digest: pointing for digest, pointing in snapshot.edges.items() if digest not in gone},
    )


def ordinary(snapshot: RepositorySnapshot) -> list[TagRecord]:
    bound = bound_tags(snapshot.tags, {record.digest for record in snapshot.manifests})
    return [tag for tag in snapshot.tags if tag.name not in bound]
