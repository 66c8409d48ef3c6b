"""What Azure itself deletes in a registry, which may come before or after what a policy does."""

from collections.abc import Iterator, Sequence
from typing import Final

from cli.azure import list_registries
from cli.checks.findings import Finding, ok, warning
from cli.exits import Failure
from cli.sentences import in_words
from shared.errors import RegistryError
from shared.jobs.services import Services
from shared.oci.names import LoginServer
from shared.registry.acr_resource import NativePolicies

_SHOWING: Final = "az acr config retention show, az acr config soft-delete show"


def check_native(servers: Sequence[LoginServer]) -> Iterator[Finding]:
    """Yield what interferes in these registries, as whoever is signed in to Azure sees it."""
    if not servers:
        return
    try:
        found = {each.login_server: each for each in list_registries()}
    except Failure as failure:
        for server in servers:
            yield _unknown(server, failure.message, _SHOWING)
        return
    for server in servers:
        registry = found.get(server)
        if registry is None:
            yield ok(server, "its own retention cannot be seen without the role Reader on it")
        else:
            yield from _interfering(server, registry.name, registry.policies)


def check_native_as_app(services: Services, server: LoginServer) -> Iterator[Finding]:
    """Yield what interferes in a registry of the app's, as its plans will say, too."""
    resource = services.settings.resource_ids[server]
    try:
        policies = services.registries.native_policies(server)
    except RegistryError as error:
        assignee = services.settings.client_id or "PRINCIPAL"
        command = f'az role assignment create --assignee {assignee} --role "Reader" --scope {resource}'
        yield _unknown(server, in_words(error), f'grant the role "Reader": {command}')
        return
    if policies is not None:
        yield from _interfering(server, resource.rpartition("/")[2], policies)


def _unknown(server: LoginServer, why: str, remedy: str) -> Finding:
    return warning(server, f"whether its own retention or soft delete is on is unknown: {why}", remedy)


def _interfering(server: LoginServer, name: str, policies: NativePolicies) -> Iterator[Finding]:
    if policies.retention_days is not None:
        yield warning(
            server,
            f"its own retention policy deletes untagged manifests after {policies.retention_days} days, "
            "whatever the policy says of them",
            f"az acr config retention update --registry {name} --status disabled --type UntaggedManifests",
        )
    if policies.soft_delete_days is not None:
        yield warning(
            server,
            f"soft delete keeps what goes for {policies.soft_delete_days} days: no space is freed before",
            f"az acr config soft-delete update --registry {name} --status disabled",
        )
    if policies.retention_days is None and policies.soft_delete_days is None:
        yield ok(server, "its own retention and soft delete are off")
