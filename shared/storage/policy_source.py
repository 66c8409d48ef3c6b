"""Where the policy document lives: a file shipped with the app, or a blob."""

from http import HTTPStatus
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.storage.blob import BlobServiceClient

from shared.errors import StorageError
from shared.policy import Policy, parse_policy
from shared.storage.account import storage_errors


class PolicySource(Protocol):
    """Says what the policy is now."""

    def current(self) -> Policy:
        """Return the policy in force: never an earlier one in place of one that cannot be used.

        :raises InvalidPolicy: when the document cannot be used.
        :raises StorageError: when it cannot be read.
        """


class FilePolicySource:
    """A file; read again when it changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._seen: tuple[int, int] | None = None
        self._policy: Policy | None = None

    def current(self) -> Policy:
        try:
            with self._lock:
                status = self._path.stat()
                stamp = (status.st_mtime_ns, status.st_size)
                if self._policy is None or stamp != self._seen:
                    self._policy = parse_policy(self._path.read_bytes(), source=str(self._path))
                    self._seen = stamp
                return self._policy
        except OSError as error:
            raise StorageError(f"reading the policy file {self._path}: {error.strerror}") from error


class BlobPolicySource:
    """A blob, ``container/name``; read again when its ETag changed."""

    def __init__(self, service: BlobServiceClient, place: str) -> None:
        container, slash, name = place.partition("/")
        if not slash or not container or not name:
            raise StorageError(f"policy blob {place!r}: expected container/name")
        self._place = place
        self._blob = service.get_blob_client(container, name)
        self._lock = Lock()
        self._etag: str | None = None
        self._policy: Policy | None = None

    def current(self) -> Policy:
        with self._lock, storage_errors(f"reading the policy blob {self._place}"):
            unless: dict[str, Any] = (
                {}
                if self._policy is None
                else {"etag": self._etag, "match_condition": MatchConditions.IfModified}
            )
            try:
                download = self._blob.download_blob(**unless)
            except ResourceNotFoundError as error:
                raise StorageError(f"the policy blob {self._place} does not exist") from error
            except HttpResponseError as error:
                # By status: the SDK raises ResourceModifiedError for what was not modified.
                if error.status_code != HTTPStatus.NOT_MODIFIED or self._policy is None:
                    raise
                return self._policy
            self._policy = parse_policy(download.readall(), source=self._place)
            self._etag = download.properties.etag
            return self._policy
