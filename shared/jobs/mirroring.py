"""Taking tags away from a target because their source is gone: only those that are ours, and still are."""

from collections.abc import Sequence
from datetime import datetime

from shared.errors import OperationDisallowed, StewardError
from shared.jobs.runs import replication_run
from shared.jobs.services import Services
from shared.jobs.targets import TargetRepository
from shared.messages import ReplicateTag
from shared.oci.names import Digest, LoginServer, Reference, TagName
from shared.replication.drift import Place, TagDrift, TargetListing
from shared.replication.mirror import MirrorOutcome, MirrorResult
from shared.retention.limits import Refusal, refuse


def refuse_mirroring(
    services: Services, drift: Sequence[TagDrift], listings: dict[Place, TargetListing]
) -> dict[Place, Refusal]:
    """Return the targets from which too much would go, by the limits of the policy's retention."""
    limit = services.policy.current().retention.limits.repository
    found: dict[Place, Refusal] = {}
    for place, listing in listings.items():
        going = sum((each.target.registry, each.target.repository) == place for each in drift)
        refusal = refuse({"tags": len(listing.tags), "untag": going}, limit, "repository")
        if refusal is not None:
            found[place] = refusal
    return found


class Mirror:
    """Removes orphaned tags of targets, looking once more at both sides right before each."""

    def __init__(self, services: Services, registry: LoginServer, now: datetime) -> None:
        self._services = services
        self._acr = services.registries.source(registry)
        self._now = now
        self._targets: dict[Place, TargetRepository] = {}

    def remove(self, drift: TagDrift) -> MirrorOutcome:
        """Remove one orphaned tag, unless its source is back or it holds something else by now.

        What the target refuses is an outcome; so is what cannot be told, since nothing goes then.

        :raises StewardError: of a temporary kind.
        """
        try:
            result, detail = self._remove(drift)
        except StewardError as error:
            if error.temporary:
                raise
            result, detail = ("locked" if isinstance(error, OperationDisallowed) else "failed"), str(error)
        return MirrorOutcome(target=drift.target, result=result, detail=detail, at=self._now)

    def _remove(self, drift: TagDrift) -> tuple[MirrorResult, str]:
        source, target, expected = drift.source, drift.target, drift.wanted
        if source is None or source.tag is None or target.tag is None or expected is None:
            return "failed", "nothing is known of where it came from"
        if self._digest_at_source(source, source.tag) is not None:
            return "came_back", "its source exists"
        place = self._place(target)
        found = place.digest(target.tag)
        if found is None:
            self._services.ledger.forget(target)
            return "already_gone", ""
        if found != expected:
            return "overwritten", f"it holds {found}, and {expected} was put there"
        place.untag(target.tag, expected)
        self._services.ledger.forget(target)
        if self._digest_at_source(source, source.tag) is not None:
            self._restore(drift, source)
            return "came_back", "its source came back meanwhile; it is copied again"
        return "removed", ""

    def _digest_at_source(self, source: Reference, tag: TagName) -> Digest | None:
        found = self._acr.repository(source.repository).resolve(tag)
        return None if found is None else found.digest

    def _restore(self, drift: TagDrift, source: Reference) -> None:
        """Queue the copy that a push at the very moment of the removal may have made in vain."""
        self._services.replication_queue.send(
            ReplicateTag(
                run=replication_run(self._now), route=drift.route or "", source=source, target=drift.target
            )
        )

    def _place(self, target: Reference) -> TargetRepository:
        key = (target.registry, target.repository)
        if key not in self._targets:
            self._targets[key] = TargetRepository(self._services, *key)
        return self._targets[key]
