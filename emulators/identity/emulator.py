import secrets
import time
from collections.abc import Iterable
from typing import Self

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from emulators.entra import EntraIssuer
from emulators.server import Server
from emulators.traffic import Edge, Faults, Traffic

_PATH = "/msi/token"
_API_VERSION = "2019-08-01"


class IdentityEmulator:
    """Gives access tokens of user-assigned identities to whoever knows the identity header.

    It speaks plain http, as App Service does: azure-identity finds it by `IDENTITY_ENDPOINT` and
    `IDENTITY_HEADER`. There is no system-assigned identity, so a request must name a client id.
    """

    def __init__(
        self,
        *,
        client_id: str = "11111111-1111-1111-1111-111111111111",
        other_client_ids: Iterable[str] = (),
        issuer: EntraIssuer | None = None,
        token_lifetime: float = 86_400.0,
        port: int = 0,
    ) -> None:
        self.client_id = client_id
        self.issuer = issuer if issuer is not None else EntraIssuer()
        self.header = secrets.token_hex(16)
        self.traffic, self.faults = Traffic(), Faults()
        self._client_ids = {client_id, *other_client_ids}
        self._token_lifetime = token_lifetime
        app = Starlette(routes=[Route(_PATH, self._answer, methods=["GET"])])
        self._server = Server(Edge(app, traffic=self.traffic, faults=self.faults), port=port)
        self.endpoint = f"http://127.0.0.1:{self._server.port}{_PATH}"

    def env(self) -> dict[str, str]:
        """Return the environment in which azure-identity finds this identity."""
        return {
            "IDENTITY_ENDPOINT": self.endpoint,
            "IDENTITY_HEADER": self.header,
            "AZURE_CLIENT_ID": self.client_id,
        }

    def add_identity(self, client_id: str) -> None:
        """Assign one more identity to the app."""
        self._client_ids.add(client_id)

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
        given = request.headers.get("x-identity-header", "")
        if not secrets.compare_digest(given.encode(), self.header.encode()):
            return _refusal(401, "the X-IDENTITY-HEADER header is missing or wrong")
        if request.query_params.get("api-version") != _API_VERSION:
            return _refusal(400, f"api-version must be {_API_VERSION}")
        resource = request.query_params.get("resource")
        if not resource:
            return _refusal(400, "the resource parameter is missing")
        client_id = request.query_params.get("client_id")
        if client_id not in self._client_ids:
            return _refusal(
                400,
                "No User Assigned or Delegated Managed Identity found for specified "
                "ClientId/ResourceId/PrincipalId.",
            )
        token = self.issuer.issue(client_id, resource, self._token_lifetime)
        return JSONResponse(
            {
                "access_token": token,
                "expires_on": str(int(time.time() + self._token_lifetime)),
                "resource": resource,
                "token_type": "Bearer",
                "client_id": client_id,
            }
        )


def _refusal(status: int, message: str) -> Response:
    return JSONResponse({"statusCode": status, "message": message}, status_code=status)
