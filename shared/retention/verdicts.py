"""The plan as a value: one verdict for every tag and manifest of a repository, and the removals in order."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from shared.oci.names import Digest, LoginServer, RepositoryName, TagName
from shared.retention.caps import Postponement
from shared.retention.limits import Refusal
from shared.retention.reasons import Reason


class TagVerdict(NamedTuple):
    """Whether a tag stays, by which rule or protection, and why."""

    tag: TagName
    keep: bool
    rule: str | None
    reason: Reason


class ManifestVerdict(NamedTuple):
    """Whether a manifest stays, by which rule, and why."""

    digest: Digest
    keep: bool
    rule: str | None
    reason: Reason


class Untag(NamedTuple):
    """Remove a name; ``digest`` is what it must still point at when that happens.

    ``subject`` is set for a tag that belongs to another manifest, such as a signature's: it goes only
    after that manifest.
    """

    tag: TagName
    digest: Digest
    rule: str
    reason: Reason
    subject: Digest | None = None


class DeleteManifest(NamedTuple):
    """Remove a manifest, once no tag is left on it; ``size`` is an upper bound of what that frees.

    ``held_by`` are the manifests of the same plan that hold it: it goes only after they are gone.
    """

    digest: Digest
    size: int
    rule: str
    reason: Reason
    held_by: tuple[Digest, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryPlan:
    """What is to happen to one repository, decided and explained; ``delete`` is in the order to delete in.

    ``closed`` means that something could not be read, so that nothing is removed. ``refused`` means that
    a limit forbids to carry the plan out. ``postponed`` is what a cap leaves for the next run; until then its
    verdicts keep it. ``rules_matched`` are the rules that had anything to look at.
    """

    registry: LoginServer
    repository: RepositoryName
    at: datetime
    policy_digest: str
    tag_verdicts: tuple[TagVerdict, ...] = ()
    manifest_verdicts: tuple[ManifestVerdict, ...] = ()
    untag: tuple[Untag, ...] = ()
    delete: tuple[DeleteManifest, ...] = ()
    warnings: tuple[str, ...] = ()
    rules_matched: tuple[str, ...] = ()
    closed: bool = False
    refused: Refusal | None = None
    postponed: Postponement | None = None

    @property
    def counts(self) -> dict[str, int]:
        """Return how much there is, and how much of it goes; ``bytes`` is an upper bound.

        Layers that are shared with what stays are counted as if they went.
        """
        return {
            "tags": len(self.tag_verdicts),
            "untag": len(self.untag),
            "manifests": len(self.manifest_verdicts),
            "delete": len(self.delete),
            "bytes": sum(deletion.size for deletion in self.delete),
            "closed": int(self.closed),
            "refused": int(self.refused is not None),
            "postponed_tags": 0 if self.postponed is None else self.postponed.tags,
            "postponed_manifests": 0 if self.postponed is None else self.postponed.manifests,
        }

    @property
    def is_empty(self) -> bool:
        """Tell whether there is nothing to remove."""
        return not self.untag and not self.delete
