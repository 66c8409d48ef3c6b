"""One storage account, reached by identity or by connection string."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceExistsError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.storage.blob import BlobServiceClient, ContainerClient
from azure.storage.queue import QueueServiceClient

from shared.errors import StorageError, StorageUnavailable
from shared.settings import Settings

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})


class StorageAccount:
    """The blob and queue services of the account in the settings.

    A connection string is for emulators; in Azure the services are reached under the identity, and
    shared keys can stay disabled.
    """

    def __init__(self, settings: Settings, credential: "TokenCredential | None" = None) -> None:
        if settings.storage is not None:
            text = settings.storage.reveal()
            self.blobs = BlobServiceClient.from_connection_string(text)
            self.queues = QueueServiceClient.from_connection_string(text)
        else:
            self.blobs = BlobServiceClient(settings.storage_blob_uri or "", credential=credential)
            self.queues = QueueServiceClient(settings.storage_queue_uri or "", credential=credential)

    def close(self) -> None:
        self.blobs.close()
        self.queues.close()


def create_container(container: ContainerClient) -> None:
    """Make the container unless it is there."""
    with suppress(ResourceExistsError):
        container.create_container()


@contextmanager
def storage_errors(what: str) -> Iterator[None]:
    """Turn the SDK's exceptions into ours; ``what`` says what was being done.

    :raises StorageUnavailable: when another try may help.
    :raises StorageError: when it will not.
    """
    try:
        yield
    except (ServiceRequestError, ServiceResponseError) as error:
        raise StorageUnavailable(f"{what}: {error}") from error
    except HttpResponseError as error:
        kind = StorageUnavailable if error.status_code in _TRANSIENT else StorageError
        code = getattr(error, "error_code", None) or error.status_code
        raise kind(f"{what}: {code}: {error.reason}") from error
    except AzureError as error:
        raise StorageError(f"{what}: {error}") from error
