"""One storage account, reached by identity or by connection string."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceExistsError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.storage.blob import BlobServiceClient, ContainerClient
from azure.storage.queue import QueueServiceClient

from shared.errors import InvalidSettings, Problem, StorageError, StorageUnavailable
from shared.settings import Settings

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

_TRANSIENT_STATUS: Final = frozenset({408, 429, 500, 502, 503, 504})
_TRANSIENT_CODES: Final = frozenset({"AccountBeingCreated", "ContainerBeingDeleted", "QueueBeingDeleted"})
"""Conflicts that pass by themselves ("Common REST API error codes", Storage REST reference)."""

_SUCCESSES: Final = range(200, 300)

_OPTIONS: Final[dict[str, Any]] = {
    "connection_timeout": 5,
    "read_timeout": 30,
    "retry_total": 2,
    "initial_backoff": 0,
    "increment_base": 2,
    "random_jitter_range": 1,
}
"""Two more tries, after about 2 and 4 seconds.

The SDK's own waits, 18 and 24 and 42 seconds, suit a program that nobody calls again; here the queue
delivers the message again.
"""


class StorageAccount:
    """The blob and queue services of the account in the settings.

    A connection string is for emulators; in Azure the services are reached under the identity, and
    shared keys can stay disabled.

    :raises InvalidSettings: when the connection string names no account.
    """

    def __init__(self, settings: Settings, credential: "TokenCredential | None" = None) -> None:
        if settings.storage is None:
            self.blobs = BlobServiceClient(settings.storage_blob_uri or "", credential, **_OPTIONS)
            self.queues = QueueServiceClient(settings.storage_queue_uri or "", credential, **_OPTIONS)
            return
        text = settings.storage.reveal()
        try:
            self.blobs = BlobServiceClient.from_connection_string(text, **_OPTIONS)
            self.queues = QueueServiceClient.from_connection_string(text, **_OPTIONS)
        except ValueError:
            # From None: a frame of the SDK's traceback holds the string.
            raise InvalidSettings(
                "app settings",
                [Problem(path="StewardStorage", message="a connection string without account or endpoints")],
            ) from None

    def close(self) -> None:
        """Close the connections."""
        self.blobs.close()
        self.queues.close()


def error_code(error: HttpResponseError) -> str:
    """Return Azure Storage's name of the error, empty when it gave none."""
    code = getattr(error, "error_code", None) or ""
    return str(getattr(code, "value", code))


def create_container(container: ContainerClient) -> None:
    """Make the container unless it is there."""
    try:
        container.create_container()
    except ResourceExistsError as error:
        if error_code(error) != "ContainerAlreadyExists":  # the SDK gives every 409 this type
            raise


@contextmanager
def storage_errors(what: str) -> Iterator[None]:
    """Turn the SDK's exceptions into ours; ``what`` says what was being done.

    :raises StorageUnavailable: when another try may help: also when no token could be had, and when an
        answer broke off.
    :raises StorageError: when it will not.
    """
    try:
        yield
    except (ServiceRequestError, ServiceResponseError) as error:
        raise StorageUnavailable(f"{what}: {_first_line(error)}") from error
    except HttpResponseError as error:
        code = error_code(error)
        if error.status_code is None or error.status_code in _SUCCESSES:
            raise StorageUnavailable(f"{what}: {_first_line(error)}") from error
        passing = error.status_code in _TRANSIENT_STATUS or code in _TRANSIENT_CODES
        kind = StorageUnavailable if passing else StorageError
        raise kind(f"{what}: {error.status_code} {code or error.reason}") from error
    except AzureError as error:
        raise StorageError(f"{what}: {_first_line(error)}") from error


def _first_line(error: AzureError) -> str:
    """Return what happened without the details: some repeat headers and the text that was signed."""
    return str(error.message).partition("\n")[0].strip() or type(error).__name__
