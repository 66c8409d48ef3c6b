from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import requests

from emulators.arm import ArmEmulator
from emulators.certificates import CertificateAuthority
from emulators.identity import IdentityEmulator

AUDIENCE = "https://management.azure.com"
PREVIEW, STABLE = "2025-06-01-preview", "2025-11-01"
RESOURCE = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/images"
    "/providers/Microsoft.ContainerRegistry/registries/myreg"
)


class Caller:
    """Asks the emulator for a resource, as an identity that may read the registry."""

    def __init__(self, arm: ArmEmulator, identity: IdentityEmulator, ca: CertificateAuthority) -> None:
        self.arm = arm
        self.identity = identity
        self._ca = str(ca.ca_file)
        self.resource = arm.add(RESOURCE, "myreg.azurecr.io")
        arm.grant(identity.client_id, "Reader", RESOURCE)

    def get(
        self, resource: str = RESOURCE, version: str = PREVIEW, *, audience: str = AUDIENCE
    ) -> requests.Response:
        token = self.identity.issuer.issue(self.identity.client_id, audience)
        return requests.get(
            f"{self.arm.endpoint}{resource}",
            params={"api-version": version} if version else {},
            headers={"Authorization": f"Bearer {token}"},
            verify=self._ca,
            timeout=10,
        )


@pytest.fixture
def caller() -> Iterator[Caller]:
    with ExitStack() as running:
        ca = running.enter_context(CertificateAuthority())
        identity = running.enter_context(IdentityEmulator())
        arm = running.enter_context(ArmEmulator(ca=ca, identity=identity))
        yield Caller(arm, identity, ca)


def test_a_registry_is_shown_with_its_login_server_and_its_policies(caller: Caller) -> None:
    caller.resource.retention_days, caller.resource.soft_delete_days = 15, 30
    document = caller.get().json()
    assert (document["id"], document["name"]) == (RESOURCE, "myreg")
    assert document["properties"]["loginServer"] == "myreg.azurecr.io"
    policies = document["properties"]["policies"]
    assert (policies["retentionPolicy"]["status"], policies["retentionPolicy"]["days"]) == ("enabled", 15)
    assert policies["softDeletePolicy"]["status"] == "enabled"
    assert policies["softDeletePolicy"]["retentionDays"] == 30


def test_soft_delete_is_told_by_preview_versions_only(caller: Caller) -> None:
    caller.resource.soft_delete_days = 30
    told = {version: "softDeletePolicy" in caller.get(version=version).text for version in (PREVIEW, STABLE)}
    assert told == {PREVIEW: True, STABLE: False}


def test_resource_ids_are_the_same_in_any_case(caller: Caller) -> None:
    assert caller.get(RESOURCE.replace("resourceGroups", "resourcegroups").upper()).status_code == 200


def test_whoever_has_no_role_does_not_learn_what_exists(caller: Caller) -> None:
    caller.arm.revoke(caller.identity.client_id)
    caller.arm.grant(caller.identity.client_id, "AcrPull", RESOURCE)
    for resource in (RESOURCE, f"{RESOURCE}2"):
        answer = caller.get(resource)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "AuthorizationFailed")


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"audience": "https://containerregistry.azure.net"}, 401, "InvalidAuthenticationToken"),
        ({"version": ""}, 400, "MissingApiVersionParameter"),
    ],
)
def test_what_azure_refuses_is_refused(
    caller: Caller, changes: dict[str, str], status: int, code: str
) -> None:
    answer = caller.get(**changes)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_a_resource_that_is_gone_is_not_found(caller: Caller) -> None:
    caller.arm.grant(caller.identity.client_id, "Reader", f"{RESOURCE}2")
    assert caller.get(f"{RESOURCE}2").json()["error"]["code"] == "ResourceNotFound"
