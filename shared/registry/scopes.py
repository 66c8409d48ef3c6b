"""What a token must allow for a request: scopes of the token specification, worked out from the URL.

A token is asked for explicitly named repositories, never for a wildcard: registries with ABAC
repository permissions leave wildcards out of the token (Azure/acr-cli #501).
"""

from collections.abc import Iterable
from typing import Final, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

MAX_REPOSITORIES_PER_TOKEN: Final = 10
"""As many as acr-cli puts in one token; tokens travel in a header, and headers have limits."""

_UPLOADS: Final = "/blobs/uploads/"


class Scope(NamedTuple):
    """Actions on one thing: ``repository:team/app:pull,push`` (distribution, "Token Scope Documentation")."""

    kind: str
    name: str
    actions: frozenset[str]

    def __str__(self) -> str:
        """Read as the token service reads it, with the actions in a fixed order."""
        return f"{self.kind}:{self.name}:{','.join(sorted(self.actions))}"


type ScopeSet = frozenset[Scope]

CATALOG: Final = Scope("registry", "catalog", frozenset({"*"}))


def repository_scope(name: str, *actions: str) -> Scope:
    """Return the scope of these actions on the repository."""
    return Scope("repository", name, frozenset(actions))


def parse_scopes(text: str) -> ScopeSet:
    """Return the scopes of a challenge or a token; entries that are no scopes are left out."""
    found = []
    for entry in text.split():
        kind, _, rest = entry.partition(":")
        name, _, actions = rest.rpartition(":")
        if kind and name and actions:
            found.append(Scope(kind, name, frozenset(actions.split(","))))
    return merge(found)


def merge(scopes: Iterable[Scope]) -> ScopeSet:
    """Return the scopes with all actions on one thing in one scope."""
    actions: dict[tuple[str, str], frozenset[str]] = {}
    for scope in scopes:
        key = (scope.kind, scope.name)
        actions[key] = actions.get(key, frozenset()) | scope.actions
    return frozenset(Scope(kind, name, found) for (kind, name), found in actions.items())


def covers(granted: ScopeSet, wanted: ScopeSet) -> bool:
    """Tell whether everything wanted is in one of the granted scopes."""
    return all(
        any((one.kind, one.name) == (each.kind, each.name) and one.actions >= each.actions for one in granted)
        for each in wanted
    )


def scopes_of(method: str, url: str) -> ScopeSet:
    """Return what a token must allow for the request, empty where any token will do.

    The table of ACR's challenges, which is the distribution specification's own for ``/v2/``.
    """
    parts = urlsplit(url)
    path = unquote(parts.path)
    if path in {"/v2/_catalog", "/acr/v1/_catalog"}:
        return frozenset({CATALOG})
    if path.startswith("/acr/v1/"):
        return _attribute_scopes(method, path.removeprefix("/acr/v1/"))
    if path.startswith("/v2/"):
        sources = parse_qs(parts.query).get("from", [])
        found = _content_scopes(method, path.removeprefix("/v2/"))
        return merge([*found, *(repository_scope(source, "pull") for source in sources if found)])
    return frozenset()


def _attribute_scopes(method: str, path: str) -> ScopeSet:
    name = path.partition("/_tags")[0].partition("/_manifests")[0]
    action = {"PATCH": "metadata_write", "DELETE": "delete"}.get(method, "metadata_read")
    return frozenset({repository_scope(name, action)}) if name else frozenset()


def _content_scopes(method: str, path: str) -> ScopeSet:
    rest, _, _reference = path.rpartition("/")
    name, _, place = rest.rpartition("/")
    if place in {"manifests", "blobs", "referrers"}:
        actions = {"PUT": ("pull", "push"), "DELETE": ("delete",)}.get(method, ("pull",))
        return frozenset({repository_scope(name, *actions)})
    if place == "tags":
        return frozenset({repository_scope(name, "metadata_read", "pull")})
    if _UPLOADS in path:  # what follows is the registry's choice, slashes included
        return frozenset({repository_scope(path.partition(_UPLOADS)[0], "pull", "push")})
    return frozenset()
