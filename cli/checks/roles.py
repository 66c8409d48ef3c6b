"""Which role an action on a registry takes, and the command that grants it."""

from collections.abc import Mapping
from typing import Final

ROLES: Final[Mapping[str, tuple[str, str]]] = {
    "catalog": ("AcrPull", "Container Registry Repository Catalog Lister"),
    "metadata_read": ("AcrPull", "Container Registry Repository Reader"),
    "pull": ("AcrPull", "Container Registry Repository Reader"),
    "push": ("AcrPush", "Container Registry Repository Writer"),
    "delete": ("AcrDelete", "Container Registry Repository Contributor"),
}
"""By action: the role in a registry with role assignments for all of it, and in one with ABAC repository
permissions, which ignores the others (Azure Container Registry, "Entra permissions and roles overview")."""


def grant_storage(role: str, *, assignee: str | None, account: str) -> str:
    """Return how a role on a storage account is granted."""
    return (
        f'grant the role "{role}": az role assignment create --assignee {assignee or "PRINCIPAL"} '
        f'--role "{role}" --scope "$(az storage account show --name {account} --query id -o tsv)"'
    )


def grant(action: str, *, abac: bool | None, assignee: str | None, login_server: str) -> str:
    """Return which role is missing and how it is granted; both when it is unknown which mode applies."""
    plain, attributed = ROLES[action]
    role = attributed if abac else plain
    other = f' (with ABAC repository permissions: "{attributed}")' if abac is None else ""
    return (
        f'grant the role "{role}"{other}: az role assignment create --assignee {assignee or "PRINCIPAL"} '
        f'--role "{role}" --scope "$(az acr list --query "[?loginServer==\'{login_server}\'].id" -o tsv)"'
    )
