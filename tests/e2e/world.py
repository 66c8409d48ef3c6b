"""The whole stack as a test sees it: registries to push to and pull from, the app's doors, its storage."""

import base64
import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Self, cast
from urllib.parse import quote

import pytest
import requests
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueClient

from emulators.acr import AcrEmulator
from emulators.demo.client import PlainClient
from emulators.functions_host import RunningHost
from emulators.registry.images import Artifact, build_image, build_index
from emulators.stack import Stack

ROOT = Path(__file__).resolve().parents[2]
APP = Path(os.environ.get("STEWARD_APP", ROOT))
"""The app that is tested: the checkout, or what `make test-package` unpacked."""
PATIENCE: Final = 60.0
QUICK_REDELIVERY = {"AzureFunctionsJobHost__extensions__queues__visibilityTimeout": "00:00:01"}
NO_POLICY = "version: 1\n"

_JWT = re.compile(rb"eyJ[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}")
_SIGNED_URL = re.compile(rb"[?&]sig=[A-Za-z0-9%_-]{16,}")

type Json = dict[str, Any]


class World:
    """One running stack; repositories are told apart by name, so tests can share it."""

    def __init__(self, folder: Path, *, policy: str = NO_POLICY, **options: Any) -> None:
        self._policy_file = folder / "policy.yaml"
        self.write_policy(policy)
        settings = QUICK_REDELIVERY | dict(options.pop("settings", {}))
        self._closing = ExitStack()
        self.stack = Stack(
            app=APP,
            policy_file=self._policy_file,
            settings=settings,
            host_poll_interval=options.pop("host_poll_interval", 0.1),
            **options,
        )

    def __enter__(self) -> Self:
        with ExitStack() as starting:
            starting.enter_context(self.stack)
            hub = self.stack.dockerhub
            self.hub = PlainClient(hub.registry, hub.username, hub.token, ca_file=self.stack.ca.ca_file)
            starting.callback(self.hub.close)
            self._clients = {name: self._client_of(acr) for name, acr in self.stack.acrs.items()}
            for client in self._clients.values():
                starting.callback(client.close)
            self._http = starting.enter_context(requests.Session())
            self._http.trust_env = False
            self._blobs = starting.enter_context(
                BlobServiceClient.from_connection_string(self.stack.azurite.connection_string)
            )
            self._closing = starting.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        with self._closing:
            self.assert_no_secret_was_written()

    @property
    def state(self) -> Any:
        """The content of the first registry, to prepare and to look at without HTTP."""
        return self.stack.acr.state

    @property
    def acr(self) -> PlainClient:
        return self._clients[self.stack.acr.name]

    def client(self, registry: str) -> PlainClient:
        return self._clients[registry]

    @property
    def host(self) -> RunningHost:
        return self.stack.running_host()

    def _client_of(self, acr: AcrEmulator) -> PlainClient:
        return PlainClient(
            acr.login_server, acr.admin_username, acr.admin_password, ca_file=self.stack.ca.ca_file
        )

    def delete(self, repository: str, digest: str) -> None:
        """Delete a manifest of the first registry as a person would, so that an event tells of it."""
        acr = self.stack.acr
        self._http.delete(
            f"{acr.url}/v2/{repository}/manifests/{digest}",
            auth=(acr.admin_username, acr.admin_password),
            verify=str(self.stack.ca.ca_file),
            timeout=30,
        ).raise_for_status()

    def write_policy(self, text: str) -> None:
        """Replace the policy; the app reads it at its next step."""
        fresh = self._policy_file.with_suffix(".new")
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(self._policy_file)

    def remove_policy(self) -> None:
        self._policy_file.unlink()

    def run_in_mode(self, mode: str) -> None:
        """Restart the host with that CLEANUP_MODE, unless it has it."""
        if self.stack.settings["CLEANUP_MODE"] != mode:
            self.stack.restart_host({"CLEANUP_MODE": mode})

    # HTTP

    def answer(self, path: str) -> requests.Response:
        return self._http.get(
            f"{self.host.url}/api/{path}", headers={"x-functions-key": self.host.function_key}, timeout=30
        )

    def get(self, path: str) -> Json | None:
        """Return what the app's API says, None when it has nothing of that name."""
        answer = self.answer(path)
        if answer.status_code == requests.codes.not_found:
            return None
        answer.raise_for_status()
        return cast("Json", answer.json())

    def report(self, run: str, repository: str, *, registry: str | None = None) -> Json | None:
        login_server = registry or self.stack.acr.login_server
        return self.get(f"runs/{run}/repositories/{quote(login_server, safe='')}/{repository}")

    def finished_report(self, run: str, repository: str, *, registry: str | None = None) -> Json:
        report = self.report(run, repository, registry=registry)
        assert report is not None
        assert report["finished"] is not None
        return report

    # Runs

    def runs(self, kind: str) -> set[str]:
        found = self.get("runs?limit=1000") or {}
        return {name for name in found["runs"] if name.startswith(f"{kind}-")}

    def open_run(self, timer: str, kind: str) -> str:
        """Fire a timer and return the name of the run that it opens."""
        known = self.runs(kind)
        self.stack.fire_timer(timer)
        return eventually(lambda: next(iter(self.runs(kind) - known), None), f"a {kind} to open")

    def open_night(self) -> str:
        return self.open_run("start_nightly_run", "night")

    def ended(self, run: str) -> Json:
        """Wait for the end of a run and return its summary."""
        return eventually(lambda: self._ended(run), f"{run} to end")

    def _ended(self, run: str) -> Json | None:
        summary = self.get(f"runs/{run}") or {}
        return summary if summary.get("state") in {"finished", "refused"} else None

    def night(self) -> Json:
        return self.ended(self.open_night())

    # Replication

    def outcomes(self, repository: str, tag: str, *, kind: str = "pushes") -> list[Json]:
        """Return what was recorded of one replica, by the name it has on Docker Hub, the latest last."""
        place = f"/{self.replica(repository)}:{tag}"
        return [
            outcome
            for run in sorted(self.runs(kind))
            for outcome in reversed((self.get(f"runs/{run}/replications?limit=1000") or {})["replications"])
            if outcome["target"].endswith(place)
        ]

    def replica(self, repository: str) -> str:
        return f"{self.stack.dockerhub.namespace}/{repository.rpartition('/')[2]}"

    def hub_digest(self, repository: str, tag: str) -> str | None:
        """Return what a tag of the replica points at, without a request."""
        found = self.stack.dockerhub.state.repository(self.replica(repository))
        record = None if found is None else found.tags.get(tag)
        return None if record is None else record.digest

    def await_replica(self, repository: str, tag: str, artifact: Artifact) -> None:
        """Wait until the replica's tag is there, and pull all of it."""
        eventually(
            lambda: self.hub_digest(repository, tag) == artifact.digest, f"{repository}:{tag} on Docker Hub"
        )
        assert_whole(self.hub, self.replica(repository), tag, artifact)

    def await_quiet(self) -> None:
        """Wait until no event and no message is on its way."""
        self.stack.eventgrid.drain()
        queues = [
            self.stack.settings[name] for name in ("EVENTS_QUEUE", "REPLICATION_QUEUE", "CLEANUP_QUEUE")
        ]
        eventually(lambda: not any(map(self.queue_length, queues)), "the queues to be empty")

    # Storage

    def send(self, queue: str, body: str | bytes | Json, *, encoded: bool = True) -> None:
        content = json.dumps(body) if isinstance(body, dict) else body
        raw = content if isinstance(content, bytes) else content.encode()
        with self._queue(queue) as client:
            client.send_message(base64.b64encode(raw).decode() if encoded else raw.decode())

    def queue_length(self, queue: str) -> int:
        with self._queue(queue) as client:
            try:
                return client.get_queue_properties().approximate_message_count or 0
            except ResourceNotFoundError:
                return 0

    def _queue(self, name: str) -> QueueClient:
        return QueueClient.from_connection_string(self.stack.azurite.connection_string, name)

    def blobs(self) -> Iterator[tuple[str, bytes]]:
        """Yield the blobs that the app has written, with their names."""
        container = self._blobs.get_container_client("steward-runs")
        if container.exists():
            for name in container.list_blob_names():
                yield name, container.download_blob(name).readall()

    def delete_blob(self, name: str) -> None:
        self._blobs.get_blob_client("steward-runs", name).delete_blob()

    def poison(self) -> list[Json]:
        """Return the recorded messages that failed too often, as the API names them."""
        names: list[str] = (self.get("poison?limit=1000") or {})["poison"]
        container = self._blobs.get_container_client("steward-runs")
        return [json.loads(container.download_blob(name).readall()) for name in names]

    # Secrets

    def secrets(self) -> list[str]:
        """Return all that was secret in this stack, but for tokens: those are known by their shape."""
        stack = self.stack
        return [
            *(acr.admin_password for acr in stack.acrs.values()),
            *(acr.admin_password2 for acr in stack.acrs.values()),
            stack.dockerhub.token,
            stack.identity.header,
            stack.azurite.KEY,
            self.host.function_key,
            self.host.master_key,
        ]

    def assert_no_secret_was_written(self) -> None:
        """Look for secrets, tokens and signed URLs in the logs of the host and in all blobs of the app."""
        secrets = [secret.encode() for secret in self.secrets()]
        written = [("host log", self.host.log.encode()), *self.blobs()]
        for place, content in written:
            for found in found_secrets(content, secrets):
                pytest.fail(f"{place} holds a secret: {found!r}")


