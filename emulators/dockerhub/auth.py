"""auth.docker.io: registry tokens for what an account may do, silently less than it asked for."""

import base64
import binascii
from datetime import UTC
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from emulators.dockerhub.accounts import Account, BadCredentialsError, LockedOutError
from emulators.dockerhub.hub import Hub


def build_auth(hub: Hub) -> ASGIApp:
    """Return the token service as an ASGI application."""

    async def token(request: Request) -> Response:
        try:
            account = _account(request, hub)
        except LockedOutError:
            text = "too many failed login attempts for username or IP address"
            return JSONResponse({"details": text}, status_code=429)
        except BadCredentialsError:
            return JSONResponse({"details": "incorrect username or password"}, status_code=401)
        scopes = [part for value in request.query_params.getlist("scope") for part in value.split()]
        access = [entry for scope in scopes if (entry := _grant(scope, account, hub)) is not None]
        issued = hub.registry_tokens.issue({"sub": account.username if account else "", "access": access})
        return JSONResponse(
            {
                "token": issued,
                "access_token": issued,
                "expires_in": int(hub.registry_tokens.lifetime),
                "issued_at": hub.clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z"),
            }
        )

    return Starlette(routes=[Route("/token", token, methods=["GET"])])


def _account(request: Request, hub: Hub) -> Account | None:
    """Return the account of Basic credentials; None when there are none."""
    authorization = request.headers.get("authorization")
    if authorization is None:
        return None
    scheme, _, encoded = authorization.partition(" ")
    try:
        username, colon, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise BadCredentialsError("unreadable") from error
    if scheme.lower() != "basic" or not colon:
        raise BadCredentialsError("not Basic")
    return hub.accounts.sign_in(username, secret, now=hub.clock())


def _grant(scope: str, account: Account | None, hub: Hub) -> dict[str, Any] | None:
    """Return the access that a scope string yields: a part of it, or None, but never an error."""
    kind, _, rest = scope.partition(":")
    name, _, wanted = rest.rpartition(":")
    namespace, slash, repository_name = name.partition("/")
    if kind != "repository" or not slash or not repository_name or "/" in repository_name:
        return None
    allowed = set(account.actions_on(namespace)) if account else set()
    repository = hub.catalogue.find(name)
    if repository is not None and not repository.private:
        allowed.add("pull")
    actions = [action for action in wanted.split(",") if action in allowed]
    return {"type": "repository", "name": name, "actions": actions} if actions else None
