"""Who is asking: credentials as values, and how a registry's credential is found."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError

from shared.errors import AuthenticationFailed, RegistryUnavailable
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


def entra_token(tokens: TokenCredential, scope: str, *, registry: str) -> str:
    """Return a token of the identity for the audience.

    :raises AuthenticationFailed: when Entra refuses the identity.
    :raises RegistryUnavailable: when it cannot be asked.
    """
    try:
        return tokens.get_token(scope).token
    except ClientAuthenticationError as error:
        raise AuthenticationFailed(
            f"no Entra token: {type(error).__name__}: {error.message}", registry=registry
        ) from error
    except AzureError as error:
        raise RegistryUnavailable(f"no Entra token: {type(error).__name__}", registry=registry) from error


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
