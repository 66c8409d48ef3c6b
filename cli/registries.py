"""The registries that a command talks to: what kind each is, and one client of each."""

import os
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack
from http import HTTPStatus
from types import TracebackType
from typing import TYPE_CHECKING, Final, Literal, Self
from urllib.parse import urlsplit

from cli.access import Access
from cli.exits import Failure, Unsupported
from cli.places import AZURE_DOMAINS
from shared.environment import EnvironmentReader, is_loopback
from shared.oci.names import DOCKER_HUB, LoginServer
from shared.registry.acr import AcrClient
from shared.registry.challenges import parse_challenges
from shared.registry.client import RegistryClient, endpoint_of
from shared.registry.credentials import ANONYMOUS, BasicCredential, Credential, EntraCredential
from shared.registry.dockerhub import DockerHubClient
from shared.registry.transport import Transport, TransportOptions
from shared.settings import DOCKER_HUB_API, DOCKER_HUB_REGISTRY

if TYPE_CHECKING:
    from azure.identity import DefaultAzureCredential

type Kind = Literal["acr", "dockerhub", "oci"]

_ANY_ANSWER: Final = frozenset(range(200, 500)) - {HTTPStatus.TOO_MANY_REQUESTS}
_PROBE: Final = "/acr/v1/_catalog?n=1"


