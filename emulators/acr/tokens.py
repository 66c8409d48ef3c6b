"""The registry's own JWTs: refresh tokens for identities, access tokens for scopes."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

import jwt

from emulators.acr.principals import CATALOG, Principals

_ISSUER = "Azure Container Registry"
_KEPT = 10_000
_SHORT = 60.0


class InvalidRegistryTokenError(Exception):
    """Not issued here, expired, or of the other kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """An identity and what its credential lets it do."""

    identity: str
    access: Mapping[str, frozenset[str]]
    """Actions by repository; ``*`` stands for all, the empty name for the catalog."""
    expires: float

    def may(self, repository: str | None, actions: Iterable[str]) -> bool:
        granted = self.access.get(repository or "", frozenset())
        if repository is not None:
            granted |= self.access.get("*", frozenset())
        return granted.issuperset(actions)


class TokenIssuer:
    """Issues and reads the tokens of one registry."""

    def __init__(
        self,
        *,
        service: str,
        principals: Principals,
        clock: Callable[[], datetime],
        access_lifetime: float,
        refresh_lifetime: float,
        abac: bool,
    ) -> None:
        self._service = service
        self._principals = principals
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self.access_lifetime = access_lifetime
        self.refresh_lifetime = refresh_lifetime
        self._abac = abac
        self._callers: dict[str, Caller] = {}

    def refresh_token(self, identity: str, *, tenant: str) -> str:
        """Issue what an identity trades for access tokens."""
        claims: dict[str, Any] = {
            "version": "1.0",
            "grant_type": "refresh_token",
            "tenant": tenant,
            "permissions": {"actions": ["read", "write", "delete"], "notActions": None},
            "roles": [],
        }
        if self._abac:
            claims["aad_identity"] = identity
        return self._sign(identity, claims, self.refresh_lifetime)

    def identity_of(self, refresh_token: str) -> str:
        """Return the identity a refresh token was issued to."""
        claims = self._read(refresh_token, "refresh_token")
        return str(claims["sub"])

    def access_token(self, identity: str, scopes: Iterable[str]) -> str:
        """Issue a token for what the identity may do among what is asked; it may be for nothing at all."""
        access = [entry for scope in scopes if (entry := self._entry(identity, scope)) is not None]
        claims = {"access": access, "roles": [], "grant_type": "access_token"}
        return self._sign(identity, claims, self.access_lifetime)

    def caller(self, access_token: str) -> Caller:
        """Read an access token; cheap for one seen before."""
        caller = self._callers.get(access_token)
        if caller is None:
            claims = self._read(access_token, "access_token")
            access: dict[str, frozenset[str]] = {}
            for entry in claims["access"]:
                name = entry["name"] if entry["type"] == "repository" else ""
                access[name] = access.get(name, frozenset()) | frozenset(entry["actions"])
            caller = Caller(identity=claims["sub"], access=access, expires=claims["exp"])
            if len(self._callers) >= _KEPT:
                self._callers.clear()
            self._callers[access_token] = caller
        if caller.expires <= self._clock().timestamp():
            raise InvalidRegistryTokenError("the token has expired")
        return caller

    def _entry(self, identity: str, scope: str) -> dict[str, Any] | None:
        kind, _, rest = scope.partition(":")
        name, _, listed = rest.rpartition(":")
        asked = frozenset(listed.split(","))
        if kind == "registry" and name == CATALOG:
            granted = frozenset("*") if self._principals.may_list_catalog(identity) else frozenset()
        elif kind == "repository" and name == "*":
            granted = self._principals.actions_everywhere(identity)
        elif kind == "repository":
            granted = self._principals.actions(identity, name)
        else:
            return None
        actions = sorted(granted if "*" in asked else granted & asked)
        return {"type": kind, "name": name, "actions": actions} if actions else None

    def _sign(self, identity: str, claims: dict[str, Any], lifetime: float) -> str:
        now = self._clock().timestamp()
        # The real service writes whole seconds, which would round the short lifetimes of tests away.
        exact = lifetime < _SHORT
        claims = {
            "jti": str(uuid4()),
            "sub": identity,
            "nbf": int(now),
            "exp": now + lifetime if exact else int(now + lifetime),
            "iat": int(now),
            "iss": _ISSUER,
            "aud": self._service,
            **claims,
        }
        return jwt.encode(claims, self._key, algorithm="HS256")

    def _read(self, token: str, kind: str) -> dict[str, Any]:
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._key,
                algorithms=["HS256"],
                audience=self._service,
                options={"verify_exp": False, "verify_nbf": False, "verify_iat": False},
            )
        except jwt.InvalidTokenError as error:
            raise InvalidRegistryTokenError(str(error)) from error
        if claims["grant_type"] != kind:
            raise InvalidRegistryTokenError(f"{claims['grant_type']} instead of {kind}")
        if claims["exp"] <= self._clock().timestamp():
            raise InvalidRegistryTokenError("the token has expired")
        return claims
