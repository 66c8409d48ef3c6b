"""An emulated Azure Container Registry on loopback, TLS, everything in memory.

    with CertificateAuthority() as ca, AcrEmulator(ca=ca, name="demo") as acr:
        acr.login_server                              "localhost:PORT"; clients trust ca.ca_file
        acr.admin_username, acr.admin_password        Basic, at /oauth2/token or directly
        acr.grant(client_id, "AcrPull", "AcrDelete")  roles of an Entra identity (ABAC roles with abac=True)
        token = acr.trusted_issuer.issue(client_id, "https://containerregistry.azure.net")
        acr.add_token("ci", "secret", {"team/app": ["content/read", "metadata/read"]})
        acr.state                                     RegistryState: look, and put content without HTTP
        acr.subscribe(events.append)                  Event Grid "data" of pushes and deletes
        acr.traffic, acr.faults                       what came, what is to go wrong; storage_* for blobs
        acr.latency, acr.quotas.enforced, acr.quotas.scale, acr.tokens.access_lifetime     knobs, any time

``identity=`` takes anything with an ``issuer: EntraIssuer`` whose tokens are then trusted. ``read_lag`` shows
readers over HTTP what was true that many seconds ago; ``acr.state.settle()`` ends the wait.

Choices where the real service is not documented: a repository stays when its last manifest goes; deleting a
repository that holds anything locked is 405 and raises one event for each manifest otherwise; DELETE of a
manifest by tag is 405; a write-locked repository refuses every change in it, a delete-locked one only its own
deletion; requests without a usable token are not counted against quotas.
"""

from emulators.acr.emulator import AcrEmulator

__all__ = ["AcrEmulator"]
