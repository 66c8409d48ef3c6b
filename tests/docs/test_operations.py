"""``docs/operations.md``: its commands work on a running app, and it names only what there is."""

import base64
import json
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient

from emulators.demo.client import PlainClient
from shared.messages import PlanRepository
from shared.oci.names import parse_login_server, parse_repository
from tests.docs.conftest import Up
from tests.docs.documents import ROOT, blocks, rows, text_of
from tests.docs.shell import Shell
from tests.infra import bicep
from tests.infra.deployment import deploy
from tests.infra.triggers import functions

DOCUMENT = "docs/operations.md"


def prepare(shell: Shell, up: Up) -> str:
    """Give it all that a page about trouble needs; return the digest of the image whose tag will be lost."""
    registry = up.stack["registries"]["demo"]["login_server"]
    (shell.folder / "local.settings.json").symlink_to(up.folder / "local.settings.json")
    shutil.copy(ROOT / "emulators/demo/policy.yaml", shell.folder / "policy.yaml")
    cases = text_of("docs/examples/pull-requests.tests.yaml").replace("pull-requests.yaml", "policy.yaml")
    (shell.folder / "policy.tests.yaml").write_text(cases, encoding="utf-8")
    shell.run(f". {up.folder}/env")
    shell.run(
        f"./steward copy {registry}/team/shop:nightly {registry}/team/shop:v1.4.0\n"
        "./steward show docker.io/acme/shop:v1.4.0 # within seconds\n"
        f"./steward untag {registry}/team/shop:v1.4.0 --yes\n"
        f"./steward tags {registry}/team/shop --json > tags.json\n"
        """curl -sS -X POST "$APP/api/runs" -H "x-functions-key: $KEY" -H 'Content-Type: application/json' """
        """-d '{"kind": "night"}'\n"""
        "./steward runs list --settings local.settings.json"
    )
    tags = json.loads((shell.folder / "tags.json").read_text(encoding="utf-8"))["tags"]
    return next(str(tag["digest"]) for tag in tags if tag["tag"] == "pr-101")


def give_up(up: Up) -> None:
    """Leave a poisoned message and a dead letter, as the app and Event Grid do."""
    registry = up.stack["registries"]["demo"]["login_server"]
    message = PlanRepository(
        run="night-1", registry=parse_login_server(registry), repository=parse_repository("team/shop")
    )
    record = {
        "origin": "clean-repository",
        "recorded": datetime.now(UTC).isoformat(),
        "body": base64.b64encode(message.to_json().encode()).decode(),
        "text": message.to_json(),
    }
    event = {
        "specversion": "1.0",
        "id": "1",
        "source": "/registries/demo",
        "type": "Microsoft.ContainerRegistry.ImagePushed",
        "time": datetime.now(UTC).isoformat(),
        "data": {
            "action": "push",
            "target": {"repository": "team/shop", "tag": "nightly", "mediaType": "application/json"},
            "request": {"host": registry},
        },
    }
    with BlobServiceClient.from_connection_string(up.stack["storage"]["connection_string"]) as service:
        runs = service.get_container_client("steward-runs")
        runs.upload_blob("poison/clean-repository/2026-01-01/id-1.json", json.dumps(record))
        service.create_container("dead-letter").upload_blob("topic/1.json", json.dumps([event]))


@pytest.fixture(scope="module")
def walked(up: Up, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A shell in which every block of the page was run, in order, on an app that had some trouble."""
    shell = Shell(tmp_path_factory.mktemp("clone"))
    lost = prepare(shell, up)
    give_up(up)
    registry = up.stack["registries"]["demo"]["login_server"]
    for block in blocks(DOCUMENT):
        commands = block.body.replace("myreg.azurecr.io", registry).replace("sha256:...", lost)
        shell.run("group=rg app=steward\n" + commands)
    return shell


def test_every_command_works(walked: Shell) -> None:
    assert len(walked.typed) > 15


def test_what_was_lost_is_back(walked: Shell, up: Up) -> None:
    emulated = up.stack["registries"]["demo"]
    ca = Path(up.stack["ca_file"])
    client = PlainClient(emulated["login_server"], emulated["username"], emulated["password"], ca_file=ca)
    try:
        restored = client.digest("team/shop", "v1.4.0")
        assert restored is not None
        assert restored == client.digest("team/shop", "nightly")
    finally:
        client.close()
    assert "pr-101" in walked.shown_by("./steward tag ")


def test_what_failed_was_listed_and_sent_again(walked: Shell) -> None:
    shown = walked.shown_by("./steward replay --all")
    assert "poison/clean-repository/2026-01-01/id-1.json" in shown
    assert "1 message sent again" in shown
    assert '"count": 0' in shown
    assert "1 dead letter sent again" in walked.shown_by("--dead-letters")


def test_the_previewed_policy_was_understood(walked: Shell) -> None:
    shown = walked.shown_by("--data-binary @policy.yaml")
    assert '"counts": {' in shown
    assert "pr-102" in shown


def test_the_requests_of_the_http_manual_are_answered(walked: Shell) -> None:
    text = "\n".join(block.body for block in blocks("docs/http.md") if block.language == "sh")
    commands = [line for line in text.replace("\\\n", "").splitlines() if line.startswith("curl ")]
    assert len(commands) >= 2
    for command in commands:
        here = command.replace("https://$app.azurewebsites.net", "$APP").replace("$key", "$KEY")
        shown = walked.run(
            here.replace("myreg.azurecr.io", "$STEWARD_REGISTRY").replace("team/app", "team/shop")
        )
        assert "status" not in json.loads(shown), shown


def test_every_alert_that_is_deployed_has_something_to_do() -> None:
    deployed = deploy(
        bicep.INFRA / "main.bicep",
        {
            "environmentName": "prod",
            "location": "westeurope",
            "registries": [{"name": "myreg", "resourceGroup": "rg-images"}],
        },
    )
    kinds = ("Microsoft.Insights/scheduledQueryRules", "Microsoft.Insights/metricAlerts")
    names = [alert.name for kind in kinds for alert in deployed.all(kind)]
    known = {name for row in rows(DOCUMENT, "When an alert rings") for name in re.findall("`(.+?)`", row[0])}
    unknown = [name for name in names if not any(re.search(rf"-{each}(-|$)", name) for each in known)]
    assert unknown == []
    assert [each for each in known if not any(f"-{each}" in name for name in names)] == []


def test_functions_that_can_be_disabled_are_those_that_nobody_calls() -> None:
    named = {cell.strip("`") for cell, *_ in rows(DOCUMENT, "Stopping it")}
    assert named <= functions().keys()
    triggers = {name: {each["type"] for each in bindings} for name, bindings in functions().items()}
    assert named >= {name for name, types in triggers.items() if "timerTrigger" in types}
    assert not [name for name in named if "httpTrigger" in triggers[name]]
    (disabled,) = re.findall(r"AzureWebJobs\.(\w+)\.Disabled=true", text_of(DOCUMENT))
    assert disabled in named


def test_events_wait_as_long_as_the_page_says() -> None:
    text = text_of("infra/app/subscription.bicep")
    assert f"queueMessageTimeToLiveInSeconds: {7 * 24 * 3600}" in text
    assert f"eventTimeToLiveInMinutes: {24 * 60}" in text
