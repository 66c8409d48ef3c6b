"""What manifests point at, remembered across runs: a digest never changes its meaning.

One compressed blob per repository, ``edges/{registry}/{repository}.jsonl.gz``, one line per manifest whose
body was read: ``["sha256:...", ["sha256:...", ...], "sha256:..." or null]``. It is only ever a saving: a
blob that is missing or cannot be read is as good as an empty one.
"""

import gzip
import json
import logging
from collections.abc import Mapping
from typing import Final

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient

from shared.errors import InvalidName, StorageError
from shared.oci.graph import Edges
from shared.oci.names import Digest, LoginServer, RepositoryName, parse_digest
from shared.storage.account import create_container, storage_errors

logger = logging.getLogger("steward.edges")

_FASTEST: Final = 1


class EdgeStore:
    """The edges of all repositories."""

    def __init__(self, service: BlobServiceClient, container: str) -> None:
        self._container = service.get_container_client(container)

    def load(self, registry: LoginServer, repository: RepositoryName) -> dict[Digest, Edges]:
        """Return what was saved, nothing when nothing was, or when it is damaged.

        :raises StorageError: when storage cannot be asked.
        """
        name = _name(registry, repository)
        with storage_errors(f"reading {name}"):
            try:
                content = self._container.download_blob(name).readall()
            except ResourceNotFoundError:
                return {}
        try:
            return dict(_read(line) for line in gzip.decompress(content).splitlines())
        except (OSError, EOFError, ValueError, TypeError, InvalidName):
            logger.warning("the remembered edges are damaged and read anew", extra={"blob": name})
            return {}

    def save(self, registry: LoginServer, repository: RepositoryName, edges: Mapping[Digest, Edges]) -> None:
        """Replace what was saved; a failure is logged and costs the next run its saving."""
        name = _name(registry, repository)
        lines = (
            json.dumps([digest, pointing.children, pointing.subject], separators=(",", ":"))
            for digest, pointing in edges.items()
        )
        content = gzip.compress("\n".join(lines).encode(), compresslevel=_FASTEST)
        try:
            with storage_errors(f"writing {name}"):
                try:
                    self._container.upload_blob(name, content, overwrite=True)
                except ResourceNotFoundError:
                    create_container(self._container)
                    self._container.upload_blob(name, content, overwrite=True)
        except StorageError:
            logger.warning("the edges could not be remembered", extra={"blob": name}, exc_info=True)


def _read(line: bytes) -> tuple[Digest, Edges]:
    digest, children, subject = json.loads(line)
    return parse_digest(digest), Edges(
        tuple(parse_digest(child) for child in children), None if subject is None else parse_digest(subject)
    )


def _name(registry: LoginServer, repository: RepositoryName) -> str:
    return f"edges/{registry}/{repository}.jsonl.gz"
