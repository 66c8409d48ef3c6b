"""One repository of ACR as it was at one moment, read so that a race can only make it look *more* in use.

The order is what makes it safe:

1. the manifests are listed, and the bodies that may point at others are read meanwhile;
2. then the tags. A tag that appears while we read is therefore seen on a manifest that we know, or on one
   that we do not know and so will not delete. The other way round, a push between the two lists would leave
   its new manifest in the list of manifests without a tag to hold it.
3. Where the two lists disagree (the list of manifests names tags, too), the tag itself is asked.

What remains is a tag put on an old manifest after its page was read. No snapshot can exclude that, which is
why whoever deletes looks at each manifest once more.
"""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from typing import Final, NamedTuple, Protocol

from shared.errors import (
    AuthenticationFailed,
    InvalidManifest,
    NotFound,
    RegistryError,
)
from shared.oci import media_types
from shared.oci.graph import Edges
from shared.oci.manifest import ImageIndex, parse_manifest
from shared.oci.names import Digest, LoginServer, RepositoryName, TagName
from shared.registry.acr_attributes import ManifestAttributes, RepositoryAttributes
from shared.registry.counting import worker_pool
from shared.registry.repository import RepositoryClient
from shared.retention.snapshot import ManifestRecord, RepositorySnapshot, TagRecord

_NOTHING: Final = Edges()


class SnapshotSource(Protocol):
    """What a snapshot is taken from: an :class:`shared.registry.acr.AcrClient`."""

    login_server: LoginServer

    def repository(self, name: RepositoryName) -> RepositoryClient:
        """Return the repository's client."""

    def repository_attributes(self, name: RepositoryName) -> RepositoryAttributes:
        """Return the repository's attributes."""

    def list_manifest_records(self, name: RepositoryName) -> Iterable[ManifestAttributes]:
        """Yield the manifests."""

    def list_tag_records(self, name: RepositoryName) -> Iterable[TagRecord]:
        """Yield the tags."""

    def tag_attributes(self, name: RepositoryName, tag: TagName) -> TagRecord | None:
        """Return one tag as it is now."""

    def manifest_attributes(self, name: RepositoryName, digest: Digest) -> ManifestAttributes | None:
        """Return one manifest as it is now."""


class _Unreadable(NamedTuple):
    reason: str
    gone: bool = False


type _Body = Edges | _Unreadable


def take_snapshot(
    source: SnapshotSource,
    name: RepositoryName,
    *,
    edges_known: Mapping[Digest, Edges],
    threads: int,
    at: datetime,
    edges_read: dict[Digest, Edges] | None = None,
) -> RepositorySnapshot:
    """Return what the repository holds: tags, manifests, locks, and what manifests point at.

    A body that cannot be read is reported with the reason, never taken as pointing at nothing. One that
    is gone, both as content and from the listing, is left out, unless a tag still claims it. Bodies that were
    read are added to ``edges_read``, also when the snapshot fails: then the next one has less to read.

    :raises NotFound: when the repository does not exist.
    :raises RegistryError: when the registry did not answer; a part of a repository is no snapshot.
    """
    attributes = source.repository_attributes(name)
    pool = worker_pool(threads, "snapshot")
    reading = _Reading(source, name, edges_known, pool)
    try:
        reading.add_manifests(source.list_manifest_records(name))
        reading.tags.update((tag.name, tag) for tag in source.list_tag_records(name))
        reading.settle_disagreements()
        edges, unreadable = reading.collect_bodies()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        if edges_read is not None:
            edges_read.update(reading.read())
    return RepositorySnapshot(
        registry=source.login_server,
        repository=name,
        taken_at=at,
        tags=tuple(reading.tags.values()),
        manifests=tuple(reading.manifests.values()),
        edges=edges,
        unreadable=unreadable,
        locked=attributes.locked,
        warnings=tuple(reading.warnings),
    )


