"""Who may sign in to Docker Hub, and what each secret allows."""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal, Self

Scope = Literal["repo:admin", "repo:write", "repo:read", "repo:public_read"]
Action = Literal["pull", "push", "delete"]
Kind = Literal["password", "personal", "organization"]

_ACTIONS: Final[dict[Scope, frozenset[Action]]] = {
    "repo:admin": frozenset({"pull", "push", "delete"}),
    "repo:write": frozenset({"pull", "push"}),
    "repo:read": frozenset({"pull"}),
    "repo:public_read": frozenset(),
}
_RANK: Final[dict[Scope, int]] = {
    "repo:public_read": 0,
    "repo:read": 1,
    "repo:write": 2,
    "repo:admin": 3,
}


class BadCredentialsError(Exception):
    """No account has this name and secret."""


class LockedOutError(Exception):
    """The name failed to sign in too often: even the right secret is refused for a while."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """What one secret of a user or organization stands for."""

    username: str
    scope: Scope
    namespaces: frozenset[str]
    kind: Kind = "personal"

    def may(self, scope: Scope, namespace: str) -> bool:
        """Tell whether this account reaches at least ``scope`` in a namespace."""
        return namespace in self.namespaces and _RANK[self.scope] >= _RANK[scope]

    def actions_on(self, namespace: str) -> frozenset[Action]:
        """Say what the registry lets this account do in a namespace, beyond pulling what is public."""
        return _ACTIONS[self.scope] if namespace in self.namespaces else frozenset()

    def claims(self) -> dict[str, Any]:
        """Return the account as claims of a token."""
        return {
            "sub": self.username,
            "scope": self.scope,
            "namespaces": sorted(self.namespaces),
            "kind": self.kind,
        }

    @classmethod
    def from_claims(cls, claims: Mapping[str, Any]) -> Self:
        """Return the account that ``claims`` made the claims of."""
        return cls(
            username=claims["sub"],
            scope=claims["scope"],
            namespaces=frozenset(claims["namespaces"]),
            kind=claims["kind"],
        )


def kind_of_secret(secret: str) -> Kind:
    """Tell the kind of a secret by its prefix: Docker's access tokens carry one, passwords do not."""
    if secret.startswith("dckr_oat_"):
        return "organization"
    return "personal" if secret.startswith("dckr_pat_") else "password"


def widest_scope(scopes: Iterable[Scope]) -> Scope:
    """Return the permission level that contains all the others: the levels of personal tokens are nested."""
    return max(scopes, key=_RANK.__getitem__, default="repo:public_read")


@dataclass(slots=True)
class _Failures:
    count: int = 0
    locked_until: datetime | None = None


class Accounts:
    """The known secrets, with the lock-out per user name that follows many failed log-ins.

    The lock is per name, not per secret, so that one worker with a stale token blocks all the others
    (docker/hub-feedback#1436).
    """

    def __init__(self, *, max_failures: int = 10, lock_time: timedelta = timedelta(minutes=10)) -> None:
        self._max_failures = max_failures
        self._lock_time = lock_time
        self._accounts: dict[str, dict[str, Account]] = {}
        self._failures: dict[str, _Failures] = {}
        self._guard = threading.Lock()

    def add(self, account: Account, *, secret: str) -> None:
        with self._guard:
            self._accounts.setdefault(account.username, {})[secret] = account

    def remove(self, username: str) -> None:
        """Revoke every secret of a name."""
        with self._guard:
            self._accounts.pop(username, None)

    def sign_in(self, username: str, secret: str, *, now: datetime) -> Account:
        """Return the account behind a name and a secret; raises BadCredentialsError or LockedOutError."""
        with self._guard:
            failures = self._failures.setdefault(username, _Failures())
            if failures.locked_until is not None:
                if now < failures.locked_until:
                    raise LockedOutError(username)
                self._failures[username] = failures = _Failures()
            account = self._accounts.get(username, {}).get(secret)
            if account is not None:
                failures.count = 0
                return account
            failures.count += 1
            if failures.count >= self._max_failures:
                failures.locked_until = now + self._lock_time
            raise BadCredentialsError(username)
