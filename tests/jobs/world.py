"""The app's services on real servers, with repositories, policy and queues that no other test has."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import uuid4

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue import QueueServiceClient, TextBase64DecodePolicy

from emulators.acr import AcrEmulator
from emulators.azurite import Azurite
from emulators.certificates import CertificateAuthority
from emulators.dockerhub import DockerHubEmulator
from emulators.identity import IdentityEmulator
from emulators.registry.images import Artifact
from emulators.registry.repository import Repository
from shared.jobs.services import Services
from shared.messages import Message, parse_message
from shared.oci.names import LoginServer, RepositoryName, parse_login_server, parse_repository
from shared.settings import load_settings
from shared.storage.runs import Part
from shared.wiring import wire

GRACE = timedelta(hours=24)


class Clock:
    """The time that jobs are told; it moves when a test says so."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, **length: float) -> None:
        self.now += timedelta(**length)


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """What is started once and shared by all tests of a worker."""

    ca: CertificateAuthority
    identity: IdentityEmulator
    azurite: Azurite
    acr: AcrEmulator
    hub: DockerHubEmulator


@dataclass
class World:
    """One test's corner of the servers: names that begin with its own word, its own policy and storage."""

    servers: Servers
    folder: Path
    word: str = field(default_factory=lambda: f"t{uuid4().hex[:10]}")
    clock: Clock = field(default_factory=Clock)
    changes: dict[str, str] = field(default_factory=dict)

    @property
    def acr(self) -> AcrEmulator:
        return self.servers.acr

    @property
    def hub(self) -> DockerHubEmulator:
        return self.servers.hub

    @property
    def registry(self) -> LoginServer:
        return parse_login_server(self.acr.login_server)

    @property
    def repository(self) -> RepositoryName:
        return parse_repository(f"{self.word}/app")

    @property
    def replica(self) -> RepositoryName:
        """Where ``{flattened}`` puts the repository on Docker Hub."""
        return parse_repository(f"{self.hub.namespace}/{self.word}-app")

    def environment(self) -> dict[str, str]:
        return {
            "ACR_LOGIN_SERVERS": self.acr.login_server,
            "AZURE_CLIENT_ID": self.servers.identity.client_id,
            "DOCKERHUB_USERNAME": self.hub.username,
            "DOCKERHUB_TOKEN": self.hub.token,
            "DOCKERHUB_REGISTRY_ENDPOINT": f"https://{self.hub.registry}",
            "DOCKERHUB_API_ENDPOINT": self.hub.api_url,
            "EMULATOR_CA_FILE": str(self.servers.ca.ca_file),
            "StewardStorage": self.servers.azurite.connection_string,
            "EVENTS_QUEUE": f"{self.word}-events",
            "REPLICATION_QUEUE": f"{self.word}-replications",
            "CLEANUP_QUEUE": f"{self.word}-cleanups",
            "RUNS_CONTAINER": f"{self.word}-runs",
            "POLICY_FILE": str(self.folder / "policy.yaml"),
            "CLEANUP_MODE": "apply",
            **self.changes,
        }

    def set(self, **changes: str) -> None:
        """Change settings; the services are wired anew, as by a restart of the app."""
        self.changes |= changes
        self.__dict__.pop("services", None)

    @cached_property
    def services(self) -> Services:
        return wire(load_settings(self.environment()))

    def write_policy(
        self, *rules: str, routes: Iterable[str] = (), limits: str = "", grace: str = "24h"
    ) -> None:
        """Write the policy: rules and routes in YAML's flow style, each without its repositories."""
        lines = ["version: 1", "retention:", f"  grace: {grace}"]
        lines += ["  protect:", f"  - {{repositories: ['{self.word}/**'], tags: ['v*']}}"]
        if limits:
            lines.append(f"  limits: {limits}")
        if rules:
            lines.append("  rules:")
            lines += [f"  - {{repositories: ['{self.word}/**'], {rule}}}" for rule in rules]
        lines += ["replication:", "  routes:"] if routes else []
        lines += [f"  - {{{route}}}" for route in routes]
        (self.folder / "policy.yaml").write_text("\n".join(lines))

    def push(self, artifact: Artifact, *, tag: str | None = None, days: float = 40, at: str = "") -> str:
        """Put an artifact into the repository as if it had been pushed some days ago."""
        moment = self.clock.now - timedelta(days=days)
        return artifact.push_to(self.acr.state, at or self.repository, tag=tag, at=moment)

    def home(self, repository: str = "") -> Repository:
        """Return what the registry holds now."""
        found = self.acr.state.repository(repository or self.repository)
        assert found is not None
        return found

    def part(self, run: str, repository: str = "") -> Part:
        return Part(
            run=run, registry=self.registry, repository=parse_repository(repository or self.repository)
        )

    def take(self, queue: str) -> list[Message]:
        """Take the messages that wait visibly in a queue, as the Functions host would."""
        service = QueueServiceClient.from_connection_string(self.servers.azurite.connection_string)
        with (
            service,
            service.get_queue_client(queue, message_decode_policy=TextBase64DecodePolicy()) as client,
        ):
            try:
                found = list(client.receive_messages(messages_per_page=32, visibility_timeout=60))
            except ResourceNotFoundError:
                return []
            for message in found:
                client.delete_message(message)
        return [parse_message(message.content) for message in found]

    def take_cleanups(self) -> list[Message]:
        return self.take(self.services.settings.cleanup_queue)

    def take_replications(self) -> list[Message]:
        return self.take(self.services.settings.replication_queue)


def body(message: Message) -> bytes:
    return message.to_json().encode()


def counted(outcomes: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return the targets by result."""
    found: dict[str, list[str]] = {}
    for outcome in outcomes:
        found.setdefault(outcome["result"], []).append(outcome["target"])
    return {result: sorted(targets) for result, targets in found.items()}