def found_secrets(content: bytes, secrets: list[bytes]) -> list[bytes]:
    """Return the start of every secret in the content, enough to know which one it is."""
    shapes = [match.group() for pattern in (_JWT, _SIGNED_URL) for match in pattern.finditer(content)]
    return [found[:12] for found in (*(secret for secret in secrets if secret in content), *shapes)]


@contextmanager
def world(folder: Path, **options: Any) -> Iterator[World]:
    with World(folder, **options) as started:
        yield started


def eventually[Found](
    condition: Callable[[], Found | None], what: str, *, patience: float = PATIENCE
) -> Found:
    """Return the first true answer of the condition."""
    deadline = time.monotonic() + patience
    pause = 0.02
    while not (found := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"waited {patience:.0f} s in vain for {what}")
        time.sleep(pause)
        pause = min(pause * 1.3, 0.25)
    return found


def contents(artifact: Artifact) -> set[str]:
    """Return the digests of all manifests and blobs of an artifact."""
    return {digest for node in artifact.walk() for digest in (node.digest, *node.blobs)}


def assert_whole(client: PlainClient, repository: str, reference: str, artifact: Artifact) -> None:
    """Pull the reference, all platforms and layers, and compare with what was pushed."""
    assert {digest for digest, _ in client.pull(repository, reference)} == contents(artifact)


