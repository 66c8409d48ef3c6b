"""One Azure registry: who we are there, and what its tokens let us do, without doing it."""

from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import quote

from cli.checks.findings import Finding, failure, ok, warning
from cli.checks.roles import grant
from cli.remedies import remedy
from cli.sentences import in_words
from cli.words import count
from shared.errors import AuthenticationFailed, RegistryError
from shared.oci.names import LoginServer, RepositoryName
from shared.registry.acr import AcrClient
from shared.registry.addresses import Origin, origin_of
from shared.registry.challenges import Challenge
from shared.registry.credentials import BasicCredential, Credential, EntraCredential
from shared.registry.registry_auth import RegistryAuthenticator
from shared.registry.token_flows import Send
from shared.registry.tokens import claims_of
from shared.registry.transport import Transport, TransportOptions

NEEDS: Final = (
    ("metadata_read", "list tags and manifests", "GET", "/acr/v1/{escaped}/_tags"),
    ("pull", "read manifests and layers", "GET", "/v2/{name}/manifests/x"),
    ("delete", "untag and delete", "DELETE", "/v2/{name}/manifests/x"),
    ("push", "push", "PUT", "/v2/{name}/manifests/x"),
)
READING: Final = frozenset({"metadata_read", "pull"})
DELETING: Final = frozenset({"delete"})
PUSHING: Final = frozenset({"push"})
_NOWHERE: Final = RepositoryName("steward-doctor/probe")
_EVERYWHERE: Final = "*"


class RegistryAccess:
    """Asks a registry's token service what we may do; nothing else is asked of the registry."""

    def __init__(self, login_server: LoginServer, credential: Credential, options: TransportOptions) -> None:
        self.login_server = login_server
        self.credential = credential
        self._home: Origin = origin_of(f"https://{login_server}")
        self._authenticator: RegistryAuthenticator | None = None
        self._transport = Transport(
            registry=login_server,
            base_url=str(self._home),
            options=options,
            authenticate=self._authenticate,
        )

    def _authenticate(self, send: Send) -> RegistryAuthenticator:
        realm = {"realm": f"{self._home}/oauth2/token", "service": str(self.login_server)}
        self._authenticator = RegistryAuthenticator(
            registry=self.login_server,
            home=self._home,
            credential=self.credential,
            send=send,
            challenge=Challenge(scheme="bearer", parameters=realm),
        )
        return self._authenticator

    def granted(self, method: str, path: str) -> frozenset[str]:
        """Return the actions that a token for the request grants: its ``access`` claim.

        :raises AuthenticationFailed: when nobody signs us in.
        """
        assert self._authenticator is not None  # noqa: S101 - the transport made it
        token = self._authenticator.token_for(method, f"{self._home}{path}")
        claims = {} if token is None else claims_of(token.text)
        return frozenset(
            str(action)
            for entry in claims.get("access") or ()
            if isinstance(entry, dict)
            for action in entry.get("actions") or ()
        )

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()


def principal(credential: Credential) -> tuple[str, str | None]:
    """Return who we are in words, and the id that roles are assigned to."""
    match credential:
        case EntraCredential():
            claims = claims_of(credential.tokens.get_token(credential.scope).token)
            name = claims.get("upn") or claims.get("appid") or claims.get("azp") or claims.get("oid")
            return f"Entra identity {name or 'of unknown name'}", claims.get("oid") or claims.get("appid")
        case BasicCredential():
            return f"user {credential.username}", None
        case _:
            return "nobody: anonymous", None


def check_registry(client: AcrClient, access: RegistryAccess, *, needed: frozenset[str]) -> Iterator[Finding]:
    """Yield how far we get: signed in, the catalog, and each right; a ``needed`` one must not be missing."""
    server = access.login_server
    try:
        who, assignee = principal(access.credential)
        access.granted("GET", f"/v2/{_NOWHERE}/manifests/x")
    except RegistryError as error:
        yield failure(server, in_words(error), _sign_in(access, error))
        return
    except Exception as error:  # noqa: BLE001 - whatever azure-identity raises, it is why there is no identity
        yield failure(server, f"no identity: {type(error).__name__}", "az login")
        return
    yield ok(server, f"signed in as {who}")

    def remedy_for(action: str, abac: bool | None) -> str:  # noqa: FBT001 - a fact
        if isinstance(access.credential, EntraCredential):
            return grant(action, abac=abac, assignee=assignee, login_server=server)
        return f"the user or token needs the action {action}: see its scope map, az acr scope-map show"

    names, finding = _catalog(client, server, remedy_for)
    yield finding
    name = names[0] if names else _NOWHERE
    yield from _rights(access, name, remedy_for, needed=needed)


def _catalog(
    client: AcrClient, server: str, remedy_for: Callable[[str, bool | None], str]
) -> tuple[list[RepositoryName], Finding]:
    try:
        names = list(client.list_repositories())
    except AuthenticationFailed:
        return [], failure(server, "may not list repositories", remedy_for("catalog", None))
    except RegistryError as error:
        return [], failure(server, in_words(error), remedy(error))
    if not names:
        return [], warning(
            server,
            "lists no repositories",
            "if there are some, the identity sees none of them: " + remedy_for("catalog", None),
        )
    return names, ok(server, f"lists {count(len(names), 'repository', 'repositories')}")


def _rights(
    access: RegistryAccess,
    name: RepositoryName,
    remedy_for: Callable[[str, bool | None], str],
    *,
    needed: frozenset[str],
) -> Iterator[Finding]:
    where = "" if name == _NOWHERE else f" in {name}"
    escaped = quote(name, safe="")
    granted: set[str] = set()
    missing: list[tuple[str, str]] = []
    for action, what, method, path in NEEDS:
        if action == "push" and action not in needed:
            continue
        found = access.granted(method, path.format(name=name, escaped=escaped))
        granted |= found
        if action not in found:
            missing.append((action, what))
        else:
            yield ok(access.login_server, f"may {what}{where} ({action})")
    abac = _is_abac(access, granted) if missing else None
    for action, what in missing:
        yield Finding(
            check=access.login_server,
            level="failure" if action in needed else "warning",
            text=f"may not {what}{where}: the token grants {', '.join(sorted(granted)) or 'nothing'}",
            remedy=remedy_for(action, abac),
        )


def _is_abac(access: RegistryAccess, granted: set[str]) -> bool | None:
    """Tell whether roles are assigned per repository: then a token for all of them grants nothing.

    Unknown where one for a single repository grants nothing either (Azure/acr-cli #501).
    """
    if not granted:
        return None
    everywhere = access.granted("GET", f"/v2/{_EVERYWHERE}/manifests/x")
    return not everywhere


def _sign_in(access: RegistryAccess, error: RegistryError) -> str:
    if isinstance(error, AuthenticationFailed) and isinstance(access.credential, EntraCredential):
        return "the identity is not known to the registry's tenant, or has no role there yet: " + grant(
            "pull", abac=None, assignee=None, login_server=access.login_server
        )
    return remedy(error)
