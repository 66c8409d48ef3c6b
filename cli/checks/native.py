"""What Azure itself deletes in a registry, which may come before or after what a policy does."""

from collections.abc import Iterator

from cli.azure import list_registries
from cli.checks.findings import Finding, ok, warning
from cli.exits import Failure
from shared.oci.names import LoginServer


def check_native(servers: list[LoginServer]) -> Iterator[Finding]:
    """Yield what the registries' own retention and soft delete interfere with."""
    if not servers:
        return
    try:
        found = {each.login_server: each for each in list_registries()}
    except Failure as failure:
        for server in servers:
            yield warning(
                server,
                f"whether its own retention or soft delete is on is unknown: {failure.message}",
                "az acr config retention show, az acr config soft-delete show",
            )
        return
    for server in servers:
        registry = found.get(server)
        if registry is None:
            yield ok(server, "its own retention cannot be seen without the role Reader on it")
            continue
        if registry.retention_days is not None:
            yield warning(
                server,
                f"its own retention policy deletes untagged manifests after {registry.retention_days} "
                "days, whatever the policy says of them",
                f"az acr config retention update --registry {registry.name} --status disabled "
                "--type UntaggedManifests",
            )
        if registry.soft_delete_days is not None:
            yield warning(
                server,
                f"soft delete keeps what is deleted for {registry.soft_delete_days} days: no space is "
                "freed before",
                f"az acr config soft-delete update --registry {registry.name} --status disabled",
            )
        if registry.retention_days is None and registry.soft_delete_days is None:
            yield ok(server, "its own retention and soft delete are off")
