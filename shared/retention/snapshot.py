"""What was seen of one repository at one moment: all that a plan is made from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from shared.oci.graph import Edges
from shared.oci.names import Digest, LoginServer, RepositoryName, TagName

__all__ = ["Edges", "ManifestRecord", "RepositorySnapshot", "TagRecord"]


class TagRecord(NamedTuple):
    """One tag; a named tuple, because a registry may have a million of them.

    ``updated`` is when the tag was last pointed at a manifest (ACR's ``lastUpdateTime``: the push).
    ``locked`` means that deleting or writing it is disabled.
    """

    name: TagName
    digest: Digest
    created: datetime
    updated: datetime
    locked: bool = False


class ManifestRecord(NamedTuple):
    """One manifest; ``size`` is that of everything it holds, as the registry counts it."""

    digest: Digest
    media_type: str | None
    created: datetime
    updated: datetime
    size: int = 0
    locked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositorySnapshot:
    """One repository as listed; all times are aware.

    ``edges`` has the manifests that point at others; one that is absent there and in ``unreadable``
    points at nothing. ``unreadable`` has the manifests whose bodies could not be read, with the reason:
    what they hold is unknown. ``locked`` means that deleting from or writing to the repository is
    disabled. ``warnings`` are what the reader of the registry wants said in the plan.
    """

    registry: LoginServer
    repository: RepositoryName
    taken_at: datetime
    tags: Sequence[TagRecord]
    manifests: Sequence[ManifestRecord]
    edges: Mapping[Digest, Edges] = field(default_factory=dict)
    unreadable: Mapping[Digest, str] = field(default_factory=dict)
    locked: bool = False
    warnings: tuple[str, ...] = ()
