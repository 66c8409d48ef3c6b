"""Short-lived signed tokens, as issued by the token service and by the Hub API."""

import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import jwt

_ALGORITHM = "HS256"


class TokenRejectedError(Exception):
    """The token is not ours, is for another audience, or has expired."""


class TokenIssuer:
    """Issues and reads tokens of one audience and lifetime, by an injected clock."""

    def __init__(self, *, issuer: str, audience: str, lifetime: float, clock: Callable[[], datetime]) -> None:
        self.audience = audience
        self.lifetime = lifetime
        self._issuer = issuer
        self._clock = clock
        self._key = secrets.token_bytes(32)

    def issue(self, claims: Mapping[str, Any]) -> str:
        now = self._clock().timestamp()
        return jwt.encode(
            {
                **claims,
                "iss": self._issuer,
                "aud": self.audience,
                "iat": int(now),
                "nbf": int(now),
                "exp": now + self.lifetime,
                "jti": secrets.token_hex(8),
            },
            self._key,
            algorithm=_ALGORITHM,
        )

    def read(self, token: str) -> dict[str, Any]:
        """Return the claims of a token that is still good; raises TokenRejectedError."""
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._key,
                algorithms=[_ALGORITHM],
                audience=self.audience,
                issuer=self._issuer,
                options={"verify_exp": False, "verify_iat": False, "verify_nbf": False},
            )
        except jwt.InvalidTokenError as error:
            raise TokenRejectedError("token is invalid") from error
        if float(claims["exp"]) <= self._clock().timestamp():
            raise TokenRejectedError("token is expired")
        return claims


def bearer_token(authorization: str) -> str | None:
    """Return the token of an Authorization header of the Bearer scheme, None for any other header."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None
