"""No keys, no secrets in outputs, no old TLS, nothing public that need not be."""

import re
from pathlib import Path

import pytest

from tests.infra import bicep
from tests.infra.conftest import Deploy

each_file = pytest.mark.parametrize("path", bicep.FILES, ids=lambda path: path.stem)


@each_file
def test_no_key_is_ever_listed(path: Path) -> None:
    called = {
        bicep.text(node.named_children[0])
        for node in bicep.walk(bicep.read(path).root)
        if node.type == "call_expression"
    }
    assert not {name for name in called if name.startswith("list")}
    assert "listKeys" not in path.read_text(encoding="utf-8")


@each_file
def test_no_secret_is_in_an_output(path: Path) -> None:
    file = bicep.read(path)
    secure = {name for name, parameter in file.parameters.items() if parameter.secure}
    for name, node in file.outputs.items():
        used = {bicep.text(n) for n in bicep.walk(node) if n.type == "identifier"}
        assert not used & secure, name
        assert not re.search(r"ConnectionString|\.value\b|[Kk]eys?\(", bicep.text(node)), name


def test_a_secret_stays_a_secret_on_its_way(deployed: Deploy) -> None:
    for path in bicep.FILES:
        for name, parameter in bicep.read(path).parameters.items():
            assert parameter.secure == (name == "dockerHubToken"), f"{path.name}: {name}"
    deployment = deployed(dockerHubUsername="acme", dockerHubToken="dckr_pat_secret")
    holders = [r.type for r in deployment.all() if "dckr_pat_secret" in repr(r.body)]
    assert holders == ["Microsoft.KeyVault/vaults/secrets"]
    assert "dckr_pat_secret" not in repr(deployment.outputs)


def test_storage_takes_no_keys_no_old_tls_and_shows_nothing(deployed: Deploy) -> None:
    deployment = deployed()
    (account,) = deployment.all("Microsoft.Storage/storageAccounts")
    content = account.body["properties"]
    assert content["allowSharedKeyAccess"] is False
    assert content["allowBlobPublicAccess"] is False
    assert content["allowCrossTenantReplication"] is False
    assert content["supportsHttpsTrafficOnly"] is True
    assert content["minimumTlsVersion"] == "TLS1_2"
    containers = deployment.all("Microsoft.Storage/storageAccounts/blobServices/containers")
    assert {container.body["properties"]["publicAccess"] for container in containers} == {"None"}
    assert {c.name for c in containers} == {"deployment", "dead-letter", "policy", "steward-runs"}


def test_the_site_takes_https_with_recent_tls_and_no_passwords(deployed: Deploy) -> None:
    deployment = deployed()
    (site,) = deployment.all("Microsoft.Web/sites")
    assert site.body["properties"]["httpsOnly"] is True
    assert site.body["properties"]["siteConfig"] == {"minTlsVersion": "1.2", "scmMinTlsVersion": "1.2"}
    policies = deployment.all("Microsoft.Web/sites/basicPublishingCredentialsPolicies")
    assert {p.name: p.body["properties"]["allow"] for p in policies} == {"ftp": False, "scm": False}


def test_logs_and_secrets_are_reached_by_roles_only(deployed: Deploy) -> None:
    deployment = deployed()
    (component,) = deployment.all("Microsoft.Insights/components")
    (workspace,) = deployment.all("Microsoft.OperationalInsights/workspaces")
    (vault,) = deployment.all("Microsoft.KeyVault/vaults")
    assert component.body["properties"]["DisableLocalAuth"] is True
    assert workspace.body["properties"]["features"]["disableLocalAuth"] is True
    assert vault.body["properties"]["enableRbacAuthorization"] is True
    assert vault.body["properties"]["enablePurgeProtection"] is True


