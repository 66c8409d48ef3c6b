"""How a source repository and its targets differ, worked out from what each of them holds.

Deletes have to be found this way: an ``ImageDeleted`` event carries a digest and no tag, and removing only a
tag raises no event at all (Azure Event Grid, "Container Registry as a source").
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from shared.oci.names import Digest, LoginServer, Reference, RepositoryName, TagName
from shared.replication.replicas import Replica
from shared.replication.routes import (
    ReplicationPolicy,
    ReplicationTarget,
    UnmappablePush,
    map_push,
)

type Place = tuple[LoginServer, RepositoryName]
type DriftState = Literal["missing", "different", "orphaned", "overwritten", "unrouted", "foreign"]
"""``missing`` and ``different`` are to be copied. The others are tags that only the target has: ``orphaned``
is ours and its source is gone; ``overwritten`` was ours and holds something else by now; ``unrouted`` is
ours, and the policy does not take its source any more; ``foreign`` was never put there by this app."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TagDrift:
    """One tag of a target that is not what its source says; ``found`` is what it holds, if it is there."""

    state: DriftState
    target: Reference
    found: Digest | None = None
    route: str | None = None
    source: Reference | None = None
    wanted: Digest | None = None
    mirror: bool = False

    def to_json(self) -> dict[str, object]:
        """Return the stored form."""
        return {
            "state": self.state,
            "target": str(self.target),
            "source": None if self.source is None else str(self.source),
            "route": self.route,
            "found": self.found,
            "wanted": self.wanted,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetListing:
    """What one repository of a target holds, and what the ledger says of it."""

    tags: Mapping[TagName, Digest | None]
    replicas: Mapping[TagName, Replica]


class TagWithoutName(NamedTuple):
    """A source's tag that a route takes and cannot name on its target."""

    source: Reference
    push: UnmappablePush

    def to_json(self) -> dict[str, object]:
        """Return the stored form."""
        return {
            "source": str(self.source),
            "route": self.push.route,
            "target": self.push.template,
            "reason": self.push.reason,
        }


class Comparison:
    """One source repository against every repository that its tags go to.

    ``tags`` are the source's. First ask :attr:`places`, list these, then ask for the differences.
    """

    def __init__(
        self,
        registry: LoginServer,
        repository: RepositoryName,
        tags: Mapping[TagName, Digest],
        policy: ReplicationPolicy,
    ) -> None:
        self._home: Place = (registry, repository)
        self._tags = tags
        self._policy = policy
        self._routed: list[tuple[Reference, Digest, ReplicationTarget]] = []
        self.unmappable: list[TagWithoutName] = []
        """What routes take and cannot name on their targets."""
        for tag, digest in sorted(tags.items()):
            source = Reference(registry=registry, repository=repository, tag=tag)
            targets, nameless = map_push(source, policy)
            self._routed.extend((source, digest, routed) for routed in targets)
            self.unmappable.extend(TagWithoutName(source, each) for each in nameless)

    @property
    def places(self) -> dict[Place, set[TagName]]:
        """Return the targets' repositories, each with the tags that should be in it."""
        found: dict[Place, set[TagName]] = {}
        for _, _, routed in self._routed:
            found.setdefault(_place(routed.target), set()).add(_tag(routed.target))
        return found

    def compared(self, listings: Mapping[Place, TargetListing]) -> int:
        """Return how many tags the listed targets together should have."""
        return sum(_place(routed.target) in listings for _, _, routed in self._routed)

    def behind(self, listings: Mapping[Place, TargetListing]) -> Iterator[TagDrift]:
        """Yield what has to be copied, in the order of the source's tags; nothing for what was not listed."""
        for source, digest, routed in self._routed:
            listing = listings.get(_place(routed.target))
            if listing is None:
                continue
            tag = _tag(routed.target)
            found = listing.tags.get(tag)
            if self._is_right(digest, found, routed, listing.replicas.get(tag)):
                continue
            yield TagDrift(
                state="missing" if tag not in listing.tags else "different",
                target=routed.target,
                found=found,
                route=routed.route,
                source=source,
                wanted=digest,
            )

    def surplus(self, listings: Mapping[Place, TargetListing]) -> Sequence[TagDrift]:
        """Return the tags that only the targets have, but for those that came from other repositories."""
        wanted = {routed.target for _, _, routed in self._routed}
        found: list[TagDrift] = []
        for (registry, repository), listing in listings.items():
            for tag, digest in sorted(listing.tags.items()):
                target = Reference(registry=registry, repository=repository, tag=tag)
                if target not in wanted:
                    found.extend(self._extra(target, digest, listing.replicas.get(tag)))
        return found

    def _is_right(
        self, digest: Digest, found: Digest | None, routed: ReplicationTarget, replica: Replica | None
    ) -> bool:
        if found == digest:
            return True
        platforms = ",".join(routed.platforms)
        return bool(platforms) and replica is not None and replica.shows(digest, found, platforms=platforms)

    def _extra(self, target: Reference, found: Digest | None, replica: Replica | None) -> Iterator[TagDrift]:
        if replica is None:
            yield TagDrift(state="foreign", target=target, found=found)
            return
        if _place(replica.source) != self._home:
            return
        state: DriftState = "orphaned"
        if _tag(replica.source) in self._tags:
            state = "unrouted"
        elif found is not None and found != replica.digest:
            state = "overwritten"
        route = self._policy.route(replica.route)
        yield TagDrift(
            state=state,
            target=target,
            found=found,
            route=replica.route,
            source=replica.source,
            wanted=replica.digest,
            mirror=route is not None and route.on_delete == "mirror" and route.source.covers(*self._home),
        )


def _place(reference: Reference) -> Place:
    return reference.registry, reference.repository


def _tag(reference: Reference) -> TagName:
    return TagName(reference.tag or "")
