"""Entra ID as far as a registry needs it: signed access tokens for client ids.

issuer = EntraIssuer()
token = issuer.issue("1111-...", "https://containerregistry.azure.net", lifetime=3600)
claims = issuer.verify(token, "https://containerregistry.azure.net")     # raises InvalidEntraTokenError
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID, uuid4, uuid5

import jwt

TENANT_ID = "72f988bf-0000-4000-8000-2d7cd011db47"
_OBJECT_IDS = UUID("6f1d5bb4-8c1e-4b8e-9f59-0a1c2f2f8a55")


class InvalidEntraTokenError(Exception):
    """The token was not issued here, has expired or is meant for somebody else."""


class EntraIssuer:
    """Issues and verifies the access tokens of one pretended tenant."""

    def __init__(self, *, tenant_id: str = TENANT_ID, clock: Callable[[], float] = time.time) -> None:
        self.tenant_id = tenant_id
        self._key = secrets.token_bytes(32)
        self._clock = clock

    def issue(self, client_id: str, audience: str, lifetime: float = 86_400.0) -> str:
        """Issue an access token of ``client_id`` for ``audience``, with or without ``/.default``."""
        now = int(self._clock())
        claims = {
            "aud": _resource(audience),
            "iss": f"https://sts.windows.net/{self.tenant_id}/",
            "iat": now,
            "nbf": now,
            "exp": int(now + lifetime),
            "appid": client_id,
            "oid": str(uuid5(_OBJECT_IDS, client_id)),
            "tid": self.tenant_id,
            "uti": uuid4().hex[:22],
            "ver": "1.0",
        }
        return jwt.encode(claims, self._key, algorithm="HS256")

    def verify(self, token: str, audience: str | Iterable[str]) -> dict[str, Any]:
        """Return the claims of a token issued here for one of the audiences and not expired."""
        audiences = [audience] if isinstance(audience, str) else list(audience)
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._key,
                algorithms=["HS256"],
                audience=[_resource(each) for each in audiences],
                options={"verify_exp": False, "verify_nbf": False, "verify_iat": False},
            )
        except jwt.InvalidTokenError as error:
            raise InvalidEntraTokenError(str(error)) from error
        if claims["exp"] <= self._clock():
            raise InvalidEntraTokenError("the token has expired")
        return claims


def _resource(audience: str) -> str:
    return audience.removesuffix("/.default").rstrip("/")
