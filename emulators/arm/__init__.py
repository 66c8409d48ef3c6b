"""Azure Resource Manager on loopback, as far as it tells of container registries.

    with CertificateAuthority() as ca, ArmEmulator(ca=ca, identity=identity) as arm:
        arm.endpoint                                     "https://localhost:PORT"; clients trust ca.ca_file
        resource = arm.add(acr.resource_id, acr.login_server)
        resource.retention_days, resource.soft_delete_days = 7, None        knobs, any time
        arm.grant(identity.client_id, "Reader", acr.resource_id)
        arm.traffic, arm.faults                          what came, what is to go wrong

Whoever has no right learns nothing of what exists: 403 comes before 404. Preview versions of the resource
type from 2022-02-01 on tell of soft delete, stable ones leave it out.
"""

from emulators.arm.emulator import ArmEmulator, RegistryResource

__all__ = ["ArmEmulator", "RegistryResource"]
