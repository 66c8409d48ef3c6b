"""What jobs are given: the edges, already wired."""

from dataclasses import dataclass
from typing import Protocol

from shared.notices import Notices
from shared.oci.names import LoginServer
from shared.registry.acr import AcrClient
from shared.registry.acr_resource import NativePolicies
from shared.registry.client import RegistryClient
from shared.registry.dockerhub import DockerHubClient
from shared.settings import Settings
from shared.storage.edges import EdgeStore
from shared.storage.ledger import Ledger
from shared.storage.poison import PoisonStore
from shared.storage.policy_source import PolicySource
from shared.storage.queues import WorkQueue
from shared.storage.runs import RunStore


class Registries(Protocol):
    """Hands out one client per registry, each with its own session, tokens and pacing."""

    def acr(self, login_server: LoginServer) -> AcrClient:
        """Return the client of a configured Azure Container Registry.

        :raises InvalidInput: when no setting names that registry.
        """

    def source(self, login_server: LoginServer) -> AcrClient:
        """Return the client that tags are copied from such a registry by: it waits briefly, as targets' do.

        What it would have to wait longer for goes back to the queue. Snapshots, which have to be taken at
        one go, use :meth:`acr`.

        :raises InvalidInput: when no setting names that registry.
        """

    def target(self, login_server: LoginServer) -> RegistryClient:
        """Return the client of a registry that a route replicates to."""

    def docker_hub(self) -> DockerHubClient | None:
        """Return the client of Docker Hub's own API, ``None`` without credentials for it."""

    def native_policies(self, login_server: LoginServer) -> NativePolicies | None:
        """Return what the registry does by itself, ``None`` when no setting says which resource it is.

        :raises RegistryError: when the resource cannot be read.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything a job may call."""

    settings: Settings
    policy: PolicySource
    registries: Registries
    events_queue: WorkQueue
    replication_queue: WorkQueue
    cleanup_queue: WorkQueue
    runs: RunStore
    edges: EdgeStore
    ledger: Ledger
    poison: PoisonStore
    notices: Notices
