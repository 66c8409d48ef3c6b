"""A log of JSON lines in append blobs, for several writers at once."""

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, Final, cast

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

    def append(self, lines: Iterable[dict[str, Any]]) -> int:
        """Append the lines in one block; nothing is written when there are none.

        :returns: how many blocks the log has then, those of other writers among them; 0 without lines.
        :raises StorageError: when they could not be written.
        """
        block = "".join(f"{json.dumps(line, separators=(',', ':'))}\n" for line in lines).encode()
        if not block:
            return 0
        volume = self._volume
        with storage_errors(f"appending to {self._name}"):
            while (blocks := self._append(volume, block)) is None:
                volume += 1
        self._volume = volume
        return volume * _BLOCKS + blocks

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

    def _append(self, volume: int, block: bytes) -> int | None:
        """Append to that volume and return how many blocks it has; ``None`` when it is full."""
        blob = self._blob(volume)
        try:
            try:
                appended = blob.append_block(block)
            except ResourceNotFoundError:
                self._create(blob)
                appended = blob.append_block(block)
        except HttpResponseError as error:
            if error_code(error) != _FULL:
                raise
            return None
        return cast("int", appended["blob_committed_block_count"])

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
