"""Starting with settings that cannot be used: every door is there, and each says what to do."""

import json

import azure.functions as func
import pytest

from functions import api, events, replication, retention
from functions.application import services
from shared.errors import InvalidSettings
from tests.environments import in_azure
from tests.functions.calling import call

UNRESOLVED = "@Microsoft.KeyVault(SecretUri=https://vault.vault.azure.net/secrets/docker-hub-token)"
REMEDY = "has the role Key Vault Secrets User on the vault, that keyVaultReferenceIdentity names"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings as App Service leaves them when it may not read the vault, and one is missing."""
    settings = in_azure(DOCKERHUB_USERNAME="acme-bot", DOCKERHUB_TOKEN=UNRESOLVED) | {"EVENTS_QUEUE": ""}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    services.cache_clear()


def get(path: str) -> func.HttpRequest:
    return func.HttpRequest(method="GET", url=f"http://app/api/{path}", body=b"")


def test_the_app_is_up_and_says_that_it_is_not_ready_and_why() -> None:
    assert call(api.health)(get("health")).status_code == 200
    answer = call(api.ready)(get("health/ready"))
    document = json.loads(answer.get_body())
    assert (answer.status_code, document["status"]) == (503, "not ready")
    assert REMEDY in document["checks"]["settings"]
    assert "EVENTS_QUEUE: missing" in document["checks"]["settings"]
    assert "docker-hub-token" not in document["checks"]["settings"]


@pytest.mark.parametrize(
    ("door", "argument"),
    [
        (replication.replicate_tag, func.QueueMessage(body=b"{}")),
        (retention.clean_repository, func.QueueMessage(body=b"{}")),
        (events.on_queued_registry_event, func.QueueMessage(body=b"{}")),
    ],
)
def test_what_is_not_a_request_fails_with_the_remedy_and_is_delivered_again(
    door: object, argument: func.QueueMessage
) -> None:
    with pytest.raises(InvalidSettings, match=r"EVENTS_QUEUE: missing") as caught:
        call(door)(argument)
    assert REMEDY in str(caught.value)


def test_a_setting_that_was_mended_is_seen_without_a_restart_of_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(InvalidSettings):
        services()
    for name, value in in_azure(DOCKERHUB_USERNAME="", DOCKERHUB_TOKEN="").items():
        monkeypatch.setenv(name, value)
    assert services().settings.events_queue == "registry-events"
    services.cache_clear()
