"""The registries' own policies: seen through Azure Resource Manager, told, never in the way."""

import json
from collections.abc import Iterator

import pytest

from emulators.arm import ArmEmulator, RegistryResource
from shared.jobs.native import native_policy_warnings
from tests.jobs.world import World


@pytest.fixture
def arm(world: World) -> Iterator[ArmEmulator]:
    with ArmEmulator(ca=world.servers.ca, identity=world.servers.identity) as emulator:
        emulator.grant(world.servers.identity.client_id, "Reader", world.acr.resource_id)
        world.set(
            AZURE_RESOURCE_MANAGER_ENDPOINT=emulator.endpoint,
            ACR_RESOURCE_IDS=json.dumps({world.acr.login_server: world.acr.resource_id}),
        )
        yield emulator


@pytest.fixture
def resource(world: World, arm: ArmEmulator) -> RegistryResource:
    return arm.add(world.acr.resource_id, world.acr.login_server)


def warnings(world: World) -> tuple[str, ...]:
    return native_policy_warnings(world.services, world.registry)


@pytest.mark.usefixtures("resource")
def test_a_registry_without_policies_of_its_own_is_nothing_to_warn_of(world: World) -> None:
    assert warnings(world) == ()


def test_a_retention_policy_is_told_with_the_command_that_ends_it(
    world: World, resource: RegistryResource
) -> None:
    resource.retention_days = 15
    (warning,) = warnings(world)
    assert "itself deletes manifests 15 days after their last tag went" in warning
    assert "az acr config retention update --registry" in warning


def test_soft_delete_is_told_with_what_it_means(world: World, resource: RegistryResource) -> None:
    resource.soft_delete_days = 30
    (warning,) = warnings(world)
    assert "keeps what is deleted for 30 days" in warning
    assert "no space is freed" in warning


def test_both_at_once_are_told_to_exclude_each_other(world: World, resource: RegistryResource) -> None:
    resource.retention_days = resource.soft_delete_days = 7
    assert len(warnings(world)) == 3
    assert "may never be purged" in warnings(world)[-1]


def test_what_was_changed_in_azure_is_seen_by_the_next_night(
    world: World, resource: RegistryResource
) -> None:
    assert warnings(world) == ()
    resource.retention_days = 1
    assert len(warnings(world)) == 1


@pytest.mark.usefixtures("resource")
def test_the_identity_asks_with_a_token_for_azure_resource_manager(world: World, arm: ArmEmulator) -> None:
    warnings(world)
    (asked,) = arm.traffic.requests
    assert (asked.method, asked.path, asked.status) == ("GET", world.acr.resource_id, 200)
    assert asked.authorized


def test_nothing_is_asked_about_a_registry_whose_resource_is_not_known(
    world: World, arm: ArmEmulator
) -> None:
    world.set(ACR_RESOURCE_IDS="")
    assert warnings(world) == ()
    assert arm.traffic.requests == []


@pytest.mark.usefixtures("resource")
def test_without_the_role_the_warning_says_what_is_missing(world: World, arm: ArmEmulator) -> None:
    arm.revoke(world.servers.identity.client_id)
    (warning,) = warnings(world)
    assert "could not be seen" in warning
    assert "perform action 'Microsoft.ContainerRegistry/registries/read'" in warning


def test_a_resource_that_is_another_registry_is_not_taken_for_this_one(
    world: World, arm: ArmEmulator
) -> None:
    arm.add(world.acr.resource_id, "other.azurecr.io").retention_days = 1
    (warning,) = warnings(world)
    assert "is the registry 'other.azurecr.io', not " in warning


@pytest.mark.usefixtures("resource")
def test_azure_resource_manager_being_down_is_a_warning(world: World, arm: ArmEmulator) -> None:
    arm.faults.inject(status=503, times=None)
    (warning,) = warnings(world)
    assert "could not be seen" in warning


@pytest.mark.usefixtures("arm")
def test_an_identity_that_gets_no_token_is_a_warning(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENTITY_HEADER", "wrong")
    world.set()
    (warning,) = warnings(world)
    assert "no Entra token" in warning