class _Reading:
    """A snapshot in the making."""

    def __init__(
        self,
        source: SnapshotSource,
        name: RepositoryName,
        edges_known: Mapping[Digest, Edges],
        pool: ThreadPoolExecutor,
    ) -> None:
        self._source = source
        self._repository = source.repository(name)
        self._name = name
        self._edges_known = edges_known
        self._pool = pool
        self._bodies: dict[Digest, Future[_Body]] = {}
        self._named: dict[TagName, Digest] = {}
        self.manifests: dict[Digest, ManifestRecord] = {}
        self.tags: dict[TagName, TagRecord] = {}
        self.warnings: list[str] = []

    def add_manifests(self, listed: Iterable[ManifestAttributes]) -> None:
        manifests, named, known = self.manifests, self._named, self._edges_known
        for record, tags in listed:
            digest = record.digest
            manifests[digest] = record
            for tag in tags:
                named[tag] = digest
            if digest not in known and media_types.may_point_at_manifests(record.media_type):
                self._submit(record)

    def _submit(self, record: ManifestRecord) -> None:
        if record.digest not in self._bodies:
            self._bodies[record.digest] = self._pool.submit(self._read_body, record)

    def settle_disagreements(self) -> None:
        """Ask each tag on which the two lists differ, and look for manifests that only a tag knows."""
        doubtful = [tag for tag, digest in self._named.items() if self._listed_digest(tag) != digest]
        doubtful.extend(
            tag.name
            for tag in self.tags.values()
            if tag.digest not in self.manifests and self._named.get(tag.name) in {None, tag.digest}
        )
        for tag, current in zip(doubtful, self._pool.map(self._ask_tag, doubtful), strict=True):
            if current is None:
                self.tags.pop(tag, None)
            else:
                self.tags[tag] = current
        for tag_record in list(self.tags.values()):
            if tag_record.digest not in self.manifests:
                self._add_unlisted(tag_record)

    def _listed_digest(self, tag: TagName) -> Digest | None:
        listed = self.tags.get(tag)
        return None if listed is None else listed.digest

    def _ask_tag(self, tag: TagName) -> TagRecord | None:
        return self._source.tag_attributes(self._name, tag)

    def _add_unlisted(self, tag: TagRecord) -> None:
        found = self._source.manifest_attributes(self._name, tag.digest)
        if found is None:
            self.warnings.append(f"tag {tag.name} points at {tag.digest}, which the registry does not list")
        else:
            self.add_manifests([found])

    def collect_bodies(self) -> tuple[dict[Digest, Edges], dict[Digest, str]]:
        edges = {digest: known for digest, known in self._edges_known.items() if digest in self.manifests}
        unreadable: dict[Digest, str] = {}
        tagged = {tag.digest for tag in self.tags.values()}
        for digest, future in self._bodies.items():
            body = future.result()
            if isinstance(body, Edges):
                edges[digest] = body
            elif body.gone and digest not in tagged:
                del self.manifests[digest]
                self.warnings.append(f"{digest} was deleted while the repository was read")
            else:
                unreadable[digest] = body.reason
        return edges, unreadable

    def read(self) -> Iterator[tuple[Digest, Edges]]:
        """Yield the bodies that were read, once no more will be."""
        for digest, future in self._bodies.items():
            if not future.cancelled() and future.exception() is None:
                body = future.result()
                if isinstance(body, Edges):
                    yield digest, body

    def _read_body(self, record: ManifestRecord) -> _Body:
        try:
            return read_edges(self._repository, record)
        except NotFound as error:
            gone = self._source.manifest_attributes(self._name, record.digest) is None
            return _Unreadable(str(error), gone=gone)
        except InvalidManifest as error:
            return _Unreadable(str(error))
        except RegistryError as error:
            if error.temporary or isinstance(error, AuthenticationFailed):
                raise
            return _Unreadable(str(error))


def read_edges(repository: RepositoryClient, record: ManifestRecord) -> Edges:
    """Return what the manifest's body points at.

    :raises InvalidManifest: when the body cannot be understood.
    :raises RegistryError: when it cannot be read.
    """
    fetched = repository.fetch_manifest(record.digest)
    manifest = parse_manifest(fetched.content, fetched.descriptor.media_type or record.media_type)
    children = tuple(child.digest for child in manifest.manifests) if isinstance(manifest, ImageIndex) else ()
    subject = None if manifest.subject is None else manifest.subject.digest
    return Edges(children, subject) if children or subject else _NOTHING
