"""The replication half of the app on a test's world: events in, queues worked off, both sides looked at."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any
from uuid import uuid4

from emulators.registry.images import Artifact
from shared.jobs.receiving import receive_events
from shared.jobs.replicating import replicate
from shared.jobs.repositories import work_on_repository
from shared.jobs.services import Services
from shared.messages import Message, ReplicateTag
from shared.oci.names import DOCKER_HUB, Reference, RepositoryName, parse_repository, parse_tag
from shared.replication.report import ReplicationOutcome
from shared.storage.queues import WorkQueue
from tests.jobs.world import World, body


class ImpatientQueue(WorkQueue):
    """A queue whose delays are noted and not waited for."""

    def __init__(self, queue: WorkQueue, delays: list[float]) -> None:
        self.name = queue.name
        self._queue = queue._queue
        self._delays = delays

    def send(self, message: Message, *, delay: float = 0.0) -> None:
        self._delays.append(delay)
        super().send(message)


@dataclass
class Desk:
    """One source repository, its replica on Docker Hub, and the jobs between them."""

    world: World
    delays: list[float] = field(default_factory=list)

    @cached_property
    def services(self) -> Services:
        services = self.world.services
        return replace(
            services,
            replication_queue=ImpatientQueue(services.replication_queue, self.delays),
            cleanup_queue=ImpatientQueue(services.cleanup_queue, self.delays),
        )

    def restart(self, **settings: str) -> None:
        """Start the app anew: nothing is left in memory."""
        self.world.set(**settings)
        self.__dict__.pop("services", None)

    def route(self, *routes: str, **keys: str) -> None:
        """Write a policy with one route to Docker Hub, or with these."""
        more = "".join(f", {key}: {value}" for key, value in keys.items())
        source = f"{{repositories: ['{self.world.word}/**'], tags: ['v*', latest]}}"
        default = f"name: hub, from: {source}, to: 'docker.io/{self.world.hub.namespace}/{{flattened}}'{more}"
        self.world.write_policy(routes=routes or (default,))

    # Events

    def event(self, action: str, *, tag: str | None = None, digest: str | None = None, at: str = "") -> None:
        """Tell the app of a push or a delete, as Event Grid does."""
        acr, repository = self.world.acr, at or self.world.repository
        target: dict[str, Any] = {"repository": repository, "mediaType": "application/json"}
        target |= {"tag": tag} if tag else {}
        target |= {"digest": digest} if digest else {}
        envelope = {
            "specversion": "1.0",
            "id": str(uuid4()),
            "source": acr.resource_id,
            "type": {"push": "Microsoft.ContainerRegistry.ImagePushed"}.get(
                action, "Microsoft.ContainerRegistry.ImageDeleted"
            ),
            "time": self.world.clock().isoformat(),
            "data": {"action": action, "target": target, "request": {"host": acr.login_server}},
        }
        receive_events(self.services, json.dumps(envelope).encode(), now=self.world.clock())

    def push(self, artifact: Artifact, tag: str, *, at: str = "", days: float = 0) -> str:
        """Push to the source, and tell the app."""
        digest = self.world.push(artifact, tag=tag, at=at, days=days)
        self.event("push", tag=tag, digest=digest, at=at)
        return digest

    def untag(self, tag: str, *, at: str = "") -> None:
        self.world.acr.state.delete_tag(at or self.world.repository, tag)

    # Work

    def work(self, *, rounds: int = 50) -> list[ReplicationOutcome]:
        """Work off both queues, delays and all, and return what became of the tags."""
        outcomes: list[ReplicationOutcome] = []
        for _ in range(rounds):
            cleanups = self.take(self.services.cleanup_queue)
            replications = self.take(self.services.replication_queue)
            for message in cleanups:
                self.carry_on(message)
            outcomes.extend(self.carry_out(message) for message in replications)
            if not cleanups and not replications:
                break
        return outcomes

    def take(self, queue: WorkQueue) -> list[Message]:
        return self.world.take(queue.name) if queue.length() else []

    def carry_out(self, message: Message) -> ReplicationOutcome:
        return replicate(self.services, body(message), clock=self.world.clock)

    def carry_on(self, message: Message) -> None:
        work_on_repository(self.services, body(message), clock=self.world.clock)

    def message(self, tag: str = "v1", **changes: Any) -> ReplicateTag:
        return replace(
            ReplicateTag(
                run="pushes-20250101", route="hub", source=self.source(tag), target=self.target(tag)
            ),
            **changes,
        )

    # Places

    def source(self, tag: str) -> Reference:
        return Reference(registry=self.world.registry, repository=self.world.repository, tag=parse_tag(tag))

    def target(self, tag: str, *, repository: RepositoryName | None = None) -> Reference:
        return Reference(registry=DOCKER_HUB, repository=repository or self.world.replica, tag=parse_tag(tag))

    def replica_of(self, repository: str) -> RepositoryName:
        return parse_repository(f"{self.world.hub.namespace}/{repository.replace('/', '-')}")

    def on_hub(self, repository: str = "") -> dict[str, str]:
        """Return the tags that the replica has, with their digests."""
        found = self.world.hub.state.repository(repository or self.world.replica)
        return {} if found is None else {tag.name: tag.digest for tag in found.tags.page()}

    def put_on_hub(self, artifact: Artifact, tag: str, *, repository: str = "") -> str:
        """Let somebody else push to the replica."""
        return artifact.push_to(self.world.hub.state, repository or self.world.replica, tag=tag)

    def report(self, run: str, repository: str = "") -> Mapping[str, Any]:
        found = self.services.runs.read_report(self.world.part(run, repository))
        assert found is not None
        return found

    def poison(self) -> list[str]:
        return list(self.services.poison.names())
