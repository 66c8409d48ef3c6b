"""Who we are, told to the registry and to nobody else."""

from typing import Any, Protocol

import requests
from requests.adapters import BaseAdapter

from shared.errors import AuthenticationFailed
from shared.registry.addresses import Origin, origin_of
from shared.registry.layers import Layer
from shared.registry.redaction import redact
from shared.registry.retry import is_replayable
from shared.registry.tokens import Token


class Authenticator(Protocol):
    """Knows what to put in ``Authorization``, and what to do when it is refused."""

    def token_for(self, method: str, url: str) -> Token | None:
        """Return the token for a request, ``None`` to ask without one."""

    def token_after(self, method: str, url: str, *, refused: Token | None, challenge: str) -> Token | None:
        """Return another token after a 401, ``None`` when there is none that could do better."""


class Authorization(Layer):
    """Authorizes requests to the registry, and takes care that no other host ever sees a credential.

    After a 401 it asks for one fresh token and sends the request once more, if the body can be sent twice.
    """

    def __init__(
        self, inner: BaseAdapter, *, registry: str, home: Origin, authenticator: Authenticator
    ) -> None:
        super().__init__(inner)
        self._registry = registry
        self._home = home
        self._authenticator = authenticator

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        """Send the request with what the registry wants to see.

        :raises AuthenticationFailed: when a fresh token does not help either, naming what it grants.
        """
        url, method = request.url or "", request.method or ""
        if origin_of(url) != self._home:
            request.headers.pop("Authorization", None)
            return self.inner.send(request, *args, **options)
        token = self._authenticator.token_for(method, url)
        response = self.inner.send(_authorized(request, token), *args, **options)
        if response.status_code != requests.codes.unauthorized:
            return response
        challenge = response.headers.get("WWW-Authenticate", "")
        fresh = self._authenticator.token_after(method, url, refused=token, challenge=challenge)
        if fresh is None:
            return response
        reason = "the token was refused after the body was sent, which cannot be sent again"
        if is_replayable(request):
            response = self.inner.send(_authorized(request, fresh), *args, **options)
            if response.status_code != requests.codes.unauthorized:
                return response
            reason = "the registry refuses a fresh token"
        raise AuthenticationFailed(
            f"{reason}; granted: {fresh.granted}",
            registry=self._registry,
            method=method,
            url=redact(url),
            status=response.status_code,
        )


def _authorized(request: requests.PreparedRequest, token: Token | None) -> requests.PreparedRequest:
    """Return a copy with the token: the original is what redirects are made from, and stays without."""
    authorized = request.copy()
    authorized.headers.pop("Authorization", None)
    if token is not None:
        authorized.headers["Authorization"] = token.header
    return authorized
