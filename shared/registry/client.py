"""One registry, over the OCI distribution API."""

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Self

from shared.errors import InvalidName, ProtocolViolation
from shared.oci.names import DOCKER_HUB, LoginServer, RepositoryName, parse_repository
from shared.registry.addresses import Origin, origin_of
from shared.registry.challenges import Challenge
from shared.registry.credentials import ANONYMOUS, Credential, EntraCredential
from shared.registry.flights import Flights
from shared.registry.pulls import Pulls
from shared.registry.registry_auth import RegistryAuthenticator
from shared.registry.repository import PAGE_SIZE, RepositoryClient
from shared.registry.scopes import Scope, repository_scope
from shared.registry.token_flows import Send
from shared.registry.transport import Transport, TransportOptions
from shared.registry.wire import follow_pages, json_object, next_link

DOCKER_HUB_ENDPOINT: Final = "https://registry-1.docker.io"


def endpoint_of(login_server: LoginServer) -> str:
    """Return the base URL of a registry: https, and Docker Hub's registry by its real name."""
    return DOCKER_HUB_ENDPOINT if login_server == DOCKER_HUB else f"https://{login_server}"


class RegistryClient:
    """Talks to one registry; safe to share between threads, and meant to be.

    ``endpoint`` is where the registry answers when that is not ``https://`` and its name: an emulator,
    or plain http on loopback.
    """

    def __init__(
        self,
        login_server: LoginServer,
        credential: Credential = ANONYMOUS,
        *,
        endpoint: str | None = None,
        options: TransportOptions | None = None,
    ) -> None:
        """Prepare the client; nothing is sent before the first request."""
        self.login_server = login_server
        base_url = endpoint or endpoint_of(login_server)
        self._authenticator: RegistryAuthenticator | None = None
        self._transport = Transport(
            registry=login_server,
            base_url=base_url,
            options=options or TransportOptions(),
            authenticate=self._authenticate(credential, origin_of(base_url)),
        )
        self.pulls = Pulls(login_server)
        """How many pulls the registry said are left."""
        self._flights = Flights()
        self._guard = threading.Lock()
        self._repositories: dict[RepositoryName, RepositoryClient] = {}

    def _authenticate(self, credential: Credential, home: Origin) -> Callable[[Send], RegistryAuthenticator]:
        challenge = self._known_challenge(home)
        if isinstance(credential, EntraCredential) and challenge is None:
            raise ValueError(f"{self.login_server}: an Entra identity is for Azure Container Registry only")

        def authenticate(send: Send) -> RegistryAuthenticator:
            self._authenticator = RegistryAuthenticator(
                registry=self.login_server,
                home=home,
                credential=credential,
                send=send,
                challenge=challenge,
            )
            return self._authenticator

        return authenticate

    def _known_challenge(self, home: Origin) -> Challenge | None:
        """Return where this kind of registry signs people in, ``None`` to wait until it says so."""
        del home
        return None

    def repository(self, name: RepositoryName) -> RepositoryClient:
        """Return the client of one repository, the same one each time."""
        with self._guard:
            found = self._repositories.get(name)
            if found is None:
                found = self._repositories[name] = RepositoryClient(
                    self._transport, self.login_server, name, pulls=self.pulls, flights=self._flights
                )
            return found

    def expect(self, names: Iterable[RepositoryName], *actions: str) -> None:
        """Announce what will be done to repositories, so that one token serves ten of them.

        ``expect([name], "pull", "push")`` before a copy spares the token that only pulls.
        """
        if self._authenticator is not None:
            self._authenticator.expect(self._scope(name, *actions) for name in names)

    def _scope(self, name: RepositoryName, *actions: str) -> Scope:
        return repository_scope(name, *actions)

    def list_repositories(self) -> Iterator[RepositoryName]:
        """Yield the names of all repositories that the credential may list."""
        return self._names(f"/v2/_catalog?n={PAGE_SIZE}")

    def _names(self, first: str) -> Iterator[RepositoryName]:
        def fetch(url: str) -> tuple[list[RepositoryName], str | None]:
            response = self._transport.request("GET", url)
            names: Any = json_object(response, registry=self.login_server).get("repositories") or []
            try:
                return [parse_repository(name) for name in names], next_link(response)
            except (InvalidName, TypeError) as error:
                raise ProtocolViolation(
                    f"in the list of repositories: {error}", registry=self.login_server
                ) from error

        pages = follow_pages(
            self._transport.url(first), fetch, registry=self.login_server, home=self._transport.home
        )
        return (name for page in pages for name in page)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
