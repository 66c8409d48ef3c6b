"""A registry as Azure Resource Manager sees it: the policies by which it deletes and keeps by itself.

The registry's own API says nothing of them. Soft delete is told by preview versions of the resource type
only; the stable 2025-11-01 has no ``softDeletePolicy`` (Azure/bicep-types-az, microsoft.containerregistry).
"""

import time
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import quote

from azure.core.credentials import TokenCredential

from shared.errors import ProtocolViolation
from shared.oci.names import LoginServer
from shared.registry.credentials import entra_token
from shared.registry.tokens import Token, bearer
from shared.registry.transport import Transport, TransportOptions
from shared.registry.wire import json_object

API_VERSION: Final = "2025-06-01-preview"


@dataclass(frozen=True, slots=True, kw_only=True)
class NativePolicies:
    """What a registry does without being asked; ``None`` where it does not.

    ``retention_days`` after its last tag went, a manifest is deleted. For ``soft_delete_days``, what was
    deleted is kept, and paid for.
    """

    retention_days: int | None
    soft_delete_days: int | None


class EntraAuthenticator:
    """Authenticates to Azure Resource Manager; azure-identity keeps the tokens and renews them."""

    def __init__(self, tokens: TokenCredential, *, scope: str, service: str) -> None:
        self._tokens = tokens
        self._scope = scope
        self._service = service

    def token_for(self, method: str, url: str) -> Token:
        """Return the one token that serves every request."""
        del method, url
        found = entra_token(self._tokens, self._scope, registry=self._service)
        return bearer(found, now=time.monotonic())

    def token_after(self, method: str, url: str, *, refused: Token | None, challenge: str) -> None:
        """Return none: azure-identity would hand out the same token again."""
        del method, url, refused, challenge


class ResourceManager:
    """Reads registries from Azure Resource Manager; safe to share between threads."""

    def __init__(
        self, tokens: TokenCredential, *, endpoint: str, scope: str, options: TransportOptions | None = None
    ) -> None:
        """Prepare the client; nothing is sent before the first request."""
        self._service = "Azure Resource Manager"
        authenticator = EntraAuthenticator(tokens, scope=scope, service=self._service)
        self._transport = Transport(
            registry=self._service,
            base_url=endpoint,
            options=options or TransportOptions(),
            authenticate=lambda _: authenticator,
        )

    def native_policies(self, resource_id: str, login_server: LoginServer) -> NativePolicies:
        """Return the policies of the registry; needs ``Microsoft.ContainerRegistry/registries/read`` on it.

        :raises RegistryError: when they cannot be read, or when the resource is another registry.
        """
        path = quote(resource_id, safe="/()")
        response = self._transport.request("GET", f"{path}?api-version={API_VERSION}")
        properties = json_object(response, registry=self._service).get("properties")
        if not isinstance(properties, dict):
            raise ProtocolViolation("the resource has no properties", registry=self._service)
        found = properties.get("loginServer")
        if not isinstance(found, str) or found.lower() != login_server:
            raise ProtocolViolation(
                f"{resource_id} is the registry {str(found)[:100]!r}, not {login_server}",
                registry=self._service,
            )
        policies = properties.get("policies")
        stated = policies if isinstance(policies, dict) else {}
        return NativePolicies(
            retention_days=self._days(stated.get("retentionPolicy"), "days"),
            soft_delete_days=self._days(stated.get("softDeletePolicy"), "retentionDays"),
        )

    def _days(self, policy: Any, name: str) -> int | None:
        if not isinstance(policy, dict) or str(policy.get("status", "")).lower() != "enabled":
            return None
        days = policy.get(name)
        if isinstance(days, int):
            return days
        raise ProtocolViolation(f"an enabled policy has no {name}", registry=self._service)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
