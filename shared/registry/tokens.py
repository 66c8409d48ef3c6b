"""Tokens kept until shortly before they expire, fetched by one thread while the others wait."""

import base64
import binascii
import json
import threading
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

MARGIN: Final = 300.0
"""Seconds before its end that a token is replaced: longer than any step that is one request."""

MARGIN_SHARE: Final = 0.25
"""Of tokens that live shorter, such as Docker Hub's 300 s, the last quarter is not used."""

SHORTEST_LIFETIME: Final = 60.0
"""Clients take a missing or shorter ``expires_in`` as 60 s (distribution, "Token Authentication")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """The value of an ``Authorization`` header, with the moment from which another one is asked for."""

    header: str = field(repr=False)
    renew_at: float
    granted: str = "unknown: the token is opaque"

    @property
    def text(self) -> str:
        """The credential itself, without its scheme."""
        return self.header.partition(" ")[2]


def bearer(text: str, *, now: float, expires_in: float | None = None) -> Token:
    """Return a Bearer token that knows its end from ``expires_in``, or else from its own claims.

    The lifetime is counted from its arrival and not from the issuer's clock, so that clocks may differ.
    """
    claims = claims_of(text)
    lifetime = expires_in if expires_in is not None else _lifetime(claims)
    lifetime = max(lifetime, SHORTEST_LIFETIME) if expires_in is not None else lifetime
    margin = min(MARGIN, lifetime * MARGIN_SHARE)
    return Token(header=f"Bearer {text}", renew_at=now + lifetime - margin, granted=describe_access(claims))


def claims_of(token: str) -> Mapping[str, Any]:
    """Return the claims of a JWT without verifying it, empty when it is none.

    Only for reading what we were given; whether it is good is for the registry to say.
    """
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004 - header, claims, signature
        return {}
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, binascii.Error):
        return {}
    return claims if isinstance(claims, dict) else {}


def describe_access(claims: Mapping[str, Any]) -> str:
    """Return the ``access`` claim as scopes: what was granted, which may be less than was asked."""
    access = claims.get("access")
    if not isinstance(access, list):
        return "unknown: the token has no access claim"
    granted = [
        f"{entry.get('type')}:{entry.get('name')}:{','.join(map(str, entry.get('actions') or ()))}"
        for entry in access
        if isinstance(entry, dict)
    ]
    return " ".join(granted) or "nothing"


def _lifetime(claims: Mapping[str, Any]) -> float:
    end, start = claims.get("exp"), claims.get("iat", claims.get("nbf"))
    if not isinstance(end, int | float):
        return SHORTEST_LIFETIME
    return max(0.0, end - (start if isinstance(start, int | float) else time.time()))


class TokenCache[Key: Hashable]:
    """Keeps one token per key; of several threads that miss at once, one fetches."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._guard = threading.Lock()
        self._tokens: dict[Key, Token] = {}
        self._flights: dict[Key, threading.Lock] = {}

    def find(self, accepts: Callable[[Key], bool]) -> Token | None:
        """Return a fresh token whose key is acceptable, if there is one."""
        now = self._clock()
        with self._guard:
            for key, token in self._tokens.items():
                if token.renew_at > now and accepts(key):
                    return token
        return None

    def get(self, key: Key, fetch: Callable[[], Token]) -> Token:
        """Return the key's token, fetched if there is none or if it is about to expire."""
        with self._guard:
            flight = self._flights.setdefault(key, threading.Lock())
        with flight:
            token = self._tokens.get(key)
            if token is None or token.renew_at <= self._clock():
                token = fetch()
                with self._guard:
                    self._tokens[key] = token
            return token

    def drop(self, refused: Token) -> None:
        """Forget the token that a registry refused; one that came after it stays."""
        with self._guard:
            for key in [key for key, token in self._tokens.items() if token is refused]:
                del self._tokens[key]
