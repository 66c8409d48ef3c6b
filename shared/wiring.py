"""The composition root: settings become clients, queues and stores."""

from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Final

from azure.core.credentials import TokenCredential
from azure.identity import DefaultAzureCredential, ManagedIdentityCredential

from shared.errors import InvalidSettings, Problem
from shared.jobs.services import Services
from shared.notices import EventGridNotices, NoNotices, Notices
from shared.oci.names import DOCKER_HUB, LoginServer
from shared.registry.acr import AcrClient
from shared.registry.acr_resource import NativePolicies, ResourceManager
from shared.registry.client import RegistryClient
from shared.registry.credentials import ANONYMOUS, BasicCredential, Credential, EntraCredential
from shared.registry.dockerhub import DockerHubClient
from shared.registry.transport import TransportOptions
from shared.settings import Settings, UserPassword
from shared.storage.account import StorageAccount
from shared.storage.edges import EdgeStore
from shared.storage.ledger import Ledger
from shared.storage.poison import PoisonStore
from shared.storage.policy_source import BlobPolicySource, FilePolicySource, PolicySource
from shared.storage.queues import WorkQueue
from shared.storage.runs import RunStore

_BRIEF_PATIENCE: Final = 10.0
"""How long, in seconds, one request of a copy may wait in a function; beyond it, its message goes back."""

APP_ROOT = Path(__file__).resolve().parents[1]


class ConfiguredRegistries:
    """One client per registry, made when it is first asked for and kept: it holds tokens and connections."""

    def __init__(self, settings: Settings, entra: TokenCredential) -> None:
        self._settings = settings
        self._entra = entra
        self._options = TransportOptions(
            ca_file=None if settings.ca_file is None else Path(settings.ca_file),
            threads=settings.registry_threads,
        )
        self._brief = replace(self._options, patience=_BRIEF_PATIENCE)
        self._acr: dict[LoginServer, AcrClient] = {}
        self._sources: dict[LoginServer, AcrClient] = {}
        self._others: dict[LoginServer, RegistryClient] = {}
        self._hub: DockerHubClient | None = None
        self._arm: ResourceManager | None = None
        self._lock = Lock()

    def acr(self, login_server: LoginServer) -> AcrClient:
        """Return the client of an Azure Container Registry in ``ACR_LOGIN_SERVERS``."""
        return self._azure(login_server, self._acr, self._options)

    def source(self, login_server: LoginServer) -> AcrClient:
        """Return the client that tags are copied by, which leaves long waits to the queue."""
        return self._azure(login_server, self._sources, self._brief)

    def _azure(
        self, login_server: LoginServer, made: dict[LoginServer, AcrClient], options: TransportOptions
    ) -> AcrClient:
        if login_server not in self._settings.login_servers:
            raise InvalidSettings(
                "app settings",
                [Problem(path="ACR_LOGIN_SERVERS", message=f"{login_server} is not among them")],
            )
        with self._lock:
            if login_server not in made:
                made[login_server] = AcrClient(
                    login_server,
                    self._credential(login_server, EntraCredential(tokens=self._entra)),
                    options=options,
                )
            return made[login_server]

    def target(self, login_server: LoginServer) -> RegistryClient:
        """Return the client of a registry that is replicated to."""
        if login_server in self._settings.login_servers:
            return self.source(login_server)
        with self._lock:
            if login_server not in self._others:
                self._others[login_server] = self._other(login_server)
            return self._others[login_server]

    def docker_hub(self) -> DockerHubClient | None:
        """Return the client of Docker Hub's API, ``None`` when no credentials for it are set."""
        user = self._settings.docker_hub
        if user is None:
            return None
        with self._lock:
            if self._hub is None:
                self._hub = DockerHubClient(
                    _basic(user), api_url=self._settings.docker_hub_api, options=self._brief
                )
            return self._hub

    def native_policies(self, login_server: LoginServer) -> NativePolicies | None:
        """Return what the registry does by itself, ``None`` when no setting says which resource it is."""
        resource_id = self._settings.resource_ids.get(login_server)
        if resource_id is None:
            return None
        with self._lock:
            if self._arm is None:
                self._arm = ResourceManager(
                    self._entra,
                    endpoint=self._settings.arm_endpoint,
                    scope=self._settings.arm_scope,
                    options=self._brief,
                )
        return self._arm.native_policies(resource_id, login_server)

    def _other(self, login_server: LoginServer) -> RegistryClient:
        if login_server == DOCKER_HUB:
            user = self._settings.docker_hub
            return RegistryClient(
                DOCKER_HUB,
                ANONYMOUS if user is None else _basic(user),
                endpoint=self._settings.docker_hub_registry,
                options=self._brief,
            )
        return RegistryClient(login_server, self._credential(login_server, ANONYMOUS), options=self._brief)

    def _credential(self, login_server: LoginServer, default: Credential) -> Credential:
        if login_server in self._settings.anonymous:
            return ANONYMOUS
        user = self._settings.credentials.get(login_server)
        return default if user is None else _basic(user)


def wire(settings: Settings) -> Services:
    """Return the services that the settings describe; nothing is called yet.

    In Azure everything is reached under the app's user-assigned identity; without one, azure-identity
    looks for whoever is signed in.
    """
    entra: TokenCredential = (
        DefaultAzureCredential()
        if settings.client_id is None
        else ManagedIdentityCredential(client_id=settings.client_id)
    )
    account = StorageAccount(settings, _storage_credential(settings, entra))
    return Services(
        settings=settings,
        policy=_policy_source(settings, account),
        registries=ConfiguredRegistries(settings, entra),
        events_queue=WorkQueue(account.queues, settings.events_queue),
        replication_queue=WorkQueue(account.queues, settings.replication_queue),
        cleanup_queue=WorkQueue(account.queues, settings.cleanup_queue),
        runs=RunStore(account.blobs, settings.runs_container),
        edges=EdgeStore(account.blobs, settings.runs_container),
        ledger=Ledger(account.blobs, settings.runs_container),
        poison=PoisonStore(account.blobs, settings.runs_container),
        notices=_notices(settings, entra),
    )


def _storage_credential(settings: Settings, entra: TokenCredential) -> TokenCredential:
    if settings.storage_client_id in {None, settings.client_id}:
        return entra
    return ManagedIdentityCredential(client_id=settings.storage_client_id)


def _notices(settings: Settings, entra: TokenCredential) -> Notices:
    return NoNotices() if settings.notices_topic is None else EventGridNotices(settings.notices_topic, entra)


def _policy_source(settings: Settings, account: StorageAccount) -> PolicySource:
    if settings.policy_blob is not None:
        return BlobPolicySource(account.blobs, settings.policy_blob)
    return FilePolicySource(APP_ROOT / (settings.policy_file or ""))


def _basic(user: UserPassword) -> BasicCredential:
    return BasicCredential(username=user.username, secret=user.password.reveal())
