"""Who may do what: roles of Entra identities, the admin user, scope maps of repository tokens."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

ADMIN = "admin"
ANONYMOUS = "anonymous"
CATALOG = "catalog"

_READ = frozenset({"pull", "metadata_read"})
_WRITE = frozenset({"pull", "push", "metadata_read"})
_ALL = frozenset({"pull", "push", "delete", "metadata_read", "metadata_write"})
_LISTS = frozenset({CATALOG})

LEGACY_ROLES: Mapping[str, frozenset[str]] = {
    "AcrPull": _READ | _LISTS,
    "AcrPush": _WRITE | _LISTS,
    "AcrDelete": frozenset({"delete"}),
    "Reader": _READ | _LISTS,
    "Contributor": _ALL | _LISTS,
    "Owner": _ALL | _LISTS,
}
"""Honoured by registries in "RBAC Registry Permissions" mode; AcrPull cannot manage locks."""

ABAC_ROLES: Mapping[str, frozenset[str]] = {
    "Container Registry Repository Reader": _READ,
    "Container Registry Repository Writer": _WRITE | {"metadata_write"},
    "Container Registry Repository Contributor": _ALL,
    "Container Registry Repository Catalog Lister": _LISTS,
}
"""Honoured by registries in "RBAC Registry + ABAC Repository Permissions" mode, which ignore the others."""

_SCOPE_MAP_ACTIONS = {
    "content/read": "pull",
    "content/write": "push",
    "content/delete": "delete",
    "metadata/read": "metadata_read",
    "metadata/write": "metadata_write",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Actions on some repositories, or on all when ``repositories`` is None."""

    actions: frozenset[str]
    repositories: tuple[str, ...] | None = None

    def covers(self, repository: str) -> bool:
        if self.repositories is None:
            return True
        return any(_matches(pattern.lower(), repository) for pattern in self.repositories)


class Principals:
    """All identities of one registry and their grants; changes act on tokens issued afterwards."""

    def __init__(self, *, abac: bool, anonymous_pull: bool, admin: Mapping[str, Iterable[str]]) -> None:
        self._abac = abac
        self._grants: dict[str, list[Grant]] = {}
        self._passwords: dict[str, tuple[str, list[str]]] = {}
        for username, passwords in admin.items():
            self._passwords[username] = (ADMIN, list(passwords))
        self._grants[ADMIN] = [Grant(actions=_ALL | _LISTS)]
        self.anonymous_pull = anonymous_pull
        if anonymous_pull:
            self._grants[ANONYMOUS] = [Grant(actions=_READ)]

    def grant(self, client_id: str, *roles: str, repositories: Iterable[str] | None = None) -> None:
        """Assign built-in roles; those of the mode the registry is not in are taken and not honoured."""
        honoured = ABAC_ROLES if self._abac else LEGACY_ROLES
        for role in roles:
            if role not in LEGACY_ROLES and role not in ABAC_ROLES:
                raise ValueError(f"{role!r} is not a role of a registry")
            actions = honoured.get(role, frozenset())
            where = None if repositories is None or actions == _LISTS else tuple(repositories)
            grants = self._grants.setdefault(entra_identity(client_id), [])
            grants.append(Grant(actions=actions, repositories=where))

    def revoke(self, client_id: str) -> None:
        """Take all roles away."""
        self._grants.pop(entra_identity(client_id), None)

    def add_token(self, name: str, password: str, scope_map: Mapping[str, Iterable[str]]) -> None:
        """Add a repository-scoped token; actions are written ``content/read`` or ``pull``."""
        identity = f"token:{name}"
        self._passwords[name] = (identity, [password])
        self._grants[identity] = [
            Grant(
                actions=frozenset(_SCOPE_MAP_ACTIONS.get(action, action) for action in actions),
                repositories=(repository,),
            )
            for repository, actions in scope_map.items()
        ]

    def sign_in(self, username: str, password: str) -> str | None:
        """Return the identity behind a user name and a password."""
        identity, passwords = self._passwords.get(username, ("", []))
        good = any(hmac.compare_digest(password.encode(), each.encode()) for each in passwords)
        return identity if good else None

    def actions(self, identity: str, repository: str) -> frozenset[str]:
        """Return what the identity may do to a repository."""
        grants = self._grants.get(identity, ())
        granted = (each.actions for each in grants if each.covers(repository))
        return frozenset().union(*granted) - _LISTS

    def actions_everywhere(self, identity: str) -> frozenset[str]:
        """Return what a wildcard scope is worth: nothing in ABAC mode."""
        if self._abac:
            return frozenset()
        grants = self._grants.get(identity, ())
        return frozenset().union(*(each.actions for each in grants if each.repositories is None)) - _LISTS

    def may_list_catalog(self, identity: str) -> bool:
        return any(CATALOG in each.actions for each in self._grants.get(identity, ()))


def entra_identity(client_id: str) -> str:
    """Name an Entra identity among the others."""
    return f"entra:{client_id.lower()}"


def _matches(pattern: str, repository: str) -> bool:
    """Compare as StringStartsWithIgnoreCase when the pattern ends in ``/`` or ``*``, else as equals."""
    if pattern.endswith(("/", "*")):
        return repository.startswith(pattern.removesuffix("*"))
    return repository == pattern
