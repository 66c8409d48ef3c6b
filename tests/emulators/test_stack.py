import base64
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.core.exceptions import ResourceNotFoundError
from azure.identity import ManagedIdentityCredential
from azure.storage.queue import QueueClient

from emulators.registry.seed import SeedError
from emulators.stack import Stack

pytestmark = pytest.mark.xdist_group("stack")

ROOT = Path(__file__).parents[2]
FIXTURE_APP = Path(__file__).with_name("fixture_app")
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
INDEX = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": []}
FIXTURE_SETTINGS = {
    "WORK_QUEUE": "registry-events",
    "SEEN_QUEUE": "seen",
    "NIGHTLY": "0 0 2 * * *",
    "AzureWebJobs.tick.Disabled": "true",
}
SEED = """
registries:
  demo:
    repositories:
      team/app:
        images:
          - {tags: [old], age: 40d}
  docker.io:
    repositories:
      acme/app:
        images:
          - {tags: [v1], age: 3d}
"""


def _push(ready: dict[str, Any], registry: str = "demo") -> None:
    """Push an index that holds nothing: the smallest push there is."""
    entry = ready["registries"][registry]
    with requests.Session() as session:
        session.trust_env = False
        answer = session.put(
            f"https://{entry['login_server']}/v2/team/app/manifests/v1",
            data=json.dumps(INDEX),
            headers={"Content-Type": INDEX_TYPE},
            auth=(entry["username"], entry["password"]),
            verify=ready["ca_file"],
            timeout=10,
        )
    assert answer.status_code == 201, answer.text


def _await_message(ready: dict[str, Any], queue: str, matches: Callable[[Any], bool]) -> Any:
    deadline = time.monotonic() + 15
    with QueueClient.from_connection_string(ready["storage"]["connection_string"], queue) as client:
        while time.monotonic() < deadline:
            try:
                for message in client.receive_messages():
                    body = json.loads(base64.b64decode(message.content))
                    if matches(body):
                        return body
            except ResourceNotFoundError:
                pass
            time.sleep(0.05)
    pytest.fail(f"nothing came to {queue}")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    (folder / "seed.yaml").write_text(SEED)
    (folder / "policy.yaml").write_text("version: 1\n")
    with Stack(
        app=FIXTURE_APP,
        acr_names=("demo", "other"),
        settings=FIXTURE_SETTINGS,
        policy_file=folder / "policy.yaml",
        seed=folder / "seed.yaml",
    ) as started:
        yield started


def test_a_push_to_any_registry_reaches_the_app_through_the_queue(stack: Stack) -> None:
    for name, acr in stack.acrs.items():
        _push(stack.ready(), name)

        seen = _await_message(stack.ready(), "seen", lambda body: "body" in body)
        event = json.loads(seen["body"])
        assert event["source"] == acr.resource_id
        assert event["data"]["request"]["host"] == acr.login_server
        assert event["data"] in stack.acr_events()


def test_settings_name_every_part(stack: Stack) -> None:
    values = json.loads(stack.settings_file.read_text())["Values"]

    assert values == stack.settings
    assert values["ACR_LOGIN_SERVERS"] == ",".join(acr.login_server for acr in stack.acrs.values())
    assert values["StewardStorage"] == values["AzureWebJobsStorage"] == stack.azurite.connection_string
    assert values["DOCKERHUB_REGISTRY_ENDPOINT"] == f"https://{stack.dockerhub.registry}"
    assert values["CLEANUP_MODE"] == "plan"
    assert Path(values["EMULATOR_CA_FILE"]).exists()
    assert Path(values["POLICY_FILE"]).name == "policy.yaml"
    assert values["WORK_QUEUE"] == "registry-events"


def test_the_identity_may_read_the_registries(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in stack.identity.env().items():
        monkeypatch.setenv(name, value)
    with ManagedIdentityCredential(client_id=stack.identity.client_id) as credential:
        token = credential.get_token("https://containerregistry.azure.net/.default").token
    exchange = {"grant_type": "access_token", "service": stack.acr.login_server, "access_token": token}

    with requests.Session() as session:
        session.trust_env = False
        session.verify = str(stack.ca.ca_file)
        refresh = session.post(
            f"https://{stack.acr.login_server}/oauth2/exchange", data=exchange, timeout=10
        ).json()["refresh_token"]
        access = session.post(
            f"https://{stack.acr.login_server}/oauth2/token",
            data={
                "grant_type": "refresh_token",
                "service": stack.acr.login_server,
                "scope": "repository:team/app:metadata_read",
                "refresh_token": refresh,
            },
            timeout=10,
        ).json()["access_token"]
        tags = session.get(
            f"https://{stack.acr.login_server}/acr/v1/team/app/_tags",
            headers={"Authorization": f"Bearer {access}"},
            timeout=10,
        ).json()["tags"]

    assert "old" in {tag["name"] for tag in tags}


def test_a_seed_fills_docker_hub_too(stack: Stack) -> None:
    repository = stack.dockerhub.state.repository("acme/app")

    assert repository is not None


def test_a_timer_is_fired_and_new_settings_come_with_a_restart(stack: Stack) -> None:
    host = stack.running_host()
    url = host.url

    stack.restart_host({"ADDED": "later"})
    stack.fire_timer("nightly")

    assert host.url == url
    assert requests.get(f"{url}/api/settings/ADDED", timeout=10).text == "later"
    _await_message(stack.ready(), "seen", lambda body: body.get("timer") == "nightly")


def test_a_push_reaches_the_app_through_its_event_grid_trigger() -> None:
    with Stack(
        app=FIXTURE_APP,
        event_delivery="webhook",
        event_schema="EventGridSchema",
        event_function="on_event",
        settings=FIXTURE_SETTINGS,
    ) as stack:
        _push(stack.ready())
        stack.eventgrid.drain()

        seen = _await_message(stack.ready(), "seen", lambda body: "event" in body)

    assert seen["kind"] == "EventGridEvent"
    assert seen["type"] == "Microsoft.ContainerRegistry.ImagePushed"


def test_a_seed_for_a_registry_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "seed.yaml").write_text("registries: {elsewhere: {repositories: {}}}")

    with pytest.raises(SeedError, match=r"registries\.elsewhere: this stack has"):
        Stack(seed=tmp_path / "seed.yaml").start()


def test_the_command_prints_one_line_when_ready_and_ends_when_asked(tmp_path: Path) -> None:
    settings = tmp_path / "local.settings.json"
    child = subprocess.Popen(
        [sys.executable, "-m", "emulators", "--no-host", "--settings-out", str(settings), "--set", "A=1"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    with child.stdout:
        ready = json.loads(child.stdout.readline())
        _push(ready)
        _await_message(ready, "registry-events", lambda body: body["subject"] == "team/app:v1")
        assert ready["host"] is None
        assert json.loads(settings.read_text())["Values"]["A"] == "1"

        child.send_signal(signal.SIGTERM)
        assert child.wait(15) == 0
        assert child.stdout.read() == ""
    assert not Path(ready["ca_file"]).exists()
