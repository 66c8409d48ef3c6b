"""The order in which a plan is carried out: what holds something is removed before what it holds."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from shared.oci.names import Digest
from shared.retention.bound import bound_subject
from shared.retention.plan import DeleteManifest, Untag


def waves(deletions: Sequence[DeleteManifest]) -> Iterator[list[DeleteManifest]]:
    """Yield the deletions in groups, so that every holder is in an earlier group than what it holds."""
    level: dict[Digest, int] = {}
    found: Mapping[int, list[DeleteManifest]] = defaultdict(list)
    for deletion in deletions:
        depth = 1 + max((level.get(holder, -1) for holder in deletion.held_by), default=-1)
        level[deletion.digest] = depth
        found[depth].append(deletion)
    for depth in sorted(found):
        yield found[depth]


def is_bound(untag: Untag) -> bool:
    """Tell whether the tag belongs to a manifest by its name, be that in the repository or not."""
    return untag.subject is not None or bound_subject(untag.tag) not in {None, untag.digest}


def name_of(action: Untag | DeleteManifest) -> str:
    """Return what the action removes."""
    return action.tag if isinstance(action, Untag) else action.digest