class Registries:
    """Clients by login server, opened when first asked for and closed at the end.

    ``content_only`` is for whoever only moves content, which every registry does alike: then nobody is
    asked what it is. ``environ`` is where credentials and endpoints are looked for.
    """

    def __init__(
        self,
        access: Access,
        *,
        threads: int = 16,
        content_only: bool = False,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._access = access
        self._environ = os.environ if environ is None else environ
        self._content_only = content_only
        self._threads = threads
        self._open = ExitStack()
        self._kinds: dict[LoginServer, Kind] = {}
        self._clients: dict[LoginServer, RegistryClient] = {}
        self._hub: DockerHubClient | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def kind(self, login_server: LoginServer) -> Kind:
        """Return what the registry speaks, by its name or else by asking it.

        :raises RegistryError: when it does not answer.
        """
        if login_server == DOCKER_HUB:
            return "dockerhub"
        if is_azure(login_server):
            return "acr"
        if login_server not in self._kinds:
            self._kinds[login_server] = "acr" if self._speaks_acr(login_server) else "oci"
        return self._kinds[login_server]

    def client(self, login_server: LoginServer) -> RegistryClient:
        """Return a client of the registry's OCI side; of an Azure registry, one that knows all of it."""
        found = self._clients.get(login_server)
        if found is None:
            found = self._clients[login_server] = self._open.enter_context(self._client(login_server))
        return found

    def acr(self, login_server: LoginServer, *, purpose: str) -> AcrClient:
        """Return the client of an Azure Container Registry.

        :raises Unsupported: for any other registry, naming the purpose.
        """
        kind = self.kind(login_server)
        client = self.client(login_server)
        if isinstance(client, AcrClient):
            return client
        what = "Docker Hub" if kind == "dockerhub" else f"{login_server}, a plain OCI registry,"
        raise Unsupported(
            f"{what} cannot {purpose}: that takes Azure Container Registry's own API (/acr/v1)",
            hint="steward --help marks what works where; tags, show and copy work with any registry",
        )

    def hub(self) -> DockerHubClient:
        """Return the client of Docker Hub's own API.

        :raises Failure: without a credential, which that API always wants.
        """
        if self._hub is None:
            credential = self.credential(DOCKER_HUB)
            if not isinstance(credential, BasicCredential):
                raise Failure(
                    "Docker Hub's API answers nobody without a sign-in",
                    hint="set DOCKERHUB_USERNAME and DOCKERHUB_TOKEN",
                )
            self._hub = self._open.enter_context(
                DockerHubClient(
                    credential,
                    api_url=self._endpoint("DOCKERHUB_API_ENDPOINT", DOCKER_HUB_API),
                    options=self.options(DOCKER_HUB),
                )
            )
        return self._hub

    def _client(self, login_server: LoginServer) -> RegistryClient:
        credential, options = self.credential(login_server), self.options(login_server)
        endpoint = self.base_url(login_server)
        by_name = self._content_only and not isinstance(credential, EntraCredential)
        if is_azure(login_server) or (not by_name and self.kind(login_server) == "acr"):
            return AcrClient(login_server, credential, endpoint=endpoint, options=options)
        return RegistryClient(login_server, credential, endpoint=endpoint, options=options)

    def credential(self, login_server: LoginServer) -> Credential:
        """Return who we are to this registry; a secret meant for one is never sent to another.

        An Entra token goes to Azure's own domains only: whoever gets one can use it at every registry
        of its owner.
        """
        access = self._access
        if access.username is not None and access.password is not None:
            return BasicCredential(username=access.username, secret=access.password)
        hub = login_server == DOCKER_HUB
        for prefix in ("DOCKERHUB",) if hub else access.prefixes:
            username = self._environ.get(f"{prefix}_USERNAME")
            password = self._environ.get(f"{prefix}_{'TOKEN' if hub else 'PASSWORD'}")
            if username and password:
                return BasicCredential(username=username, secret=password)
        emulated = is_loopback(login_server) and "IDENTITY_ENDPOINT" in self._environ
        if is_azure(login_server) or (emulated and self.kind(login_server) == "acr"):
            return EntraCredential(tokens=_entra())
        return ANONYMOUS

    def _speaks_acr(self, login_server: LoginServer) -> bool:
        """Tell whether ACR's API is there: it asks for a token of its own service, or answers."""
        transport = Transport(
            registry=login_server,
            base_url=self.base_url(login_server),
            options=self.options(login_server, tries=2),
        )
        try:
            response = transport.request("GET", _PROBE, expect=_ANY_ANSWER)
        finally:
            transport.close()
        if response.status_code == HTTPStatus.OK:
            return "json" in response.headers.get("Content-Type", "")
        challenges = parse_challenges(response.headers.get("WWW-Authenticate", ""))
        return response.status_code == HTTPStatus.UNAUTHORIZED and any(
            urlsplit(challenge.parameters.get("realm", "")).path == "/oauth2/token"
            for challenge in challenges
            if challenge.scheme == "bearer"
        )

    def base_url(self, login_server: LoginServer) -> str:
        """Return where the registry answers."""
        if login_server == DOCKER_HUB:
            return self._endpoint("DOCKERHUB_REGISTRY_ENDPOINT", DOCKER_HUB_REGISTRY)
        if not self._access.plain_http:
            return endpoint_of(login_server)
        if not is_loopback(login_server):
            raise Failure(f"--plain-http is for registries on this machine, and {login_server} is not")
        return f"http://{login_server}"

    def options(self, login_server: LoginServer, *, tries: int = 4) -> TransportOptions:
        """Return how the registry is called: with our trust, and through the environment's proxy."""
        host = login_server.partition(":")[0]
        direct = is_loopback(login_server) or urllib.request.proxy_bypass(host)
        return TransportOptions(
            ca_file=self._access.ca_file,
            threads=self._threads,
            tries=tries,
            proxies={} if direct else urllib.request.getproxies(),
        )

    def _endpoint(self, name: str, default: str) -> str:
        reader = EnvironmentReader(self._environ)
        found = reader.endpoint(name, default)
        reader.finish()
        return found


def is_azure(login_server: LoginServer) -> bool:
    """Tell by the name whether it is an Azure Container Registry."""
    return login_server.partition(":")[0].endswith(AZURE_DOMAINS)


def _entra() -> "DefaultAzureCredential":
    from azure.identity import DefaultAzureCredential  # noqa: PLC0415 - half a second, for Azure only

    return DefaultAzureCredential()
