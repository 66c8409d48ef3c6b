"""Settings become clients, queues and stores: each registry gets its credential, and nothing is called."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from azure.identity import DefaultAzureCredential, ManagedIdentityCredential
from azure.storage.blob import BlobServiceClient

from shared.errors import AuthenticationFailed, InvalidSettings, StorageError
from shared.jobs.services import Services
from shared.oci.names import DOCKER_HUB, LoginServer
from shared.registry.acr import AcrClient
from shared.registry.client import RegistryClient
from shared.settings import load_settings
from shared.wiring import _storage_credential, wire
from tests.environments import in_azure
from tests.jobs.servers import servers, world
from tests.jobs.world import World

__all__ = ["servers", "world"]


@pytest.fixture
def quiet(world: World) -> World:
    """The world, with the traffic of other tests forgotten."""
    for traffic in (
        world.acr.traffic,
        world.hub.traffic,
        world.hub.api_traffic,
        world.servers.identity.traffic,
    ):
        traffic.clear()
    return world


def repositories(services: Services, world: World) -> list[str]:
    return list(services.registries.acr(world.registry).list_repositories())


def test_wiring_calls_nothing(quiet: World) -> None:
    services = quiet.services
    services.registries.acr(quiet.registry)
    services.registries.target(DOCKER_HUB)
    services.registries.docker_hub()
    assert quiet.acr.traffic.requests == quiet.hub.traffic.requests == quiet.hub.api_traffic.requests == []
    assert quiet.servers.identity.traffic.requests == []


def test_a_registry_is_reached_under_the_user_assigned_identity(quiet: World) -> None:
    quiet.acr.state.create_repository(quiet.repository)
    assert quiet.repository in repositories(quiet.services, quiet)
    (asked,) = quiet.servers.identity.traffic.requests
    assert f"client_id={quiet.servers.identity.client_id}" in asked.query
    assert "containerregistry.azure.net" in asked.query


def test_a_user_and_password_take_the_place_of_the_identity(quiet: World) -> None:
    user = {"username": quiet.acr.admin_username, "password": quiet.acr.admin_password}
    quiet.set(REGISTRY_CREDENTIALS=json.dumps({quiet.acr.login_server: user}))
    quiet.acr.state.create_repository(quiet.repository)
    assert quiet.repository in repositories(quiet.services, quiet)
    assert quiet.servers.identity.traffic.requests == []


def test_an_anonymous_registry_is_sent_no_credential_at_all(quiet: World) -> None:
    quiet.set(REGISTRY_CREDENTIALS=json.dumps({quiet.acr.login_server: {"anonymous": True}}))
    with pytest.raises(AuthenticationFailed):
        repositories(quiet.services, quiet)
    assert quiet.servers.identity.traffic.requests == []
    assert not any(request.authorized for request in quiet.acr.traffic.requests)


def test_each_registry_has_one_client_whoever_asks_and_however_many_at_once(quiet: World) -> None:
    registries = quiet.services.registries
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: id(registries.acr(quiet.registry)), range(64)))
        hubs = set(pool.map(lambda _: id(registries.target(DOCKER_HUB)), range(64)))
        apis = set(pool.map(lambda _: id(registries.docker_hub()), range(64)))
    assert len(found) == len(hubs) == len(apis) == 1


def test_a_registry_of_ours_is_the_same_client_as_source_and_as_target(quiet: World) -> None:
    registries = quiet.services.registries
    assert registries.target(quiet.registry) is registries.source(quiet.registry)


def test_a_registry_that_the_settings_do_not_name_is_no_source(quiet: World) -> None:
    with pytest.raises(InvalidSettings, match="is not among them"):
        quiet.services.registries.acr(LoginServer("other.azurecr.io"))


def test_any_other_registry_may_be_a_target_and_is_anonymous_unless_the_settings_know_better(
    quiet: World,
) -> None:
    quiet.set(ACR_LOGIN_SERVERS="localhost:1")
    target = quiet.services.registries.target(quiet.registry)
    assert isinstance(target, RegistryClient)
    assert not isinstance(target, AcrClient)
    with pytest.raises(AuthenticationFailed):
        list(target.list_repositories())
    assert not any(request.authorized for request in quiet.acr.traffic.requests)


def test_docker_hub_is_reached_where_the_settings_say(quiet: World) -> None:
    quiet.hub.repository(quiet.replica)
    hub = quiet.services.registries.docker_hub()
    assert hub is not None
    found = hub.find_repository(quiet.replica)
    assert found is not None
    assert list(quiet.services.registries.target(DOCKER_HUB).repository(quiet.replica).list_tags()) == []
    assert quiet.hub.api_traffic.count() > 0
    assert quiet.hub.traffic.count() > 0


def test_without_credentials_there_is_no_docker_hub_api() -> None:
    services = wire(load_settings(in_azure()))
    assert services.registries.docker_hub() is None
    assert services.registries.target(DOCKER_HUB).login_server == DOCKER_HUB


def test_the_policy_may_be_a_blob(quiet: World) -> None:
    quiet.set(POLICY_BLOB=f"{quiet.word}-config/policy.yaml", POLICY_FILE="")
    with pytest.raises(StorageError, match="does not exist"):
        quiet.services.policy.current()
    with BlobServiceClient.from_connection_string(quiet.servers.azurite.connection_string) as blobs:
        container = blobs.create_container(f"{quiet.word}-config")
        container.upload_blob("policy.yaml", b"version: 1")
    assert quiet.services.policy.current().version == 1


def test_the_path_of_a_policy_file_starts_at_the_app_s_root(
    quiet: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert not os.path.lexists("emulators")
    quiet.set(POLICY_FILE="emulators/demo/policy.yaml")
    assert quiet.services.policy.current().retention.rule_names


def test_queues_and_the_container_are_those_of_the_settings(quiet: World) -> None:
    services = quiet.services
    assert services.events_queue.name == f"{quiet.word}-events"
    assert services.replication_queue.name == f"{quiet.word}-replications"
    assert services.cleanup_queue.name == f"{quiet.word}-cleanups"
    assert services.runs.open_run("night-1", {})
    with BlobServiceClient.from_connection_string(quiet.servers.azurite.connection_string) as blobs:
        assert blobs.get_container_client(f"{quiet.word}-runs").exists()


def test_storage_is_reached_under_its_own_identity_where_one_is_set() -> None:
    registry = ManagedIdentityCredential(client_id="11111111-1111-1111-1111-111111111111")
    same = load_settings(in_azure(AZURE_CLIENT_ID="11111111-1111-1111-1111-111111111111"))
    assert _storage_credential(same, registry) is registry
    other = load_settings(
        in_azure(
            AZURE_CLIENT_ID="11111111-1111-1111-1111-111111111111",
            StewardStorage__clientId="22222222-2222-2222-2222-222222222222",
        )
    )
    found = _storage_credential(other, registry)
    assert isinstance(found, ManagedIdentityCredential)
    assert found is not registry


def test_without_an_identity_in_the_settings_it_is_whoever_is_signed_in() -> None:
    services = wire(load_settings(in_azure()))
    entra = services.registries._entra  # type: ignore[attr-defined]
    assert isinstance(entra, DefaultAzureCredential)
