"""Docker Hub's repositories as retention needs to see them: tags, manifests, and what points at what.

Two services are asked: Docker Hub's API knows tags, times and untagged manifests and removes names; its
registry has the bodies and deletes manifests. The API's list of manifests is not documented (docker/roadmap
#795); where it is missing, only what tags reach is known, and nothing else can be deleted.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final, Protocol

from shared.errors import (
    AccessDenied,
    NotFound,
    OperationDisallowed,
    RateLimited,
    RegistryError,
)
from shared.oci.graph import Edges
from shared.oci.media_types import may_point_at_manifests
from shared.oci.names import DOCKER_HUB, Digest, LoginServer, RepositoryName, TagName
from shared.registry.acr_attributes import ManifestAttributes, RepositoryAttributes
from shared.registry.client import RegistryClient
from shared.registry.dockerhub import DockerHubClient
from shared.registry.hub_reading import HubBodies, HubListing, tag_record, unlisted
from shared.registry.repository import RepositoryClient
from shared.registry.snapshot import read_edges
from shared.retention.snapshot import ManifestRecord, RepositorySnapshot, TagRecord

_LISTED_FOR: Final = 5.0
"""How long a list is taken as what there is now; Docker Hub itself refuses to delete what something holds."""

PULL_RESERVE: Final = 50
"""How many pulls are left to others unless settings say so."""

_DEEPEST: Final = 10
_UNLISTED: Final = "Docker Hub did not list its manifests: what no tag reaches is not known, and stays"
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)

type SourceTimes = Callable[[RepositoryName, TagName, Digest], tuple[datetime, datetime] | None]
"""Returns when a tag was created and last pushed at its source, if it holds what was copied from there."""


class EdgeMemory(Protocol):
    """What manifests were seen to point at, remembered so that none is pulled for it twice."""

    def load(self, registry: LoginServer, repository: RepositoryName) -> Mapping[Digest, Edges]:
        """Return what was saved."""

    def save(self, registry: LoginServer, repository: RepositoryName, edges: Mapping[Digest, Edges]) -> None:
        """Replace what was saved."""


class HubReplica:
    """Looks at and cleans repositories of Docker Hub; answers as :class:`shared.registry.acr.AcrClient` does.

    ``source_times`` tells what Docker Hub does not know: there each replicated tag is as old as its
    replication (goharbor/harbor #17401), and retention by that would remove the wrong ones. A snapshot stops
    before fewer than ``pull_reserve`` pulls are left, and goes on from its ``memory`` later.
    """

    def __init__(
        self,
        api: DockerHubClient,
        registry: RegistryClient,
        *,
        source_times: SourceTimes,
        memory: EdgeMemory | None = None,
        pull_reserve: int = PULL_RESERVE,
    ) -> None:
        self.login_server = DOCKER_HUB
        self._api = api
        self._registry = registry
        self._source_times = source_times
        self._memory = memory
        self._pull_reserve = pull_reserve
        self._edges: dict[RepositoryName, Mapping[Digest, Edges]] = {}
        self._listings: dict[RepositoryName, HubListing] = {}
        self._guard = threading.Lock()

    def repository(self, name: RepositoryName) -> RepositoryClient:
        """Return the client of the repository's content."""
        return self._registry.repository(name)

    def repository_attributes(self, name: RepositoryName) -> RepositoryAttributes:
        """Return what there is to say of the repository: Docker Hub has no locks.

        :raises NotFound: when it does not exist.
        """
        found = self._api.find_repository(name)
        if found is None:
            raise NotFound(f"{name} does not exist", registry=DOCKER_HUB)
        moment = found.updated or found.registered or _NEVER
        return RepositoryAttributes(name, found.registered or moment, moment, 0, 0, True, True)

    def snapshot(
        self,
        name: RepositoryName,
        *,
        edges_known: Mapping[Digest, Edges] | None = None,
        edges_read: dict[Digest, Edges] | None = None,
    ) -> RepositorySnapshot:
        """Return all that a plan needs to know of the repository; the age of a replica is its source's.

        Each body that is not known yet is a pull of Docker Hub's; it is added to ``edges_read``, also when
        the snapshot fails.

        :raises NotFound: when the repository does not exist.
        :raises RateLimited: when too few pulls are left; what was read until then is remembered.
        """
        self.repository_attributes(name)
        listing = HubListing.of(self._api, self.repository(name), name)
        known = edges_known or {}
        reading = HubBodies(self.repository(name), dict(known), self._pull_reserve)
        manifests = {each.record.digest: each.record for each in listing.manifests.values()}
        level = list(manifests.values())
        try:
            for _ in range(_DEEPEST):
                level = [
                    unlisted(child, record)
                    for record in level
                    for child in reading.edges_of(record).children
                    if child not in manifests
                ]
                if not level:
                    break
                manifests.update((record.digest, record) for record in level)
        except RateLimited:
            if self._memory is not None:
                self._memory.save(DOCKER_HUB, name, reading.of(manifests))
            raise
        finally:
            if edges_read is not None:
                edges_read.update((each, to) for each, to in reading.edges.items() if each not in known)
        self._edges[name] = reading.edges
        there = [record for record in manifests.values() if record.digest not in reading.gone]
        return RepositorySnapshot(
            registry=DOCKER_HUB,
            repository=name,
            taken_at=datetime.now(UTC),
            tags=tuple(self._aged(name, tag) for tag in listing.tags.values()),
            manifests=tuple(there),
            edges=reading.of(manifests),
            unreadable=reading.unreadable,
            warnings=() if listing.complete else (_UNLISTED,),
        )

    def tag_attributes(self, name: RepositoryName, tag: TagName) -> TagRecord | None:
        """Return the tag as it is now, with the time of its replication; ``None`` when it does not exist."""
        found = self._api.find_tag(name, tag)
        if found is None:
            return None
        return tag_record(found, self.repository(name))

    def manifest_attributes(self, name: RepositoryName, digest: Digest) -> ManifestAttributes | None:
        """Return the manifest, with the tags on it as they were listed some seconds ago at most."""
        described = self.repository(name).resolve(digest)
        if described is None:
            return None
        listed_tags, listed_manifests = self._listed(name)
        tags = tuple(tag.name for tag in listed_tags if tag.digest == digest)
        known = next((each for each in listed_manifests if each.record.digest == digest), None)
        record = known.record if known else ManifestRecord(digest, described.media_type, _NEVER, _NEVER)
        return ManifestAttributes(record, tags)

    def list_manifest_records(
        self, name: RepositoryName, *, newest_first: bool = False
    ) -> Iterator[ManifestAttributes]:
        """Yield the manifests as they were listed some seconds ago at most."""
        _, found = self._listed(name)
        if newest_first:
            found.sort(key=lambda each: each.record.updated, reverse=True)
        return iter(found)

    def lists_all(self, name: RepositoryName) -> bool:
        """Tell whether Docker Hub lists every manifest, or only those are known that tags point at."""
        self._listed(name)
        with self._guard:
            return self._listings[name].complete

    def read_edges(self, name: RepositoryName, record: ManifestRecord) -> Edges:
        """Return what the body of one manifest points at.

        :raises InvalidManifest: when the body cannot be understood.
        :raises RegistryError: when it cannot be read.
        """
        return (
            read_edges(self.repository(name), record)
            if may_point_at_manifests(record.media_type)
            else Edges()
        )

    def untag(self, name: RepositoryName, tag: TagName) -> bool:
        """Remove the tag and leave the manifest; ``False`` when it was already gone."""
        removed = self._api.delete_tag(name, tag)
        self._forget(name, tag)
        return removed

    def delete_manifest(self, name: RepositoryName, digest: Digest) -> bool:
        """Delete the manifest; ``False`` when it was already gone.

        Docker Hub answers 500 while it deletes in the background (Docker Hub registry API reference,
        "Delete image manifest"): that counts as done once the manifest is not shown any more.

        :raises OperationDisallowed: when a tag or another image still holds it.
        """
        removed = self._delete_manifest(self.repository(name), digest)
        self._forget(name, digest)
        return removed

    def _delete_manifest(self, repository: RepositoryClient, digest: Digest) -> bool:
        name = repository.name
        if name not in self._edges:
            self._edges[name] = {} if self._memory is None else self._memory.load(DOCKER_HUB, name)
        try:
            return repository.delete_manifest(
                digest,
                pointing=self._edges[name].get(digest, Edges()),
                untag=lambda tag: self.untag(name, tag),
            )
        except AccessDenied as error:
            raise OperationDisallowed(
                f"{digest} is held by something that is not in the plan: {error.message}", registry=DOCKER_HUB
            ) from error
        except RegistryError as error:
            if error.status != HTTPStatus.INTERNAL_SERVER_ERROR or repository.resolve(digest) is not None:
                raise
            return True

    def _forget(self, name: RepositoryName, gone: TagName | Digest) -> None:
        """Take out of the list what we removed ourselves."""
        with self._guard:
            listing = self._listings.get(name)
            if listing is not None:
                listing.tags.pop(TagName(gone), None)
                listing.manifests.pop(Digest(gone), None)

    def _listed(self, name: RepositoryName) -> tuple[list[TagRecord], list[ManifestAttributes]]:
        """Return what is there, as of some seconds ago at most, without what we removed since."""
        with self._guard:
            listing = self._listings.get(name)
            if listing is None or time.monotonic() - listing.at > _LISTED_FOR:
                listing = self._listings[name] = HubListing.of(self._api, self.repository(name), name)
            return list(listing.tags.values()), list(listing.manifests.values())

    def _aged(self, name: RepositoryName, tag: TagRecord) -> TagRecord:
        times = self._source_times(name, tag.name, tag.digest)
        return tag if times is None else tag._replace(created=times[0], updated=times[1])
