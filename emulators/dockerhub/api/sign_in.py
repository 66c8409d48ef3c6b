"""Sign-in of the Hub API: a name and a secret for a token of ten minutes."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from emulators.dockerhub.accounts import Account, BadCredentialsError, LockedOutError
from emulators.dockerhub.api.body import read_object, text_field
from emulators.dockerhub.api.errors import detail_error
from emulators.dockerhub.hub import Hub


class SignIn:
    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def routes(self) -> list[Route]:
        return [
            Route("/v2/auth/token", self.create_token, methods=["POST"]),
            Route("/v2/users/login", self.log_in, methods=["POST"]),
        ]

    async def create_token(self, request: Request) -> Response:
        body = await read_object(request)
        account = self._sign_in(text_field(body, "identifier"), text_field(body, "secret"))
        return JSONResponse({"access_token": self._token(account)})

    async def log_in(self, request: Request) -> Response:
        """Sign in the deprecated way, closed to organizations (docker/hub-feedback#2445)."""
        body = await read_object(request)
        account = self._sign_in(text_field(body, "username"), text_field(body, "password"))
        if account.kind == "organization":
            raise detail_error(401, "Cannot log into an organization account")
        return JSONResponse({"token": self._token(account)}, headers={"Deprecation": "true"})

    def _sign_in(self, username: str, secret: str) -> Account:
        try:
            return self._hub.accounts.sign_in(username, secret, now=self._hub.clock())
        except LockedOutError as error:
            raise detail_error(429, "too many failed login attempts for username or IP address") from error
        except BadCredentialsError as error:
            raise detail_error(401, "Incorrect authentication credentials") from error

    def _token(self, account: Account) -> str:
        return self._hub.api_tokens.issue(account.claims())
