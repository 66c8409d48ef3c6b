"""The gate in front of every data-plane request: who calls, may they, and not too often."""

from __future__ import annotations

import base64
import binascii

from starlette.requests import Request

from emulators.acr.errors import AUTHENTICATION_REQUIRED, too_many_requests
from emulators.acr.principals import CATALOG, Principals
from emulators.acr.quotas import Quotas, categories_of
from emulators.acr.tokens import Caller, InvalidRegistryTokenError, TokenIssuer
from emulators.registry.wire import WireError, decoded_path

_CALLER = "emulators.acr.caller"


class Gate:
    """Lets a request pass or raises 401 with a challenge, or 429."""

    def __init__(
        self, *, login_server: str, principals: Principals, tokens: TokenIssuer, quotas: Quotas
    ) -> None:
        self._login_server = login_server
        self._principals = principals
        self._tokens = tokens
        self._quotas = quotas

    def admit(self, request: Request, repository: str | None, actions: tuple[str, ...]) -> Caller:
        """Return the caller, who may take the actions; ``*`` without a repository is the catalog."""
        caller, error = self._authenticate(request, repository)
        if caller is None:
            raise self._challenge(repository, actions, error)
        if not caller.may(repository, actions):
            raise self._challenge(repository, actions, "insufficient_scope")
        self.throttle(request, caller.identity)
        request.scope[_CALLER] = caller
        return caller

    def throttle(self, request: Request, identity: str) -> None:
        wait = self._quotas.take(identity, *categories_of(request.method, decoded_path(request)))
        if wait is not None:
            raise too_many_requests(wait)

    def may_pull(self, request: Request, repository: str) -> bool:
        """Say whether the caller that was admitted may also pull from another repository."""
        caller: Caller = request.scope[_CALLER]
        if caller.identity and not caller.expires:
            return "pull" in self._principals.actions(caller.identity, repository)
        return caller.may(repository, ("pull",))

    def _authenticate(self, request: Request, repository: str | None) -> tuple[Caller | None, str]:
        scheme, _, credential = request.headers.get("authorization", "").partition(" ")
        match scheme.lower():
            case "bearer":
                try:
                    return self._tokens.caller(credential.strip()), ""
                except InvalidRegistryTokenError:
                    return None, "invalid_token"
            case "basic":
                return self._basic(credential, repository), ""
        return None, ""

    def _basic(self, credential: str, repository: str | None) -> Caller | None:
        pair = basic_pair(credential)
        identity = None if pair is None else self._principals.sign_in(*pair)
        if identity is None:
            return None
        if repository is not None:
            access = {repository: self._principals.actions(identity, repository)}
        else:
            listing = self._principals.may_list_catalog(identity)
            access = {"": frozenset("*") if listing else frozenset()}
        return Caller(identity=identity, access=access, expires=0.0)

    def _challenge(self, repository: str | None, actions: tuple[str, ...], error: str) -> WireError:
        kind, name = ("registry", CATALOG) if repository is None else ("repository", repository)
        fields = [
            f'realm="https://{self._login_server}/oauth2/token"',
            f'service="{self._login_server}"',
        ]
        if actions:
            fields.append(f'scope="{kind}:{name}:{",".join(actions)}"')
        if error:
            fields.append(f'error="{error}"')
        detail = [{"Type": kind, "Name": name, "Action": action} for action in actions]
        headers = {"WWW-Authenticate": f"Bearer {','.join(fields)}"}
        return WireError(401, "UNAUTHORIZED", AUTHENTICATION_REQUIRED, detail or None, headers)


def basic_pair(credential: str) -> tuple[str, str] | None:
    """Decode the credential of a Basic header."""
    try:
        username, colon, password = base64.b64decode(credential, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (username, password) if colon else None
