"""Messages that failed too often, kept as blobs until a person looked at them.

::

    poison/{origin}/{day}/{id}.json
"""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient

from shared.storage.account import create_container, storage_errors

_PREFIX: Final = "poison/"


class PoisonStore:
    """The poisoned messages of all queues."""

    def __init__(self, service: BlobServiceClient, container: str) -> None:
        self._container = service.get_container_client(container)

    def save(self, origin: str, message_id: str, document: dict[str, Any], *, now: datetime) -> str:
        """Save one message and return the name it has here; saving it again changes nothing that matters."""
        name = f"{_PREFIX}{origin}/{now:%Y-%m-%d}/{message_id}.json"
        content = json.dumps(document, ensure_ascii=False).encode()
        blob = self._container.get_blob_client(name)
        with storage_errors(f"writing {name}"):
            try:
                blob.upload_blob(content, overwrite=True)
            except ResourceNotFoundError:
                create_container(self._container)
                blob.upload_blob(content, overwrite=True)
        return name

    def names(self) -> Iterator[str]:
        """Yield the names of all poisoned messages, in their order."""
        with storage_errors("listing poisoned messages"):
            try:
                yield from self._container.list_blob_names(name_starts_with=_PREFIX)
            except ResourceNotFoundError:
                return

    def remove(self, name: str) -> None:
        """Drop one message, if it is there."""
        with storage_errors(f"deleting {name}"):
            try:
                self._container.delete_blob(name)
            except ResourceNotFoundError:
                return

    def read(self, name: str) -> dict[str, Any] | None:
        """Return one message, ``None`` when there is none of that name."""
        if not name.startswith(_PREFIX):
            return None
        with storage_errors(f"reading {name}"):
            try:
                content = self._container.download_blob(name).readall()
            except ResourceNotFoundError:
                return None
        document: dict[str, Any] = json.loads(content)
        return document
