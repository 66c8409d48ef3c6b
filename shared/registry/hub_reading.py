"""What Docker Hub lists of one repository, and bodies of its manifests, read sparingly: each is a pull."""

import time
from collections.abc import Container
from datetime import UTC, datetime
from typing import Final

from shared.errors import InvalidManifest, NotFound, RateLimited
from shared.oci.graph import Edges
from shared.oci.media_types import may_point_at_manifests
from shared.oci.names import DOCKER_HUB, Digest, RepositoryName, TagName
from shared.registry.acr_attributes import ManifestAttributes
from shared.registry.dockerhub import DockerHubClient
from shared.registry.dockerhub_records import HubTag
from shared.registry.repository import RepositoryClient
from shared.registry.snapshot import read_edges
from shared.retention.snapshot import ManifestRecord, TagRecord

_WHEN_SHORT: Final = 1800.0
"""Pulls come back within six hours; how is not documented, and asking again every half hour costs a HEAD."""


class HubListing:
    """What Docker Hub listed of one repository."""

    def __init__(
        self,
        tags: dict[TagName, TagRecord],
        manifests: dict[Digest, ManifestAttributes],
        *,
        complete: bool,
    ) -> None:
        self.at = time.monotonic()
        self.tags = tags
        self.manifests = manifests
        self.complete = complete

    @classmethod
    def of(cls, api: DockerHubClient, repository: RepositoryClient, name: RepositoryName) -> "HubListing":
        """List manifests first: a tag that appears meanwhile is then on one that is known, or on none."""
        listed = api.list_manifests(name)
        tags = {
            record.name: record
            for tag in api.list_tags(name)
            if (record := tag_record(tag, repository)) is not None
        }
        manifests = {
            each.digest: ManifestAttributes(
                ManifestRecord(
                    each.digest, each.media_type, each.pushed or _now(), each.pushed or _now(), each.size
                ),
                tuple(tag.name for tag in tags.values() if tag.digest == each.digest),
            )
            for each in listed or ()
        }
        for tag in tags.values():
            if tag.digest not in manifests:
                described = repository.resolve(tag.digest)
                media_type = None if described is None else described.media_type
                manifests[tag.digest] = ManifestAttributes(
                    ManifestRecord(tag.digest, media_type, tag.updated, tag.updated), (tag.name,)
                )
        return cls(tags, manifests, complete=listed is not None)


class HubBodies:
    """Bodies that were read, and why others could not be."""

    def __init__(self, repository: RepositoryClient, edges: dict[Digest, Edges], pull_reserve: int) -> None:
        self._repository = repository
        self._pull_reserve = pull_reserve
        self.edges = edges
        self.unreadable: dict[Digest, str] = {}
        self.gone: set[Digest] = set()

    def of(self, manifests: Container[Digest]) -> dict[Digest, Edges]:
        """Return what these of the manifests point at, as far as it is known."""
        return {digest: found for digest, found in self.edges.items() if digest in manifests}

    def edges_of(self, record: ManifestRecord) -> Edges:
        """Return what the manifest points at; nothing where its body says nothing that is understood.

        :raises RateLimited: when it would have to be pulled, and too few pulls are left.
        """
        if record.digest in self.edges or not may_point_at_manifests(record.media_type):
            return self.edges.get(record.digest, Edges())
        self._spare_the_reserve(record.digest)
        try:
            self.edges[record.digest] = read_edges(self._repository, record)
        except NotFound:
            self.gone.add(record.digest)
        except InvalidManifest as error:
            self.unreadable[record.digest] = str(error)
        return self.edges.get(record.digest, Edges())

    def _spare_the_reserve(self, digest: Digest) -> None:
        """Ask by HEAD, which is no pull, whether what was said to be left still is all that there is.

        :raises RateLimited: when it is.
        """
        pulls = self._repository.pulls
        if pulls.shortage(self._pull_reserve) is None:
            return
        self._repository.resolve(digest)
        shortage = pulls.shortage(self._pull_reserve)
        if shortage is not None:
            raise RateLimited(shortage, registry=DOCKER_HUB, retry_after=_WHEN_SHORT, status=None)


def unlisted(digest: Digest, parent: ManifestRecord) -> ManifestRecord:
    """Return a child that no list has: as old as its index, of a type that its body will tell."""
    return ManifestRecord(digest, None, parent.created, parent.updated)


def tag_record(tag: HubTag, repository: RepositoryClient) -> TagRecord | None:
    """Return the tag as retention sees it, ``None`` when it is gone; of unknown age is young."""
    digest = tag.digest
    if digest is None:
        described = repository.resolve(tag.name)
        if described is None:
            return None
        digest = described.digest
    pushed = tag.pushed or _now()
    return TagRecord(tag.name, digest, pushed, pushed)


def _now() -> datetime:
    return datetime.now(UTC)