@pytest.mark.parametrize(("private", "action"), [(False, "Allow"), (True, "Deny")])
def test_a_private_network_closes_storage_and_vault_to_all_but_those_named(
    deployed: Deploy, *, private: bool, action: str
) -> None:
    deployment = deployed(privateNetwork=private, operatorIpAddresses=["203.0.113.7"])
    for type_ in ("Microsoft.Storage/storageAccounts", "Microsoft.KeyVault/vaults"):
        (resource,) = deployment.all(type_)
        rules = resource.body["properties"]["networkAcls"]
        assert rules["defaultAction"] == action
        assert rules["bypass"] == "AzureServices"
        assert [rule["value"] for rule in rules["ipRules"]] == ["203.0.113.7"]


def test_without_a_private_network_none_is_made(deployed: Deploy) -> None:
    assert not [r for r in deployed().all() if r.type.startswith("Microsoft.Network/")]


def test_a_private_network_reaches_storage_vault_and_the_registries_that_ask(deployed: Deploy) -> None:
    registries = [
        {"name": "near", "resourceGroup": "rg", "privateEndpoint": True},
        {"name": "far", "resourceGroup": "rg"},
    ]
    deployment = deployed(privateNetwork=True, registries=registries)
    reached = {
        connection["properties"]["groupIds"][0]: connection["properties"]["privateLinkServiceId"]
        for endpoint in deployment.all("Microsoft.Network/privateEndpoints")
        for connection in endpoint.body["properties"]["privateLinkServiceConnections"]
    }
    assert reached.keys() == {"blob", "queue", "table", "vault", "registry"}
    assert reached["registry"].endswith("/registries/near")
    zones = {zone.name for zone in deployment.all("Microsoft.Network/privateDnsZones")}
    assert zones == {
        "privatelink.blob.core.windows.net",
        "privatelink.queue.core.windows.net",
        "privatelink.table.core.windows.net",
        "privatelink.vaultcore.azure.net",
        "privatelink.azurecr.io",
    }
    groups = deployment.all("Microsoft.Network/privateEndpoints/privateDnsZoneGroups")
    assert len(groups) == len(reached)
    for group in groups:
        (config,) = group.body["properties"]["privateDnsZoneConfigs"]
        part = config["name"].replace("registry", "azurecr").replace("vault", "vaultcore")
        assert part in config["properties"]["privateDnsZoneId"]


def test_the_app_joins_the_network_through_a_delegated_subnet_with_a_way_out(deployed: Deploy) -> None:
    deployment = deployed(privateNetwork=True)
    (network,) = deployment.all("Microsoft.Network/virtualNetworks")
    (site,) = deployment.all("Microsoft.Web/sites")
    subnets = {subnet["name"]: subnet["properties"] for subnet in network.body["properties"]["subnets"]}
    assert site.body["properties"]["virtualNetworkSubnetId"] == f"{network.id}/subnets/functions"
    (delegation,) = subnets["functions"]["delegations"]
    assert delegation["properties"] == {"serviceName": "Microsoft.App/environments"}
    assert subnets["functions"]["natGateway"]["id"].endswith(
        deployment.all("Microsoft.Network/natGateways")[0].name
    )
    assert subnets["functions"]["addressPrefix"] != subnets["endpoints"]["addressPrefix"]


def test_a_new_premium_registry_is_reached_privately(deployed: Deploy) -> None:
    for sku, endpoints in (("Premium", 5), ("Standard", 4)):
        deployment = deployed(privateNetwork=True, createRegistry=True, registrySku=sku, registries=[])
        assert len(deployment.all("Microsoft.Network/privateEndpoints")) == endpoints


def test_old_runs_and_dead_letters_are_deleted(deployed: Deploy) -> None:
    deployment = deployed(runRetentionDays=90, runsContainer="my-runs")
    (policy,) = deployment.all("Microsoft.Storage/storageAccounts/managementPolicies")
    days = {
        prefix: rule["definition"]["actions"]["baseBlob"]["delete"]["daysAfterModificationGreaterThan"]
        for rule in policy.body["properties"]["policy"]["rules"]
        for prefix in rule["definition"]["filters"]["prefixMatch"]
    }
    assert days == {"my-runs/runs/": 90, "my-runs/poison/": 90, "dead-letter/": 30}
