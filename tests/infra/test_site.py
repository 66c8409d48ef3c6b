"""The function app: its plan, its identity, and settings that agree with code, sample and documentation."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from shared.errors import InvalidSettings
from shared.settings import load_settings
from tests.infra import bicep
from tests.infra.conftest import Deploy
from tests.infra.triggers import bindings, functions
from tests.infra.values import Deployment, Resource

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = json.loads((ROOT / "local.settings.sample.json").read_text(encoding="utf-8"))["Values"]

FOR_EMULATORS = {
    "StewardStorage",
    "DOCKERHUB_REGISTRY_ENDPOINT",
    "DOCKERHUB_API_ENDPOINT",
    "EMULATOR_CA_FILE",
}
LEFT_TO_ADDITIONAL_SETTINGS = {
    "DOCKERHUB_PULL_RESERVE",
    "NOTICES_TOPIC_ENDPOINT",
    "POLICY_FILE",
    "REGISTRY_CREDENTIALS",
}
ONLY_IN_AZURE = {
    "ACR_RESOURCE_IDS",
    "AZURE_RESOURCE_MANAGER_ENDPOINT",
    "AZURE_CLIENT_ID",
    "NOTICES_TOPIC_ENDPOINT",
    "POLICY_BLOB",
    "StewardStorage__blobServiceUri",
    "StewardStorage__queueServiceUri",
    "StewardStorage__clientId",
    "StewardStorage__credential",
}
OF_THE_HOST = re.compile(r"AzureWebJobsStorage|APPLICATIONINSIGHTS_|FUNCTIONS_WORKER_|PYTHON_")

# "Flex Consumption plan deprecations", App settings reference for Azure Functions.
REFUSED_BY_FLEX = {
    "ENABLE_ORYX_BUILD",
    "FUNCTIONS_EXTENSION_VERSION",
    "FUNCTIONS_WORKER_RUNTIME",
    "FUNCTIONS_WORKER_RUNTIME_VERSION",
    "SCM_DO_BUILD_DURING_DEPLOYMENT",
    "WEBSITE_CONTENTAZUREFILECONNECTIONSTRING",
    "WEBSITE_CONTENTSHARE",
    "WEBSITE_RUN_FROM_PACKAGE",
    "WEBSITE_TIME_ZONE",
}


class RecordingEnvironment(dict[str, str]):
    """Remembers which names were asked for."""

    asked: set[str]

    def get(self, key: str, default: str | None = None) -> str | None:  # type: ignore[override]
        self.asked.add(key)
        return super().get(key, default)


def read_by_the_code() -> set[str]:
    """Return the settings that the app reads, and those that its triggers name."""
    environment = RecordingEnvironment()
    environment.asked = set()
    with pytest.raises(InvalidSettings):
        load_settings(environment)
    triggers = json.dumps(bindings())
    connections = re.findall(r'"connection": "(\w+)"', triggers)
    assert set(connections) == {"StewardStorage"}
    return environment.asked | set(re.findall(r"%(\w+)%", triggers)) | {"StewardStorage__credential"}


def app_settings(deployment: Deployment) -> dict[str, Any]:
    (settings,) = (r for r in deployment.all("Microsoft.Web/sites/config") if r.name == "appsettings")
    content: dict[str, Any] = settings.body["properties"]
    return content


def site(deployment: Deployment) -> Resource:
    (found,) = deployment.all("Microsoft.Web/sites")
    return found


def as_azure_would(settings: dict[str, Any]) -> dict[str, str]:
    """Put in what Azure makes up, and the secret that App Service would fetch."""

    def resolve(value: str) -> str:
        if value.startswith("@Microsoft.KeyVault("):
            return "dckr_pat_secret"
        value = re.sub(r"<\w+>\.loginServer", "myreg.azurecr.io", value)
        return re.sub(
            r"<(\w+)>\.primaryEndpoints\.(blob|queue|table)", r"https://\1.\2.core.windows.net/", value
        )

    return {name: resolve(value) for name, value in settings.items()}


def test_bicep_sets_what_the_code_reads(deployed: Deploy) -> None:
    ours = {n for n in app_settings(deployed(dockerHubUsername="acme-bot")) if not OF_THE_HOST.match(n)}
    assert ours == read_by_the_code() - FOR_EMULATORS - LEFT_TO_ADDITIONAL_SETTINGS


def test_the_sample_for_a_laptop_sets_what_the_code_reads() -> None:
    ours = {name for name in SAMPLE if not OF_THE_HOST.match(name)}
    assert ours == read_by_the_code() - ONLY_IN_AZURE


def test_the_sample_for_a_laptop_loads() -> None:
    assert load_settings(SAMPLE).cleanup_mode == "plan"


def test_every_setting_is_documented() -> None:
    document = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    sections = re.findall(r"^## What [^\n]* reads\n(.*?)(?=^## )", document, re.MULTILINE | re.DOTALL)
    assert len(sections) == 2
    documented = set(re.findall(r"^\| `(\w+)` \|", "".join(sections), re.MULTILINE))
    assert documented == read_by_the_code()


@pytest.mark.parametrize("username", ["", "acme-bot"])
def test_the_code_can_use_the_settings_that_bicep_writes(deployed: Deploy, username: str) -> None:
    deployment = deployed(dockerHubUsername=username, createRegistry=True, registries=[])
    settings = load_settings(as_azure_would(app_settings(deployment)))
    assert settings.login_servers == ("myreg.azurecr.io",)
    assert settings.cleanup_mode == "plan"
    assert (settings.docker_hub is None) == (username == "")
    assert settings.policy_blob == "policy/policy.yaml"
    assert settings.client_id == settings.storage_client_id


def test_settings_reach_the_app_from_the_parameters(deployed: Deploy) -> None:
    settings = app_settings(
        deployed(
            cleanupMode="apply",
            registryThreads=8,
            invocationSeconds=600,
            additionalSettings={"POLICY_FILE": "policy.yaml", "POLICY_BLOB": ""},
        )
    )
    loaded = load_settings(as_azure_would(settings))
    assert (loaded.cleanup_mode, loaded.registry_threads, loaded.invocation_seconds) == ("apply", 8, 600.0)
    assert (loaded.policy_file, loaded.policy_blob) == ("policy.yaml", None)


def test_the_app_serves_every_registry_by_the_login_server_of_its_resource(deployed: Deploy) -> None:
    two = [{"name": name, "resourceGroup": "rg"} for name in ("one", "two")]
    settings = app_settings(deployed(registries=two))
    assert settings["ACR_LOGIN_SERVERS"] == "<one>.loginServer,<two>.loginServer"


def test_the_app_knows_the_resource_of_every_registry_that_it_may_inspect(deployed: Deploy) -> None:
    one = {"name": "one", "resourceGroup": "rg"}
    two = {"name": "two", "resourceGroup": "rg", "inspects": False}
    assert json.loads(app_settings(deployed(registries=[one, two]))["ACR_RESOURCE_IDS"]) == {
        "<one>.loginServer": (
            "/subscriptions/sub/resourceGroups/rg/providers/Microsoft.ContainerRegistry/registries/one"
        )
    }
    assert app_settings(deployed(registries=[two]))["ACR_RESOURCE_IDS"] == "{}"


def test_everything_is_where_it_was_asked_for(deployed: Deploy) -> None:
    deployment = deployed(
        location="northeurope", createRegistry=True, privateNetwork=True, alertEmail="a@b.c"
    )
    places = {resource.body["location"] for resource in deployment.all() if "location" in resource.body}
    registries = {place for place in places if place.endswith(">.location")}
    assert len(registries) == 2
    assert places - registries == {"northeurope", "global"}


def test_nothing_is_set_that_a_flex_plan_refuses(deployed: Deploy) -> None:
    assert not app_settings(deployed(dockerHubUsername="acme")).keys() & REFUSED_BY_FLEX
    assert not site(deployed()).body["properties"]["siteConfig"].keys() & {
        "alwaysOn",
        "ftpsState",
        "linuxFxVersion",
        "functionAppScaleLimit",
        "preWarmedInstanceCount",
    }


def test_the_plan_is_flex_and_the_runtime_is_that_of_the_repository(deployed: Deploy) -> None:
    deployment = deployed(instanceMemoryMB=4096, maximumInstanceCount=7)
    (plan,) = deployment.all("Microsoft.Web/serverfarms")
    config = site(deployment).body["properties"]["functionAppConfig"]
    assert plan.body["sku"] == {"tier": "FlexConsumption", "name": "FC1"}
    python = (ROOT / ".python-version").read_text(encoding="utf-8").strip()
    assert config["runtime"] == {"name": "python", "version": ".".join(python.split(".")[:2])}
    assert config["scaleAndConcurrency"]["instanceMemoryMB"] == 4096
    assert config["scaleAndConcurrency"]["maximumInstanceCount"] == 7


@pytest.mark.parametrize(("requests", "threads"), [(4, 12), (40, 40)])
def test_whatever_the_host_sends_at_once_finds_a_thread(
    deployed: Deploy, requests: int, threads: int
) -> None:
    queues = json.loads((ROOT / "host.json").read_text(encoding="utf-8"))["extensions"]["queues"]
    assert queues["batchSize"] + queues["newBatchThreshold"] == 12
    settings = app_settings(deployed(httpConcurrency=requests))
    assert settings["PYTHON_THREADPOOL_THREAD_COUNT"] == str(threads)


def test_instances_are_kept_warm_for_functions_that_exist() -> None:
    source = (bicep.INFRA / "main.bicep").read_text(encoding="utf-8")
    (named,) = re.findall(r"function:(\w+)", source)
    assert named in functions()


def test_the_identity_is_named_by_the_id_that_each_place_wants(deployed: Deploy) -> None:
    deployment = deployed()
    (identity,) = deployment.all("Microsoft.ManagedIdentity/userAssignedIdentities")
    body = site(deployment).body
    storage = body["properties"]["functionAppConfig"]["deployment"]["storage"]
    assert body["identity"] == {"type": "UserAssigned", "userAssignedIdentities": {identity.id: {}}}
    assert body["properties"]["keyVaultReferenceIdentity"] == identity.id
    assert storage["authentication"]["userAssignedIdentityResourceId"] == identity.id
    assert as_azure_would(storage | {"authentication": ""})["value"].endswith("windows.net/deployment")
    settings, client = app_settings(deployment), f"<{identity.name}>.clientId"
    for connection in ("AzureWebJobsStorage", "StewardStorage"):
        assert settings[f"{connection}__credential"] == "managedidentity"
        assert settings[f"{connection}__clientId"] == client
    assert settings["AZURE_CLIENT_ID"] == client
    assert settings["APPLICATIONINSIGHTS_AUTHENTICATION_STRING"] == f"ClientId={client};Authorization=AAD"


def test_the_docker_hub_token_is_a_reference_to_the_secret_in_the_vault(deployed: Deploy) -> None:
    deployment = deployed(dockerHubUsername="acme-bot", dockerHubToken="dckr_pat_secret")
    (vault,) = deployment.all("Microsoft.KeyVault/vaults")
    (secret,) = deployment.all("Microsoft.KeyVault/vaults/secrets")
    assert app_settings(deployment)["DOCKERHUB_TOKEN"] == (
        f"@Microsoft.KeyVault(SecretUri=<{vault.name}>.vaultUrisecrets/{secret.name})"
    )


def test_a_deployment_without_the_token_leaves_the_stored_one(deployed: Deploy) -> None:
    deployment = deployed(dockerHubUsername="acme-bot")
    assert not deployment.all("Microsoft.KeyVault/vaults/secrets")
    assert "DOCKERHUB_TOKEN" in app_settings(deployment)


def test_queues_of_the_triggers_exist_with_their_poison_queues(deployed: Deploy) -> None:
    deployment = deployed()
    settings = app_settings(deployment)
    wanted = {
        re.sub(r"%(\w+)%", lambda match: settings[match[1]], binding["queueName"])
        for binding in bindings()
        if binding["type"] == "queueTrigger"
    }
    queues = deployment.all("Microsoft.Storage/storageAccounts/queueServices/queues")
    assert wanted == {queue.name for queue in queues}
    assert len(wanted) == 6


def test_schedules_have_six_fields(deployed: Deploy) -> None:
    for settings in (app_settings(deployed()), SAMPLE):
        for name in ("NIGHTLY_SCHEDULE", "RECONCILE_SCHEDULE"):
            assert len(settings[name].split()) == 6


def test_azd_finds_the_site_by_the_name_of_its_service(deployed: Deploy) -> None:
    service = re.findall(
        r"^services:\n  (\w+):", (ROOT / "azure.yaml").read_text(encoding="utf-8"), re.MULTILINE
    )
    body = site(deployed()).body
    assert [body["tags"]["azd-service-name"]] == service
    assert body["tags"]["azd-env-name"] == "prod"
