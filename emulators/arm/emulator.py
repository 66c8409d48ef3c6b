from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol, Self

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from emulators.certificates import CertificateAuthority
from emulators.entra import EntraIssuer, InvalidEntraTokenError
from emulators.server import Server
from emulators.traffic import Edge, Faults, Traffic

_AUDIENCES = ("https://management.azure.com", "https://management.core.windows.net")
_ROLES_THAT_READ = frozenset({"Owner", "Contributor", "Reader"})
_READ = "Microsoft.ContainerRegistry/registries/read"
_API_VERSION = re.compile(r"\d{4}-\d\d-\d\d(-preview)?")
_FIRST_WITH_SOFT_DELETE = "2022-02-01-preview"


class _HasIssuer(Protocol):
    @property
    def issuer(self) -> EntraIssuer: ...


@dataclass(slots=True, kw_only=True)
class RegistryResource:
    """One registry as a resource; its policies are off while their days are ``None``."""

    resource_id: str
    login_server: str
    location: str = "westeurope"
    sku: str = "Premium"
    retention_days: int | None = None
    soft_delete_days: int | None = None

    def document(self, api_version: str) -> dict[str, Any]:
        """Return the resource as that version of its type shows it."""
        policies: dict[str, Any] = {
            "quarantinePolicy": {"status": "disabled"},
            "trustPolicy": {"type": "Notary", "status": "disabled"},
            "retentionPolicy": {
                "days": 7 if self.retention_days is None else self.retention_days,
                "lastUpdatedTime": "2026-01-05T09:10:11.1234567+00:00",
                "status": _status(self.retention_days),
            },
            "exportPolicy": {"status": "enabled"},
        }
        if api_version.endswith("-preview") and api_version >= _FIRST_WITH_SOFT_DELETE:
            policies["softDeletePolicy"] = {
                "retentionDays": 7 if self.soft_delete_days is None else self.soft_delete_days,
                "lastUpdatedTime": "2026-01-05T09:10:11.1234567+00:00",
                "status": _status(self.soft_delete_days),
            }
        return {
            "type": "Microsoft.ContainerRegistry/registries",
            "id": self.resource_id,
            "name": self.resource_id.rsplit("/", 1)[1],
            "location": self.location,
            "tags": {},
            "sku": {"name": self.sku, "tier": self.sku},
            "properties": {
                "loginServer": self.login_server,
                "creationDate": "2026-01-05T09:10:11.1234567Z",
                "provisioningState": "Succeeded",
                "adminUserEnabled": False,
                "publicNetworkAccess": "Enabled",
                "policies": policies,
            },
        }


class ArmEmulator:
    """The part of Azure Resource Manager that shows registries; see the package for how to use it."""

    def __init__(
        self, *, ca: CertificateAuthority, identity: _HasIssuer | None = None, port: int = 0
    ) -> None:
        self.trusted_issuer = identity.issuer if identity is not None else EntraIssuer()
        self.traffic, self.faults = Traffic(), Faults()
        self._resources: dict[str, RegistryResource] = {}
        self._grants: set[tuple[str, str]] = set()
        app = Starlette(routes=[Route("/{path:path}", self._answer, methods=["GET"])])
        self._server = Server(Edge(app, traffic=self.traffic, faults=self.faults), ca=ca, port=port)
        self.endpoint = self._server.url

    def add(self, resource_id: str, login_server: str) -> RegistryResource:
        """Make a registry known; what is changed on the returned one is seen at once."""
        resource = RegistryResource(resource_id=resource_id, login_server=login_server)
        self._resources[resource_id.lower()] = resource
        return resource

    def grant(self, client_id: str, role: str, scope: str) -> None:
        """Assign a role on a resource; roles other than these three do not read it."""
        if role in _ROLES_THAT_READ:
            self._grants.add((client_id.lower(), scope.lower()))

    def revoke(self, client_id: str) -> None:
        """Take all roles away."""
        self._grants = {grant for grant in self._grants if grant[0] != client_id.lower()}

    def start(self) -> Self:
        self._server.start()
        return self

    def stop(self) -> None:
        self._server.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    async def _answer(self, request: Request) -> Response:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return _error(HTTPStatus.UNAUTHORIZED, "AuthenticationFailed", "Authentication failed.")
        try:
            claims = self.trusted_issuer.verify(token, _AUDIENCES)
        except InvalidEntraTokenError as error:
            return _error(
                HTTPStatus.UNAUTHORIZED,
                "InvalidAuthenticationToken",
                f"The access token is invalid: {error}.",
            )
        version = request.query_params.get("api-version", "")
        if not _API_VERSION.fullmatch(version):
            return _error(
                HTTPStatus.BAD_REQUEST,
                "MissingApiVersionParameter",
                "The api-version query parameter (?api-version=) is required for all requests.",
            )
        place = request.url.path
        if (claims["appid"].lower(), place.lower()) not in self._grants:
            return _error(
                HTTPStatus.FORBIDDEN,
                "AuthorizationFailed",
                f"The client '{claims['appid']}' with object id '{claims['oid']}' does not have "
                f"authorization to perform action '{_READ}' over scope '{place}' or the scope is invalid. If "
                "access was recently granted, please refresh your credentials.",
            )
        resource = self._resources.get(place.lower())
        if resource is None:
            return _error(HTTPStatus.NOT_FOUND, "ResourceNotFound", f"The Resource '{place}' was not found.")
        return JSONResponse(resource.document(version))


def _status(days: int | None) -> str:
    return "disabled" if days is None else "enabled"


def _error(status: HTTPStatus, code: str, message: str) -> Response:
    return JSONResponse({"error": {"code": code, "message": message}}, status)
