"""The conversations with token services.

Each is a generator: it yields requests, is sent the answers, and returns a token. It does no I/O, so what it
says can be read and tested line by line.
"""

import base64
from collections.abc import Callable, Generator
from typing import Final

import requests

from shared.errors import ProtocolViolation, RegistryError
from shared.registry.credentials import BasicCredential
from shared.registry.redaction import redact
from shared.registry.scopes import ScopeSet
from shared.registry.tokens import Token, bearer
from shared.registry.wire import check, json_object

type TokenFlow = Generator[requests.Request, requests.Response, Token]
type Send = Callable[[requests.Request], requests.Response]

_OK: Final = frozenset({200})


def run_flow(flow: TokenFlow, send: Send, *, registry: str) -> Token:
    """Hold a conversation and return its token; the flow itself sees errors where it waits for an answer.

    :raises RegistryError: when the flow does not deal with one.
    """
    try:
        request = next(flow)
        while True:
            response = send(request)
            try:
                check(response, registry=registry, expect=_OK)
            except RegistryError as error:
                request = flow.throw(error)
            else:
                request = flow.send(response)
    except StopIteration as end:
        token: Token = end.value
        return token


def basic_header(credential: BasicCredential) -> str:
    pair = f"{credential.username}:{credential.secret}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"


def password_flow(
    realm: str, service: str, scopes: ScopeSet, header: str | None, clock: Callable[[], float]
) -> TokenFlow:
    """Ask for a token as docker does (distribution, "Token Authentication Specification")."""
    query = [*([("service", service)] if service else []), *(("scope", text) for text in _texts(scopes))]
    headers = {} if header is None else {"Authorization": header}
    response = yield requests.Request("GET", realm, params=query, headers=headers)
    return _read_token(response, clock)


def exchange_flow(realm: str, service: str, identity: str, clock: Callable[[], float]) -> TokenFlow:
    """Turn an Entra token into ACR's refresh token (Azure/acr, "AAD-OAuth")."""
    fields = {"grant_type": "access_token", "service": service, "access_token": identity}
    place = realm.removesuffix("/token") + "/exchange"
    response = yield requests.Request("POST", place, data=fields)
    return _read_token(response, clock, key="refresh_token")


def refresh_flow(
    realm: str, service: str, scopes: ScopeSet, refresh: str, clock: Callable[[], float]
) -> TokenFlow:
    """Turn ACR's refresh token into an access token for exactly these scopes."""
    fields = [("grant_type", "refresh_token"), ("service", service), ("refresh_token", refresh)]
    fields.extend(("scope", text) for text in _texts(scopes))
    response = yield requests.Request("POST", realm, data=fields)
    return _read_token(response, clock)


def _texts(scopes: ScopeSet) -> list[str]:
    return sorted(map(str, scopes))


def _read_token(response: requests.Response, clock: Callable[[], float], key: str = "") -> Token:
    document = json_object(response, registry=response.url.split("/")[2])
    text = document.get(key) if key else document.get("access_token") or document.get("token")
    if not isinstance(text, str) or not text:
        raise ProtocolViolation(
            "the token service answered without a token",
            registry=response.url.split("/")[2],
            url=redact(response.url),
        )
    expires_in = document.get("expires_in")
    known = isinstance(expires_in, int | float) and not isinstance(expires_in, bool)
    return bearer(text, now=clock(), expires_in=expires_in if known else None)


def hub_flow(place: str, credential: BasicCredential, clock: Callable[[], float]) -> TokenFlow:
    """Sign in to Docker Hub's API; the token says itself that it lives ten minutes."""
    secret = {"identifier": credential.username, "secret": credential.secret}
    response = yield requests.Request("POST", place, json=secret)
    return _read_token(response, clock)
