"""Who may do what: every role assignment, by its name, for each kind of registry."""

from typing import Any

import pytest

from tests.infra import bicep
from tests.infra.conftest import Deploy
from tests.infra.values import Deployment

ROLE_ASSIGNMENT = "Microsoft.Authorization/roleAssignments"

# Built-in role definitions as Azure Verified Modules and Microsoft's built-in role reference list them.
BUILT_IN = {
    "AcrPull": "7f951dda-4ed3-4680-a7ca-43fe172d538d",
    "AcrPush": "8311e382-0749-4cb8-b61a-304f252e45ec",
    "AcrDelete": "c2f4ef07-c644-48eb-af81-4b1b4947fb11",
    "Container Registry Repository Reader": "b93aa761-3e63-49ed-ac28-beffa264f7ac",
    "Container Registry Repository Writer": "2a1e307c-b015-4ebd-883e-5b7698a07328",
    "Container Registry Repository Contributor": "2efddaa5-3f1f-4df3-97df-af3f13818f4c",
    "Container Registry Repository Catalog Lister": "bfdb9389-c9a5-478a-bb2f-ba9ca092c3c7",
    "Storage Blob Data Owner": "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
    "Storage Blob Data Contributor": "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
    "Storage Blob Data Reader": "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1",
    "Storage Queue Data Contributor": "974c5e8b-45b9-4653-ba55-5f855dd0fb88",
    "Storage Queue Data Message Sender": "c6a89b2d-59bc-44d0-9896-0f6e12d7b80a",
    "Storage Table Data Contributor": "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",
    "Key Vault Secrets User": "4633458b-17de-408a-b874-0445c86b69e6",
    "Monitoring Metrics Publisher": "3913510d-42f4-4e42-8a64-420c390055eb",
    "Reader": "acdd72a7-3385-48ef-bd42-f606fba81ae7",
}
NAMES = {guid: name for name, guid in BUILT_IN.items()}


def grants(deployment: Deployment) -> set[tuple[str, str, str]]:
    """Return every assignment: who, which role, and the last part of the id of where."""
    found = set()
    for assignment in deployment.all(ROLE_ASSIGNMENT):
        content: dict[str, Any] = assignment.body["properties"]
        role = NAMES[content["roleDefinitionId"].rsplit("/", 1)[1]]
        found.add((str(content["principalId"]), role, assignment.body["scope"].id.rsplit("/", 1)[1]))
    return found


def on(deployment: Deployment, resource: str) -> set[str]:
    return {role for _, role, place in grants(deployment) if place == resource}


def test_the_role_table_is_microsofts() -> None:
    node = bicep.read(bicep.INFRA / "app" / "rbac.bicep").variables["roles"]
    assert {name: bicep.literal(value) for name, value in bicep.entries(node).items()} == BUILT_IN


def test_all_role_assignments_stand_in_one_file() -> None:
    files = [
        path.name
        for path in bicep.FILES
        if any(resource.type == ROLE_ASSIGNMENT for resource in bicep.read(path).resources.values())
    ]
    assert files == ["rbac.bicep"]


@pytest.mark.parametrize(
    ("registry", "expected"),
    [
        ({}, {"AcrPull", "AcrDelete"}),
        ({"deletes": False}, {"AcrPull"}),
        ({"pushes": True}, {"AcrPush", "AcrDelete"}),
        ({"pushes": True, "deletes": False}, {"AcrPush"}),
        ({"abac": True}, {"Container Registry Repository Contributor"}),
        ({"abac": True, "deletes": False}, {"Container Registry Repository Reader"}),
        ({"abac": True, "deletes": False, "pushes": True}, {"Container Registry Repository Writer"}),
        ({"abac": True, "pushes": True}, {"Container Registry Repository Contributor"}),
    ],
)
def test_the_app_gets_on_a_registry_what_its_mode_and_task_need(
    deployed: Deploy, registry: dict[str, bool], expected: set[str]
) -> None:
    if registry.get("abac"):
        expected = expected | {"Container Registry Repository Catalog Lister"}
    for inspects in (True, False):
        told = {"name": "myreg", "resourceGroup": "rg-images", "inspects": inspects}
        deployment = deployed(registries=[told | registry])
        assert on(deployment, "myreg") == (expected | {"Reader"} if inspects else expected)


def test_the_app_and_the_topic_get_nothing_else(deployed: Deploy) -> None:
    deployment = deployed()
    (account,) = deployment.all("Microsoft.Storage/storageAccounts")
    (vault,) = deployment.all("Microsoft.KeyVault/vaults")
    (component,) = deployment.all("Microsoft.Insights/components")
    (identity,) = deployment.all("Microsoft.ManagedIdentity/userAssignedIdentities")
    app, topic = f"<{identity.name}>.principalId", "<evgt-myreg>"
    assert {(who.removesuffix(".identity.principalId"), *rest) for who, *rest in grants(deployment)} == {
        (app, "Storage Blob Data Owner", account.name),
        (app, "Storage Queue Data Contributor", account.name),
        (app, "Storage Table Data Contributor", account.name),
        (app, "Key Vault Secrets User", vault.name),
        (app, "Monitoring Metrics Publisher", component.name),
        (app, "AcrPull", "myreg"),
        (app, "AcrDelete", "myreg"),
        (app, "Reader", "myreg"),
        (topic, "Storage Queue Data Message Sender", "registry-events"),
        (topic, "Storage Blob Data Contributor", "dead-letter"),
    }


def test_a_person_may_write_the_policy_and_read_reports(deployed: Deploy) -> None:
    theirs = {(role, place) for who, role, place in grants(deployed(principalId="me")) if who == "me"}
    assert theirs == {
        ("Storage Blob Data Contributor", "policy"),
        ("Storage Blob Data Reader", "steward-runs"),
        ("Storage Blob Data Reader", "dead-letter"),
    }


def test_no_assignment_is_wider_than_one_resource(deployed: Deploy) -> None:
    for assignment in deployed(principalId="me", createRegistry=True).all(ROLE_ASSIGNMENT):
        assert "/providers/" in assignment.body["scope"].id
        assert assignment.body["scope"].type != "Microsoft.Resources/resourceGroups"


def test_no_two_assignments_share_a_name(deployed: Deploy) -> None:
    two = [{"name": name, "resourceGroup": "rg-images"} for name in ("one", "two")]
    ids = [found.id for found in deployed(principalId="me", registries=two).all(ROLE_ASSIGNMENT)]
    assert len(ids) == len(set(ids)) == 5 + 2 * (3 + 2) + 3


def test_roles_on_a_registry_are_assigned_in_its_own_group_and_subscription(deployed: Deploy) -> None:
    far = {"name": "myreg", "resourceGroup": "rg-images", "subscriptionId": "other"}
    deployment = deployed(registries=[far])
    places = {
        assignment.place.id
        for assignment in deployment.all(ROLE_ASSIGNMENT)
        if assignment.body["scope"].name == "myreg"
    }
    assert places == {"/subscriptions/other/resourceGroups/rg-images"}
