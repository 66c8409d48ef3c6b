"""From a registry's topic to the app: new topics, topics that are there, delivery and dead letters."""

from typing import Any

import pytest

from tests.infra.conftest import Deploy
from tests.infra.triggers import functions
from tests.infra.values import Deployment

TOPIC = "Microsoft.EventGrid/systemTopics"
SUBSCRIPTION = "Microsoft.EventGrid/systemTopics/eventSubscriptions"


def subscription(deployment: Deployment) -> dict[str, Any]:
    (found,) = deployment.all(SUBSCRIPTION)
    content: dict[str, Any] = found.body["properties"]
    return content


def test_a_registry_gets_a_topic_with_an_identity_in_its_own_group(deployed: Deploy) -> None:
    (topic,) = deployed().all(TOPIC)
    assert topic.place.group == "rg-images"
    assert topic.body["identity"] == {"type": "SystemAssigned"}
    assert topic.body["location"] == "<myreg>.location"
    assert topic.body["properties"] == {
        "source": (
            "/subscriptions/sub/resourceGroups/rg-images/providers/Microsoft.ContainerRegistry/registries/myreg"
        ),
        "topicType": "Microsoft.ContainerRegistry.Registries",
    }


def test_events_go_to_the_queue_that_the_app_reads_under_the_topics_identity(deployed: Deploy) -> None:
    deployment = deployed(eventsQueue="other-events")
    (account,) = deployment.all("Microsoft.Storage/storageAccounts")
    (settings,) = (r for r in deployment.all("Microsoft.Web/sites/config") if r.name == "appsettings")
    delivery = subscription(deployment)["deliveryWithResourceIdentity"]
    assert delivery["identity"] == {"type": "SystemAssigned"}
    assert delivery["destination"]["endpointType"] == "StorageQueue"
    target = delivery["destination"]["properties"]
    assert target["resourceId"] == account.id
    assert target["queueName"] == settings.body["properties"]["EVENTS_QUEUE"] == "other-events"


@pytest.mark.parametrize("delivery", ["StorageQueue", "AzureFunction"])
def test_what_cannot_be_delivered_is_kept(deployed: Deploy, delivery: str) -> None:
    deployment = deployed(eventDelivery=delivery)
    containers = deployment.all("Microsoft.Storage/storageAccounts/blobServices/containers")
    kept = subscription(deployment)["deadLetterWithResourceIdentity"]
    assert kept["identity"] == {"type": "SystemAssigned"}
    name = kept["deadLetterDestination"]["properties"]["blobContainerName"]
    assert name in {container.name for container in containers}


def test_events_can_go_straight_to_the_event_grid_trigger(deployed: Deploy) -> None:
    deployment = deployed(eventDelivery="AzureFunction")
    (site,) = deployment.all("Microsoft.Web/sites")
    content = subscription(deployment)
    function = content["destination"]["properties"]["resourceId"].removeprefix(f"{site.id}/functions/")
    assert [binding["type"] for binding in functions()[function]] == ["eventGridTrigger"]
    assert "deliveryWithResourceIdentity" not in content


def test_only_pushes_and_deletions_of_images_are_delivered(deployed: Deploy) -> None:
    content = subscription(deployed())
    assert content["eventDeliverySchema"] == "CloudEventSchemaV1_0"
    assert content["filter"] == {
        "includedEventTypes": [
            "Microsoft.ContainerRegistry.ImagePushed",
            "Microsoft.ContainerRegistry.ImageDeleted",
        ]
    }
    assert content["retryPolicy"] == {"maxDeliveryAttempts": 30, "eventTimeToLiveInMinutes": 1440}


def test_a_topic_that_is_there_already_is_used_and_left_as_it_is(deployed: Deploy) -> None:
    there = {"topicName": "their-topic", "topicResourceGroup": "rg-events"}
    deployment = deployed(registries=[{"name": "myreg", "resourceGroup": "rg-images"} | there])
    (found,) = deployment.all(SUBSCRIPTION)
    assert not deployment.all(TOPIC)
    assert "/resourceGroups/rg-events/providers/Microsoft.EventGrid/systemTopics/their-topic/" in found.id


def test_a_registry_may_be_left_to_the_timers(deployed: Deploy) -> None:
    deployment = deployed(registries=[{"name": "myreg", "resourceGroup": "rg-images", "hears": False}])
    assert not deployment.all(TOPIC)
    assert not deployment.all(SUBSCRIPTION)
    assert deployment.outputs["REGISTRY_LOGIN_SERVERS"] == ["<myreg>.loginServer"]


def test_several_registries_are_heard_each_by_its_topic(deployed: Deploy) -> None:
    two = [{"name": name, "resourceGroup": f"rg-{name}"} for name in ("one", "two")]
    deployment = deployed(registries=two, createRegistry=True)
    (new,) = deployment.all("Microsoft.ContainerRegistry/registries")
    topics = [topic.name for topic in deployment.all(TOPIC)]
    assert topics == [f"evgt-{new.name}", "evgt-one", "evgt-two"]
    assert len(deployment.all(SUBSCRIPTION)) == 3
    assert len(deployment.outputs["REGISTRY_LOGIN_SERVERS"]) == 3


def test_registries_are_never_changed_only_read(deployed: Deploy) -> None:
    assert not deployed().all("Microsoft.ContainerRegistry/registries")


@pytest.mark.parametrize(
    ("abac", "mode"), [(True, "AbacRepositoryPermissions"), (False, "LegacyRegistryPermissions")]
)
def test_a_new_registry_has_the_mode_and_no_retention_of_its_own(
    deployed: Deploy, *, abac: bool, mode: str
) -> None:
    deployment = deployed(createRegistry=True, registrySku="Premium", registryAbac=abac, registries=[])
    (registry,) = deployment.all("Microsoft.ContainerRegistry/registries")
    content = registry.body["properties"]
    assert content["roleAssignmentMode"] == mode
    assert content["policies"] == {
        "retentionPolicy": {"status": "disabled", "days": 7},
        "softDeletePolicy": {"status": "disabled", "retentionDays": 7},
    }
    assert not content["adminUserEnabled"]
    assert not content["anonymousPullEnabled"]


def test_soft_delete_of_a_new_registry_is_an_option(deployed: Deploy) -> None:
    deployment = deployed(createRegistry=True, registrySoftDeleteDays=14)
    (registry,) = deployment.all("Microsoft.ContainerRegistry/registries")
    assert registry.body["properties"]["policies"] == {
        "softDeletePolicy": {"status": "enabled", "retentionDays": 14}
    }
