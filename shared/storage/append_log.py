"""A log of JSON lines in append blobs, for several writers at once."""

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, Final

from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobType, ContainerClient, ContentSettings

from shared.storage.account import create_container, storage_errors

_FULL: Final = "BlockCountExceedsLimit"
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
        block = "".join(f"{json.dumps(line, ensure_ascii=False, separators=(',', ':'))}\n" for line in lines)
        if not block:
            return
        with storage_errors(f"appending to {self._name}"):
            while not self._append(block.encode()):
                self._volume += 1

    def read(self) -> Iterator[dict[str, Any]]:
        """Yield all lines in the order written; none when nothing was ever appended."""
        volume = 0
        while True:
            with storage_errors(f"reading {self._name}"):
                try:
                    content = self._container.download_blob(self._volume_name(volume)).readall()
                except ResourceNotFoundError:
                    return
            yield from map(json.loads, content.splitlines())
            volume += 1

    def _append(self, block: bytes) -> bool:
        blob = self._container.get_blob_client(self._volume_name(self._volume))
        try:
            blob.append_block(block)
        except ResourceNotFoundError:
            self._create()
            blob.append_block(block)
        except HttpResponseError as error:
            if getattr(error, "error_code", None) == _FULL:
                return False
            raise
        return True

    def _create(self) -> None:
        """Make the blob, and its container if need be; another writer may have been quicker."""
        blob = self._container.get_blob_client(self._volume_name(self._volume))
        options: dict[str, Any] = {
            "blob_type": BlobType.APPENDBLOB,
            "overwrite": False,
            "content_settings": _LINES,
        }
        with suppress(ResourceExistsError):
            try:
                blob.upload_blob(b"", **options)
            except ResourceNotFoundError:
                create_container(self._container)
                blob.upload_blob(b"", **options)

    def _volume_name(self, volume: int) -> str:
        return f"{self._name}.{volume}" if volume else self._name
