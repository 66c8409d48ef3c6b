"""What a registry deletes and keeps by itself, said where people look at what a policy would do."""

from shared.errors import RegistryError
from shared.jobs.services import Services
from shared.oci.names import LoginServer


def native_policy_warnings(services: Services, registry: LoginServer) -> tuple[str, ...]:
    """Return one sentence for each of the registry's own policies that interferes; it never raises.

    Nothing is said of a registry without an entry in ``ACR_RESOURCE_IDS``. Where there is one and the
    registry's resource cannot be read, that is the sentence.
    """
    try:
        policies = services.registries.native_policies(registry)
    except RegistryError as error:
        return (
            f"whether {registry} has a retention policy or soft delete of its own could not be seen: {error}",
        )
    if policies is None:
        return ()
    retention, soft_delete = policies.retention_days, policies.soft_delete_days
    found: list[str] = []
    if retention is not None:
        found.append(
            f"{registry} itself deletes manifests {retention} days after their last tag went, "
            "whatever the policy here says: "
            f"az acr config retention update --registry {_name(registry)} --status disabled "
            "--type UntaggedManifests"
        )
    if soft_delete is not None:
        found.append(
            f"{registry} keeps what is deleted for {soft_delete} days (soft delete): until then no space is "
            "freed, and the same digest cannot be pushed again"
        )
    if retention is not None and soft_delete is not None:
        # MicrosoftDocs/azure-docs #107655
        found.append(
            f"{registry} has both on, which Azure does not support: what was deleted may never be purged"
        )
    return tuple(found)


def _name(registry: LoginServer) -> str:
    """Return the registry's name: ``myreg`` of ``myreg.azurecr.io`` and of ``myreg-a1b2c3d4.azurecr.io``.

    A registry's name has no dash; the second form has a domain name label.
    """
    return registry.partition(".")[0].partition("-")[0]
