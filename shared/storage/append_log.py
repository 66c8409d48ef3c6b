"""A log of JSON lines in append blobs, for several writers at once."""

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, Final

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobClient, ContainerClient, ContentSettings

from shared.errors import StorageError
from shared.storage.account import create_container, error_code, storage_errors

_FULL: Final = "BlockCountExceedsLimit"
_BLOCKS: Final = 50_000
_LINES: Final = ContentSettings(content_type="application/x-ndjson")


class AppendLog:
    """JSON objects, one per line, appended atomically.

    An append blob takes 50,000 blocks (Append Block, REST reference); a full one is followed by
    ``name.1``, ``name.2`` and so on. An append whose answer was lost may be written twice: readers
    tell the two apart by what the lines say.
    """

    def __init__(self, container: ContainerClient, name: str) -> None:
        self._container = container
        self._name = name
        self._volume = 0

    def append(self, lines: Iterable[dict[str, Any]]) -> None:
        """Append the lines in one block; nothing is written when there are none.

        :raises StorageError: when they could not be written.
        """
        block = "".join(f"{json.dumps(line, separators=(',', ':'))}\n" for line in lines).encode()
        if not block:
            return
        volume = self._volume
        with storage_errors(f"appending to {self._name}"):
            while not self._append(volume, block):
                volume += 1
        self._volume = volume

    def count_blocks(self) -> int:
        """Return how many blocks were appended, by anybody, before this was asked.

        Asked on its own: what the answer to an append says need not count those of writers at the same time
        (Azurite's does not).

        :raises StorageError: when nobody says.
        """
        volume, blocks = self._volume, _BLOCKS
        with storage_errors(f"asking for {self._name}"):
            while blocks >= _BLOCKS:
                try:
                    properties = self._blob(volume).get_blob_properties()
                except ResourceNotFoundError:
                    return volume * _BLOCKS
                blocks = properties.append_blob_committed_block_count or 0
                volume += 1
        return (volume - 1) * _BLOCKS + blocks

    def read(self) -> Iterator[dict[str, Any]]:
        """Yield all lines in the order written; none when nothing was ever appended.

        :raises StorageError: when they could not be read.
        """
        volume = 0
        while True:
            with storage_errors(f"reading {self._name}"):
                try:
                    content = self._blob(volume).download_blob().readall()
                except ResourceNotFoundError:
                    return
            try:
                yield from [json.loads(line) for line in content.splitlines()]
            except ValueError as error:
                raise StorageError(f"reading {self._name}: not JSON lines: {error}") from error
            volume += 1

    def _append(self, volume: int, block: bytes) -> bool:
        """Append to that volume; ``False`` when it is full."""
        blob = self._blob(volume)
        try:
            try:
                blob.append_block(block)
            except ResourceNotFoundError:
                self._create(blob)
                blob.append_block(block)
        except HttpResponseError as error:
            if error_code(error) != _FULL:
                raise
            return False
        return True

    def _create(self, blob: BlobClient) -> None:
        """Make the blob, and its container if need be; another writer may have been quicker.

        Without the condition, creating would empty the blob that the other writer made.
        """
        with suppress(ResourceExistsError):
            try:
                blob.create_append_blob(_LINES, match_condition=MatchConditions.IfMissing)
            except ResourceNotFoundError:
                create_container(self._container)
                blob.create_append_blob(_LINES, match_condition=MatchConditions.IfMissing)

    def _blob(self, volume: int) -> BlobClient:
        return self._container.get_blob_client(f"{self._name}.{volume}" if volume else self._name)
