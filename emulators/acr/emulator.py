"""One emulated registry: two TLS servers, their state and their knobs."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Protocol, Self

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from emulators.acr.access import Gate
from emulators.acr.events import Listener, Notifications
from emulators.acr.host import AcrHost
from emulators.acr.metadata import Metadata
from emulators.acr.oauth import TokenService
from emulators.acr.principals import Principals
from emulators.acr.quotas import Quotas, Sku
from emulators.acr.tokens import TokenIssuer
from emulators.certificates import CertificateAuthority
from emulators.entra import EntraIssuer
from emulators.registry.distribution import Distribution
from emulators.registry.state import RegistryState, utc_now
from emulators.registry.storage import BlobStorage
from emulators.registry.wire import WireError, decoded_path
from emulators.server import Server
from emulators.traffic import Edge

_SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"


class _HasIssuer(Protocol):
    @property
    def issuer(self) -> EntraIssuer: ...


class AcrEmulator:
    """A registry of Azure on loopback; see the package for how to use it."""

    def __init__(
        self,
        *,
        ca: CertificateAuthority,
        name: str = "demo",
        sku: Sku = "Standard",
        enforce_quotas: bool = False,
        quota_scale: float = 1.0,
        quota_window: float = 60.0,
        abac: bool = False,
        anonymous_pull: bool = False,
        accept_arm_audience: bool = True,
        latency: float = 0.0,
        read_lag: float = 0.0,
        access_token_lifetime: float = 4500.0,
        refresh_token_lifetime: float = 10_800.0,
        storage_url_lifetime: float = 1200.0,
        page_cap: int = 1000,
        validate_references: bool = True,
        identity: _HasIssuer | None = None,
        location: str = "westeurope",
        clock: Callable[[], datetime] = utc_now,
        port: int = 0,
    ) -> None:
        self.name = name
        self.resource_id = (
            f"/subscriptions/{_SUBSCRIPTION}/resourceGroups/emulated/providers"
            f"/Microsoft.ContainerRegistry/registries/{name}"
        )
        self.admin_username = name
        self.admin_password = secrets.token_urlsafe(24)
        self.admin_password2 = secrets.token_urlsafe(24)
        self.state = RegistryState(clock=clock, read_lag=read_lag)
        self._edge = Edge(self._serve, latency=latency)
        self.traffic, self.faults = self._edge.traffic, self._edge.faults
        storage = BlobStorage(self.state.content, clock=clock, lifetime=storage_url_lifetime)
        self._storage_edge = Edge(storage, latency=latency)
        self.storage_traffic = self._storage_edge.traffic
        self.storage_faults = self._storage_edge.faults
        self._storage_server = Server(self._storage_edge, ca=ca)
        storage.base_url = self._storage_server.url
        self._server = Server(self._edge, ca=ca, port=port)
        self.login_server = self._server.netloc
        self.url = self._server.url
        self.quotas = Quotas(
            sku=sku, enforced=enforce_quotas, clock=clock, scale=quota_scale, window=quota_window
        )
        admin = {self.admin_username: (self.admin_password, self.admin_password2)}
        self._principals = Principals(abac=abac, anonymous_pull=anonymous_pull, admin=admin)
        self.tokens = TokenIssuer(
            service=self.login_server,
            principals=self._principals,
            clock=clock,
            access_lifetime=access_token_lifetime,
            refresh_lifetime=refresh_token_lifetime,
            abac=abac,
        )
        self._token_service = TokenService(
            login_server=self.login_server,
            trusted_issuer=identity.issuer if identity is not None else EntraIssuer(),
            principals=self._principals,
            tokens=self.tokens,
            quotas=self.quotas,
            accept_arm_audience=accept_arm_audience,
        )
        self._notifications = Notifications(login_server=self.login_server, location=location, clock=clock)
        gate = Gate(
            login_server=self.login_server,
            principals=self._principals,
            tokens=self.tokens,
            quotas=self.quotas,
        )
        self._host = AcrHost(
            self.state,
            gate=gate,
            storage=storage,
            notifications=self._notifications,
            quotas=self.quotas,
        )
        self._host.page_cap = page_cap
        self._host.validate_references = validate_references
        self._distribution = Distribution(self._host)
        self._metadata = Metadata(self._host, login_server=self.login_server)

    @property
    def trusted_issuer(self) -> EntraIssuer:
        """Whose Entra tokens are exchanged."""
        return self._token_service.trusted_issuer

    @trusted_issuer.setter
    def trusted_issuer(self, issuer: EntraIssuer) -> None:
        self._token_service.trusted_issuer = issuer

    @property
    def latency(self) -> float:
        """Seconds that each request waits before anything else happens to it."""
        return self._edge.latency

    @latency.setter
    def latency(self, seconds: float) -> None:
        self._edge.latency = self._storage_edge.latency = seconds

    @property
    def storage_netloc(self) -> str:
        """Where blob GETs are sent."""
        return self._storage_server.netloc

    def grant(self, client_id: str, *roles: str, repositories: Iterable[str] | None = None) -> None:
        """Assign built-in roles to an Entra identity, on all repositories or on some.

        A repository pattern that ends in ``/`` or ``*`` is a prefix. Tokens already issued keep their access.
        """
        self._principals.grant(client_id, *roles, repositories=repositories)

    def revoke(self, client_id: str) -> None:
        """Take all roles from an Entra identity."""
        self._principals.revoke(client_id)

    def add_token(self, name: str, password: str, scope_map: Mapping[str, Iterable[str]]) -> None:
        """Add a repository-scoped token: ``{"team/app": ["content/read", "metadata/read"]}``."""
        self._principals.add_token(name, password, scope_map)

    def subscribe(self, listener: Listener) -> None:
        """Call with the ``data`` of each event, in the thread that serves the request: be quick."""
        self._notifications.subscribe(listener)

    def start(self) -> None:
        self._storage_server.start()
        self._server.start()

    def stop(self) -> None:
        self._server.stop()
        self._storage_server.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._respond(request)
        except WireError as error:
            response = error.response()
        except ClientDisconnect:
            return
        self._host.finish(request, response)
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        path = decoded_path(request)
        if path.startswith("/acr/v1/"):
            return await self._metadata.respond(request)
        if path.startswith("/oauth2/"):
            return await self._token_service.respond(request)
        return await self._distribution.respond(request)
