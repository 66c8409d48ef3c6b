import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import requests
from azure.core.exceptions import ResourceExistsError
from azure.core.pipeline.transport import RequestsTransport
from azure.storage.queue import QueueClient, QueueMessage
from requests.adapters import HTTPAdapter

from emulators.functions_host.errors import HostError

_THREADS = 16

# The account that every storage emulator has; its key is printed in Azurite's documentation.
_ACCOUNT = "devstoreaccount1"
_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_DEVELOPMENT = (
    f"DefaultEndpointsProtocol=http;AccountName={_ACCOUNT};AccountKey={_KEY};"
    f"BlobEndpoint=http://127.0.0.1:10000/{_ACCOUNT};QueueEndpoint=http://127.0.0.1:10001/{_ACCOUNT};"
)


def resolve_connection(name: str, settings: Mapping[str, str], *, where: str) -> str:
    """Find the connection string that a binding's `connection` names, as the host finds it.

    `X` may be a connection string, the development shorthand, or `X__queueServiceUri` pointing at a
    storage emulator. Signing in to real storage by identity is left to the real host.
    """
    name = name or "AzureWebJobsStorage"
    for candidate in (f"AzureWebJobs{name}", name):
        value = settings.get(candidate)
        if value:
            return _DEVELOPMENT if value.strip().lower() == "usedevelopmentstorage=true" else value
        uri = settings.get(f"{candidate}__queueServiceUri")
        if uri:
            return _emulator_connection(uri, setting=f"{candidate}__queueServiceUri", where=where)
    raise HostError(f"{where}: neither app setting {name!r} nor '{name}__queueServiceUri' is set")


def _emulator_connection(uri: str, *, setting: str, where: str) -> str:
    if urlsplit(uri).path.strip("/") != _ACCOUNT:
        raise HostError(
            f"{where}: {setting} needs an identity, which this development host does not sign in with; "
            f"point it at a storage emulator (http://127.0.0.1:10001/{_ACCOUNT}) or set a connection string"
        )
    return f"AccountName={_ACCOUNT};AccountKey={_KEY};QueueEndpoint={uri.rstrip('/')};"


class StoragePool:
    """Threads and one HTTP session for the host's own calls to storage, apart from the app's threads."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="storage")
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.mount("http://", HTTPAdapter(pool_maxsize=_THREADS))
        self._session.mount("https://", HTTPAdapter(pool_maxsize=_THREADS))
        self._logger = logging.getLogger("host.storage.http")
        self._logger.setLevel(logging.WARNING)

    async def run[T](self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    def options(self) -> dict[str, Any]:
        """Keyword arguments for any azure-storage client that is to share the session and stay quiet."""
        return {
            "transport": RequestsTransport(session=self._session, session_owner=False),
            "logger": self._logger,
            "retry_total": 2,
        }

    def queue(self, connection_string: str, name: str) -> "StorageQueue":
        client = QueueClient.from_connection_string(connection_string, name, **self.options())
        return StorageQueue(client, self)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._session.close()


class StorageQueue:
    """One queue; its messages are raw text, encoded and decoded by the callers."""

    def __init__(self, client: QueueClient, pool: StoragePool) -> None:
        self._client = client
        self._pool = pool
        self.name: str = client.queue_name

    async def create(self) -> None:
        """Create the queue unless it exists."""

        def create() -> None:
            try:
                self._client.create_queue()
            except ResourceExistsError:
                return

        await self._pool.run(create)

    async def receive(self, count: int, *, visibility: float) -> list[QueueMessage]:
        """Up to `count` visible messages, hidden from others for `visibility` seconds."""

        def receive() -> list[QueueMessage]:
            pages = self._client.receive_messages(
                messages_per_page=count, max_messages=count, visibility_timeout=_seconds(visibility)
            )
            return list(pages)

        return await self._pool.run(receive)

    async def send(self, text: str) -> None:
        await self._pool.run(lambda: self._client.send_message(text))

    async def hide(self, message_id: str, receipt: str, *, seconds: float) -> str:
        """Set when the message becomes visible again and return the new pop receipt; its text stays."""
        updated = await self._pool.run(
            lambda: self._client.update_message(message_id, receipt, visibility_timeout=_seconds(seconds))
        )
        return str(updated.pop_receipt)

    async def delete(self, message_id: str, receipt: str) -> None:
        await self._pool.run(lambda: self._client.delete_message(message_id, receipt))


def _seconds(value: float) -> int:
    return round(value)
