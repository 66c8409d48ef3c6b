"""Azure Resource Manager, asked what registries there are: the one place that knows login servers by name."""

import os
from collections.abc import Iterator
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import requests
from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError
from azure.identity import DefaultAzureCredential, ManagedIdentityCredential

from cli.exits import FAILED, Failure
from shared.environment import is_loopback_url
from shared.registry.acr_resource import API_VERSION, NativePolicies

ENDPOINT: Final = "https://management.azure.com"
_TIMEOUT: Final = (10, 60)
_MOST_PAGES: Final = 100


class AzureRegistry(NamedTuple):
    """One registry as Azure describes it."""

    name: str
    login_server: str
    resource_id: str
    sku: str
    policies: NativePolicies


def list_registries() -> Iterator[AzureRegistry]:
    """Yield the registries of every subscription that the signed-in identity sees.

    :raises Failure: when nobody is signed in, or Azure refuses.
    """
    with requests.Session() as session:
        session.trust_env = not is_loopback_url(_endpoint())
        session.headers["Authorization"] = f"Bearer {_token()}"
        for subscription in _listed(session, "/subscriptions?api-version=2022-12-01"):
            place = f"/subscriptions/{subscription['subscriptionId']}/providers"
            url = f"{place}/Microsoft.ContainerRegistry/registries?api-version={API_VERSION}"
            for item in _listed(session, url):
                yield _registry(item)


def _endpoint() -> str:
    """Return where Azure answers; other than the default, only an emulator on loopback."""
    found = os.environ.get("AZURE_RESOURCE_MANAGER_ENDPOINT", ENDPOINT).rstrip("/")
    if found != ENDPOINT and not is_loopback_url(found):
        raise Failure(f"AZURE_RESOURCE_MANAGER_ENDPOINT: expected {ENDPOINT}, or an emulator on loopback")
    return found


def _token() -> str:
    credential: TokenCredential = (
        ManagedIdentityCredential(client_id=os.environ["AZURE_CLIENT_ID"])
        if "IDENTITY_ENDPOINT" in os.environ and "AZURE_CLIENT_ID" in os.environ
        else DefaultAzureCredential()
    )
    try:
        return credential.get_token(f"{ENDPOINT}/.default").token
    except AzureError as error:
        what = str(error.message).partition("\n")[0]
        reason = "" if what.startswith("DefaultAzureCredential") else f": {what}"
        raise Failure(f"nobody is signed in to Azure{reason}", hint="az login", code=FAILED) from None


def _listed(session: requests.Session, path: str) -> Iterator[dict[str, Any]]:
    home = urlsplit(_endpoint())
    url = f"{_endpoint()}{path}"
    for _ in range(_MOST_PAGES):
        try:
            answer = session.get(url, timeout=_TIMEOUT, allow_redirects=False)
            document: Any = answer.json()
        except (requests.RequestException, ValueError) as error:
            raise Failure(f"Azure does not answer: {type(error).__name__}", code=FAILED) from None
        if not answer.ok:
            message = document.get("error", {}).get("message", "") if isinstance(document, dict) else ""
            raise Failure(f"Azure answers {answer.status_code}: {message}", code=FAILED)
        yield from document.get("value") or ()
        following = document.get("nextLink")
        if not following:
            return
        if urlsplit(following)[:2] != home[:2]:  # our token goes nowhere else
            raise Failure("Azure's list continues at another host", code=FAILED)
        url = following


def _registry(item: dict[str, Any]) -> AzureRegistry:
    properties = item.get("properties") or {}
    policies = properties.get("policies") or {}

    def days(name: str, key: str) -> int | None:
        policy = policies.get(name) or {}
        enabled = str(policy.get("status", "")).lower() == "enabled"
        return int(policy.get(key, 0)) if enabled else None

    return AzureRegistry(
        name=str(item.get("name", "")),
        login_server=str(properties.get("loginServer", "")).lower(),
        resource_id=str(item.get("id", "")),
        sku=str((item.get("sku") or {}).get("name", "")),
        policies=NativePolicies(
            retention_days=days("retentionPolicy", "days"),
            soft_delete_days=days("softDeletePolicy", "retentionDays"),
        ),
    )