def multi_platform(*, layers: int = 2) -> Artifact:
    return build_index(
        [build_image(layers=layers, platform=platform) for platform in ("linux/amd64", "linux/arm64")]
    )


def days_ago(days: float) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)


def unique(prefix: str) -> str:
    """Name a repository that no other test has."""
    return f"e2e/{prefix}-{hashlib.sha256(os.urandom(8)).hexdigest()[:6]}"


RELEASES: Final = {
    "name": "releases",
    "from": {"repositories": ["e2e/*"], "tags": ["v*", "latest"]},
    "to": "docker.io/acme/{basename}",
}
ROUTES: Final = json.dumps({"version": 1, "replication": {"routes": [RELEASES]}})


def retention(
    *repositories: str,
    limits: Mapping[str, Mapping[str, int]] | None = None,
    routes: bool = False,
    on_push: bool = False,
) -> str:
    """Write the usual policy: pull-request tags go after 14 days, what has no tag after 7."""
    common = {"repositories": repositories, "on_push": on_push}
    rules = [
        {"name": "old", "tags": ["pr-*"], "older_than": "14d", **common},
        {"name": "untagged", "untagged": True, "older_than": "7d", **common},
    ]
    return json.dumps(
        {
            "version": 1,
            "retention": {"rules": rules if repositories else [], **({"limits": limits} if limits else {})},
            "replication": {"routes": [RELEASES] if routes else []},
        }
    )
