"""The fixture app under a host of its own, and its queues as a test sees them."""

import base64
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue import QueueClient

from emulators.functions_host import RunningHost

FIXTURE_APP = Path(__file__).resolve().parents[1] / "fixture_app"


class Storage:
    """Queues of one Azurite as a test sees them: bodies in, bodies out, base64 in between."""

    def __init__(self, connection_string: str) -> None:
        self.connection_string = connection_string
        self._seen: dict[str, list[Any]] = {}

    def queue(self, name: str) -> QueueClient:
        return QueueClient.from_connection_string(self.connection_string, name)

    def send(self, queue: str, *bodies: str) -> None:
        with self.queue(queue) as client:
            for body in bodies:
                client.send_message(base64.b64encode(body.encode()).decode())

    def send_raw(self, queue: str, text: str) -> None:
        with self.queue(queue) as client:
            client.send_message(text)

    def length(self, queue: str) -> int:
        """Visible and hidden messages."""
        with self.queue(queue) as client:
            try:
                return client.get_queue_properties().approximate_message_count or 0
            except ResourceNotFoundError:
                return 0

    def seen(self, queue: str = "seen") -> list[Any]:
        """All that came to a queue so far, decoded from JSON where it is JSON."""
        kept = self._seen.setdefault(queue, [])
        with self.queue(queue) as client:
            try:
                for message in client.receive_messages(messages_per_page=32):
                    kept.append(_decoded(base64.b64decode(message.content).decode()))
                    client.delete_message(message)
            except ResourceNotFoundError:
                pass
        return kept

    def wait_for(
        self, matches: Callable[[Any], bool], *, count: int = 1, queue: str = "seen", timeout: float = 15.0
    ) -> list[Any]:
        """The first matching items of a queue, once there are so many."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            found = [item for item in self.seen(queue) if matches(item)]
            if len(found) >= count:
                return found
            time.sleep(0.05)
        pytest.fail(f"waited {timeout} s in vain; {queue} has {self.seen(queue)}")


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def until(condition: Callable[[], bool], *, timeout: float = 15.0) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def write_settings(path: Path, values: dict[str, str]) -> Path:
    path.write_text(json.dumps({"IsEncrypted": False, "Values": values}), encoding="utf-8")
    return path


@contextmanager
def fixture_host(folder: Path, storage: Storage, **settings: str) -> Iterator[RunningHost]:
    values = {
        "AzureWebJobsStorage": storage.connection_string,
        "StewardStorage": storage.connection_string,
        "SEEN_QUEUE": "seen",
        "WORK_QUEUE": "work",
        "NIGHTLY": "0 0 2 * * *",
        "PYTHON_THREADPOOL_THREAD_COUNT": "16",
    }
    file = write_settings(folder / "local.settings.json", values | settings)
    host = RunningHost(
        app=FIXTURE_APP,
        settings=file,
        poll_interval=0.1,
        visibility_seconds=2,
        environment={"FROM_ENVIRONMENT": "environment"},
    )
    try:
        yield host.start()
    finally:
        host.close()
