"""Who is asking: credentials as values, and how a registry's credential is found."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from azure.core.credentials import TokenCredential

from shared.oci.names import LoginServer

ENTRA_SCOPE: Final = "https://containerregistry.azure.net/.default"
"""The audience that every registry takes; the ARM audience can be switched off per registry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnonymousCredential:
    """Nobody: what public repositories and anonymous-pull registries take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BasicCredential:
    """A name and a secret: Docker Hub tokens, ACR's admin user, repository-scoped tokens."""

    username: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntraCredential:
    """An Entra identity, which ACR exchanges for its own tokens; for ACR only."""

    tokens: TokenCredential = field(repr=False)
    scope: str = ENTRA_SCOPE


type Credential = AnonymousCredential | BasicCredential | EntraCredential

ANONYMOUS: Final = AnonymousCredential()


class CredentialSource(Protocol):
    """Knows which credential goes to which registry."""

    def __call__(self, login_server: LoginServer, /) -> Credential:
        """Return the registry's credential."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownCredentials:
    """A credential source from a table; registries that are not in it get the default."""

    by_login_server: Mapping[LoginServer, Credential] = field(repr=False)
    default: Credential = ANONYMOUS

    def __call__(self, login_server: LoginServer, /) -> Credential:
        """Return the registry's own credential, or the default."""
        return self.by_login_server.get(login_server, self.default)
