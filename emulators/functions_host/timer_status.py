import json
import logging
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobClient, BlobServiceClient

from emulators.functions_host.storage import StoragePool

logger = logging.getLogger("host.timers")

_CONTAINER = "azure-webjobs-hosts"


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerStatus:
    """When a timer last ran and runs next, as the host keeps it in its storage account."""

    last: datetime
    next: datetime
    last_updated: datetime

    def to_json(self) -> dict[str, str]:
        return {
            "Last": self.last.isoformat(),
            "Next": self.next.isoformat(),
            "LastUpdated": self.last_updated.isoformat(),
        }

    @classmethod
    def from_json(cls, document: dict[str, str]) -> "TimerStatus":
        return cls(
            last=datetime.fromisoformat(document["Last"]),
            next=datetime.fromisoformat(document["Next"]),
            last_updated=datetime.fromisoformat(document["LastUpdated"]),
        )


class TimerStatusStore:
    """Timer statuses as blobs under `azure-webjobs-hosts/timers`; a failure is logged, never fatal."""

    def __init__(self, connection_string: str, storage: StoragePool, *, host_id: str) -> None:
        self._storage = storage
        self._host_id = host_id
        self._service = BlobServiceClient.from_connection_string(connection_string, **storage.options())

    def _blob(self, function: str) -> BlobClient:
        return self._service.get_blob_client(
            _CONTAINER, f"timers/{self._host_id}/Host.Functions.{function}/status"
        )

    async def read(self, function: str) -> TimerStatus | None:
        def read() -> TimerStatus:
            return TimerStatus.from_json(json.loads(self._blob(function).download_blob().readall()))

        try:
            return await self._storage.run(read)
        except ResourceNotFoundError:
            return None
        except (AzureError, ValueError, KeyError) as error:
            logger.warning("status of timer '%s' cannot be read: %s", function, error)
            return None

    async def write(self, function: str, status: TimerStatus) -> None:
        def write() -> None:
            text = json.dumps(status.to_json())
            try:
                self._blob(function).upload_blob(text, overwrite=True)
            except ResourceNotFoundError:
                with suppress(ResourceExistsError):  # of several timers one is the first
                    self._service.create_container(_CONTAINER)
                self._blob(function).upload_blob(text, overwrite=True)

        try:
            await self._storage.run(write)
        except AzureError as error:
            logger.warning("status of timer '%s' cannot be kept: %s", function, error)
