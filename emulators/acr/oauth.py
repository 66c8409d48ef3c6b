"""``/oauth2/exchange`` and ``/oauth2/token``: Entra token to refresh token to access token."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response

from emulators.acr.access import basic_pair
from emulators.acr.errors import invalid_request, too_many_requests, unauthorized, unsupported
from emulators.acr.principals import ANONYMOUS, Principals, entra_identity
from emulators.acr.quotas import Quotas
from emulators.acr.tokens import InvalidRegistryTokenError, TokenIssuer
from emulators.entra import EntraIssuer, InvalidEntraTokenError
from emulators.registry.wire import decoded_path, json_response

REGISTRY_AUDIENCE = "https://containerregistry.azure.net"
ARM_AUDIENCES = ("https://management.azure.com", "https://management.core.windows.net")
NULL_USER = "00000000-0000-0000-0000-000000000000"
"""The user name whose password is a refresh token, as ``docker login`` stores it."""


class TokenService:
    """Serves ``/oauth2/``."""

    def __init__(
        self,
        *,
        login_server: str,
        trusted_issuer: EntraIssuer,
        principals: Principals,
        tokens: TokenIssuer,
        quotas: Quotas,
        accept_arm_audience: bool,
    ) -> None:
        self.trusted_issuer = trusted_issuer
        self._login_server = login_server
        self._principals = principals
        self._tokens = tokens
        self._quotas = quotas
        self._audiences = (REGISTRY_AUDIENCE, *(ARM_AUDIENCES if accept_arm_audience else ()))

    async def respond(self, request: Request) -> Response:
        """Answer a request below ``/oauth2/``."""
        wait = self._quotas.take(None, "oauth")
        if wait is not None:
            raise too_many_requests(wait)
        match request.method, decoded_path(request):
            case "POST", "/oauth2/exchange":
                answer = {"refresh_token": self._exchange(await _form(request))}
            case "POST", "/oauth2/token":
                form = await _form(request)
                identity = self._identity_of_form(form)
                answer = {"access_token": self._access_token(identity, form.get("scope", ()))}
            case "GET", "/oauth2/token":
                identity = self._identity_of_header(request.headers.get("authorization", ""))
                scopes = request.query_params.getlist("scope")
                answer = {"access_token": self._access_token(identity, scopes)}
            case _:
                raise unsupported()
        rate = f"{self._quotas.per_second('oauth'):.2f}"
        return json_response(answer, headers={"X-Ms-Ratelimit-Remaining-Calls-Per-Second": rate})

    def _exchange(self, form: Mapping[str, list[str]]) -> str:
        if _first(form, "grant_type") not in {"access_token", "access_token_refresh_token"}:
            raise invalid_request("grant_type is access_token or access_token_refresh_token")
        self._check_service(form)
        try:
            claims = self.trusted_issuer.verify(_first(form, "access_token"), self._audiences)
        except InvalidEntraTokenError as error:
            raise unauthorized() from error
        return self._tokens.refresh_token(entra_identity(claims["appid"]), tenant=claims["tid"])

    def _identity_of_form(self, form: Mapping[str, list[str]]) -> str:
        self._check_service(form)
        match _first(form, "grant_type"):
            case "refresh_token":
                return self._identity_of_refresh_token(_first(form, "refresh_token"))
            case "password":
                username = _first(form, "username")
                return self._sign_in(username, _first(form, "password")) if username else self._anonymous()
        raise invalid_request("grant_type is refresh_token or password")

    def _identity_of_header(self, header: str) -> str:
        scheme, _, credential = header.partition(" ")
        if not header:
            return self._anonymous()
        pair = basic_pair(credential) if scheme.lower() == "basic" else None
        if pair is None:
            raise unauthorized()
        return self._sign_in(*pair)

    def _sign_in(self, username: str, password: str) -> str:
        if username == NULL_USER:
            return self._identity_of_refresh_token(password)
        identity = self._principals.sign_in(username, password)
        if identity is None:
            raise unauthorized()
        return identity

    def _identity_of_refresh_token(self, token: str) -> str:
        try:
            return self._tokens.identity_of(token)
        except InvalidRegistryTokenError as error:
            raise unauthorized() from error

    def _anonymous(self) -> str:
        if not self._principals.anonymous_pull:
            raise unauthorized()
        return ANONYMOUS

    def _access_token(self, identity: str, scopes: Iterable[str]) -> str:
        return self._tokens.access_token(identity, [each for scope in scopes for each in scope.split()])

    def _check_service(self, form: Mapping[str, list[str]]) -> None:
        if _first(form, "service") != self._login_server:
            raise unauthorized()


async def _form(request: Request) -> dict[str, list[str]]:
    return parse_qs((await request.body()).decode("utf-8", "replace"))


def _first(form: Mapping[str, list[str]], field: str) -> str:
    return form.get(field, [""])[0]
