"""The ledger: which tags this app put on which target, and which repository there holds which blob.

::

    ledger/tags/{registry}/{repository}/_/{tag}.tag               one tag on a target
    ledger/sources/{registry}/{repository}/_/{target registry}/{target repository}
                                                                  where tags of a source were put
    ledger/blobs/{registry}/{digest}                              a repository that holds the blob

The blobs are empty; what they say stands in their metadata, so that one listing reads all tags of a
repository. No repository has a component ``_``, so one repository's names are never a prefix of
another's. Writers never wait for each other: each tag has its own blob, and the last one wins.
"""

import logging
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from threading import Lock
from typing import Final

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient

from shared.errors import InvalidInput, InvalidName, StorageError
from shared.oci.names import (
    Digest,
    LoginServer,
    Reference,
    RepositoryName,
    TagName,
    parse_login_server,
    parse_repository,
    parse_tag,
)
from shared.replication.replicas import Replica
from shared.storage.account import create_container, storage_errors

logger = logging.getLogger("steward.ledger")

type Place = tuple[LoginServer, RepositoryName]

_TAGS: Final = "ledger/tags"
_SOURCES: Final = "ledger/sources"
_BLOBS: Final = "ledger/blobs"
_SUFFIX: Final = ".tag"
_REMEMBERED: Final = 50_000


class Ledger:
    """What was put where; safe to share between threads and between instances of the app."""

    def __init__(self, service: BlobServiceClient, container: str) -> None:
        self._container = service.get_container_client(container)
        self._holders = _Recent[tuple[LoginServer, Digest], RepositoryName]()
        self._routes = _Recent[tuple[Place, Place], bool]()

    def record(self, target: Reference, replica: Replica) -> None:
        """Remember that the tag is being put on the target; called before it is.

        An entry of a push that fails afterwards does no harm: it claims a tag only as long as the tag
        holds its digest.

        :raises StorageError: when it cannot be saved; then the tag must not be written.
        """
        source = (replica.source.registry, replica.source.repository)
        place = (target.registry, target.repository)
        if self._routes.get((source, place)) is None:
            self._write(f"{_SOURCES}/{_path(source)}/{place[0]}/{place[1]}", {})
            self._routes.put((source, place), True)
        self._write(_tag_name(target), replica.to_fields())

    def forget(self, target: Reference) -> None:
        """Drop the tag's entry, if there is one."""
        name = _tag_name(target)
        with storage_errors(f"deleting {name}"):
            try:
                self._container.delete_blob(name)
            except ResourceNotFoundError:
                return

    def find(self, target: Reference) -> Replica | None:
        """Return what is known of a tag on a target."""
        name = _tag_name(target)
        fields = self._fields(name)
        return None if fields is None else _read(name, fields)

    def replicas(self, registry: LoginServer, repository: RepositoryName) -> dict[TagName, Replica]:
        """Return every tag that was put into one repository of a target."""
        prefix = f"{_TAGS}/{_path((registry, repository))}/"
        found: dict[TagName, Replica] = {}
        with storage_errors(f"listing {prefix}"):
            try:
                for blob in self._container.list_blobs(name_starts_with=prefix, include=["metadata"]):
                    replica = _read(blob.name, blob.metadata or {})
                    if replica is not None:
                        found[parse_tag(blob.name.removeprefix(prefix).removesuffix(_SUFFIX))] = replica
            except ResourceNotFoundError:
                return {}
        return found

    def targets_of(self, registry: LoginServer, repository: RepositoryName) -> tuple[Place, ...]:
        """Return the repositories that tags of this source were ever put into."""
        prefix = f"{_SOURCES}/{_path((registry, repository))}/"
        return tuple(_place(name.removeprefix(prefix)) for name in self._names(prefix))

    def sources(self) -> tuple[Place, ...]:
        """Return the repositories that tags were ever copied from."""
        prefix = f"{_SOURCES}/"
        found = {_place(name.removeprefix(prefix).partition("/_/")[0]): None for name in self._names(prefix)}
        return tuple(found)

    def record_blobs(
        self, registry: LoginServer, repository: RepositoryName, digests: Iterable[Digest]
    ) -> None:
        """Remember that the repository holds the blobs; a failure is logged and costs later copies mounts."""
        for digest in digests:
            if self._holders.get((registry, digest)) == repository:
                continue
            self._holders.put((registry, digest), repository)
            try:
                self._write(f"{_BLOBS}/{registry}/{digest}", {"repository": repository})
            except StorageError:
                logger.warning(
                    "a blob's place could not be remembered", extra={"blob": digest}, exc_info=True
                )

    def holder_of(self, registry: LoginServer, digest: Digest) -> RepositoryName | None:
        """Return a repository of the registry that had the blob when it was last written; a hint."""
        known = self._holders.get((registry, digest))
        if known is not None:
            return known
        name = f"{_BLOBS}/{registry}/{digest}"
        try:
            fields = self._fields(name)
            if fields is None:
                return None
            holder = parse_repository(fields.get("repository", ""))
        except (StorageError, InvalidName):
            logger.warning("a blob's place could not be read", extra={"blob": digest}, exc_info=True)
            return None
        self._holders.put((registry, digest), holder)
        return holder

    def _fields(self, name: str) -> dict[str, str] | None:
        with storage_errors(f"reading {name}"):
            try:
                return dict(self._container.get_blob_client(name).get_blob_properties().metadata)
            except ResourceNotFoundError:
                return None

    def _names(self, prefix: str) -> Iterator[str]:
        with storage_errors(f"listing {prefix}"):
            try:
                yield from self._container.list_blob_names(name_starts_with=prefix)
            except ResourceNotFoundError:
                return

    def _write(self, name: str, fields: dict[str, str]) -> None:
        blob = self._container.get_blob_client(name)
        with storage_errors(f"writing {name}"):
            try:
                blob.upload_blob(b"", overwrite=True, metadata=fields)
            except ResourceNotFoundError:
                create_container(self._container)
                blob.upload_blob(b"", overwrite=True, metadata=fields)


class _Recent[Key, Value]:
    """The latest so many values by key."""

    def __init__(self) -> None:
        self._values: OrderedDict[Key, Value] = OrderedDict()
        self._guard = Lock()

    def get(self, key: Key) -> Value | None:
        with self._guard:
            return self._values.get(key)

    def put(self, key: Key, value: Value) -> None:
        with self._guard:
            self._values[key] = value
            self._values.move_to_end(key)
            if len(self._values) > _REMEMBERED:
                self._values.popitem(last=False)


def _read(name: str, fields: dict[str, str]) -> Replica | None:
    """Return the entry; one that cannot be read claims nothing, so its tag is nobody's but its owner's."""
    try:
        return Replica.from_fields(fields)
    except InvalidInput:
        logger.warning("an entry of the ledger cannot be read", extra={"entry": name}, exc_info=True)
        return None


def _path(place: Place) -> str:
    return f"{place[0]}/{place[1]}/_"


def _tag_name(target: Reference) -> str:
    return f"{_TAGS}/{_path((target.registry, target.repository))}/{target.tag}{_SUFFIX}"


def _place(path: str) -> Place:
    registry, _, repository = path.partition("/")
    return parse_login_server(registry), parse_repository(repository)
