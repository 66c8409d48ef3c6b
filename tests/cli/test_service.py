import base64
import json
import os
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob import BlobServiceClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cli.appservices import app_services
from cli.checks.native import check_native
from emulators.acr import AcrEmulator
from emulators.dockerhub import DockerHubEmulator
from emulators.identity import IdentityEmulator
from emulators.registry.images import build_image
from emulators.server import Server
from emulators.stack import Stack
from shared.jobs.nightly import start_night
from shared.jobs.repositories import work_on_repository
from shared.jobs.services import Services
from shared.messages import PlanRepository
from shared.oci.names import RepositoryName, parse_digest, parse_login_server, parse_reference
from shared.replication.replicas import Replica
from tests.cli.terminal import Steward

POLICY = """\
version: 1
retention:
  rules:
    - {name: pull-requests, repositories: ["team/*"], tags: ["pr-*"], older_than: 14d}
replication:
  routes:
    - {name: to-hub, from: {repositories: ["team/*"], tags: ["v*"]}, to: "docker.io/acme/{basename}"}
"""
CONTRIBUTOR = "Container Registry Repository Contributor"
READER = "Container Registry Repository Reader"
LISTER = "Container Registry Repository Catalog Lister"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    policy = tmp_path_factory.mktemp("service") / "policy.yaml"
    policy.write_text(POLICY, encoding="utf-8")
    with Stack(policy_file=policy, event_options={"loss": 1.0}) as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def surroundings() -> Iterator[None]:
    """Wiring sets the identity's variables; they end with this module."""
    names = ("IDENTITY_ENDPOINT", "IDENTITY_HEADER", "AZURE_CLIENT_ID")
    before = {name: os.environ.get(name) for name in names}
    yield
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@pytest.fixture
def services(stack: Stack) -> Services:
    return app_services(stack.settings_file)


@pytest.fixture
def steward(tmp_path: Path) -> Steward:
    return Steward(directory=tmp_path)


@pytest.fixture
def settings(stack: Stack, tmp_path: Path) -> Callable[..., str]:
    def write(**changes: str) -> str:
        file = tmp_path / "local.settings.json"
        values = {name: value for name, value in {**stack.settings, **changes}.items() if value}
        file.write_text(json.dumps({"IsEncrypted": False, "Values": values}), encoding="utf-8")
        return str(file)

    return write


@pytest.fixture
def granted(stack: Stack) -> Iterator[Callable[..., None]]:
    client_id = stack.identity.client_id

    def grant(*roles: str) -> None:
        stack.acr.revoke(client_id)
        stack.acr.grant(client_id, *roles)

    yield grant
    grant("AcrPull", "AcrDelete")


def team_app(stack: Stack) -> None:
    stack.acr.state.delete_repository("team/app")
    then = datetime.now(UTC) - timedelta(days=60)
    build_image(seed=1).push_to(stack.acr.state, "team/app", tag="pr-1", at=then)
    build_image(seed=2).push_to(stack.acr.state, "team/app", tag="v1.0", at=then)


def hub_credentials(stack: Stack) -> dict[str, str]:
    names = ("DOCKERHUB_USERNAME", "DOCKERHUB_TOKEN", "DOCKERHUB_REGISTRY_ENDPOINT", "DOCKERHUB_API_ENDPOINT")
    return {name: stack.settings[name] for name in names}


def test_the_doctors_lines_fit_and_its_commands_stay_whole(
    stack: Stack, steward: Steward, settings: Callable[..., str], granted: Callable[..., None]
) -> None:
    team_app(stack)
    granted("AcrPull")
    with steward.terminal("doctor", "--settings", settings(CLEANUP_MODE="apply"), width=80) as terminal:
        assert terminal.finish() == 1
    lines = terminal.text.splitlines()
    assert [line for line in lines if len(line) > 80 and "az role assignment create" not in line] == []
    assert sum("az role assignment create" in line for line in lines) == 1
    assert lines[-1].endswith("1 failure, 0 warnings")


def findings(done: Any) -> list[tuple[str, str]]:
    return [(finding["level"], f"{finding['text']} {finding['remedy']}") for finding in done.json["findings"]]


def test_the_doctor_finds_a_well_app_well(
    stack: Stack, steward: Steward, settings: Callable[..., str]
) -> None:
    team_app(stack)
    done = steward.run("doctor", "--settings", settings())
    assert done.code == 0, done.out + done.err
    for said in (
        "settings: complete",
        "policy: valid",
        "queue registry-events",
        f"signed in as Entra identity {stack.identity.client_id}",
        "may untag and delete",
        "may push to acme",
    ):
        assert said in done.out


@pytest.mark.parametrize(
    ("left", "missing"), [((), "AcrPull"), (("AcrDelete",), "AcrPull"), (("AcrPull",), "AcrDelete")]
)
def test_the_doctor_names_the_role_that_is_missing_and_how_to_grant_it(
    steward: Steward,
    settings: Callable[..., str],
    granted: Callable[..., None],
    left: tuple[str, ...],
    missing: str,
) -> None:
    granted(*left)
    done = steward.run("doctor", "--settings", settings(CLEANUP_MODE="apply"), "--json")
    assert done.code == 1
    failures = [text for level, text in findings(done) if level == "failure"]
    command = re.compile(rf'az role assignment create --assignee \S+ --role "{missing}" --scope ')
    assert any(command.search(text) for text in failures)


@pytest.mark.parametrize(
    ("left", "missing"), [((READER, LISTER), CONTRIBUTOR), ((CONTRIBUTOR,), LISTER), ((LISTER,), READER)]
)
def test_the_doctor_knows_the_roles_of_registries_with_abac(
    stack: Stack, steward: Steward, settings: Callable[..., str], left: tuple[str, ...], missing: str
) -> None:
    with AcrEmulator(ca=stack.ca, name="abac", identity=stack.identity, abac=True) as acr:
        build_image().push_to(acr.state, "team/app", tag="v1")
        acr.grant(stack.identity.client_id, *left)
        file = settings(ACR_LOGIN_SERVERS=acr.login_server, CLEANUP_MODE="apply")
        done = steward.run("doctor", "--settings", file, "--json")
    assert done.code == 1
    assert any(level == "failure" and f'"{missing}"' in text for level, text in findings(done))


def test_the_doctor_wants_the_right_to_push_where_a_route_goes(
    stack: Stack, steward: Steward, settings: Callable[..., str]
) -> None:
    policy = steward.directory / "policy.yaml"
    policy.write_text(POLICY.replace("docker.io/acme", f"{stack.acr.login_server}/copies"))
    done = steward.run("doctor", "--settings", settings(POLICY_FILE=str(policy)), "--json")
    assert done.code == 1
    assert any(level == "failure" and '"AcrPush"' in text for level, text in findings(done))


def test_an_app_that_only_plans_needs_no_right_to_delete(
    stack: Stack, steward: Steward, settings: Callable[..., str], granted: Callable[..., None]
) -> None:
    team_app(stack)
    granted("AcrPull")
    done = steward.run("doctor", "--settings", settings(), "--json")
    assert done.code == 0
    assert any(level == "warning" and "AcrDelete" in text for level, text in findings(done))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"EVENTS_QUEUE": ""}, "EVENTS_QUEUE: missing"),
        ({"DOCKERHUB_TOKEN": "@Microsoft.KeyVault(SecretUri=x)"}, "Key Vault Secrets User"),
        (
            {
                "StewardStorage": "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
                "AccountKey=eA==;BlobEndpoint=http://127.0.0.1:9/a;QueueEndpoint=http://127.0.0.1:9/a"
            },
            "storage",
        ),
        ({"DOCKERHUB_TOKEN": "wrong"}, "DOCKERHUB_TOKEN"),
        ({"POLICY_FILE": "/nowhere/policy.yaml"}, "policy"),
        ({"DOCKERHUB_USERNAME": "", "DOCKERHUB_TOKEN": ""}, "no credentials for it"),
    ],
)
def test_the_doctor_names_the_setting_that_is_wrong(
    steward: Steward, settings: Callable[..., str], changes: dict[str, str], says: str
) -> None:
    done = steward.run("doctor", "--settings", settings(**changes))
    assert done.code == 1
    assert "Traceback" not in done.err
    assert any(line.startswith("failure") for line in done.out.splitlines())
    assert says in done.out


def test_the_doctor_sees_what_azure_deletes_by_itself(
    stack: Stack, steward: Steward, settings: Callable[..., str]
) -> None:
    resource = stack.arm.add(stack.acr.resource_id, stack.acr.login_server)
    file = settings()
    done = steward.run("doctor", "--settings", file, "--json")
    assert ("ok", "its own retention and soft delete are off ") in findings(done)
    resource.retention_days, resource.soft_delete_days = 15, 7
    done = steward.run("doctor", "--settings", file, "--json")
    assert done.code == 0
    warnings = [text for level, text in findings(done) if level == "warning"]
    assert any("after 15 days" in text and "az acr config retention update" in text for text in warnings)
    assert any("for 7 days" in text and "soft-delete update" in text for text in warnings)
    stack.arm.add(stack.acr.resource_id, stack.acr.login_server)
    stack.arm.revoke(stack.identity.client_id)
    done = steward.run("doctor", "--settings", file, "--json")
    stack.arm.grant(stack.identity.client_id, "Reader", stack.acr.resource_id)
    grant = f'az role assignment create --assignee {stack.identity.client_id} --role "Reader" --scope '
    assert any(f"{grant}{stack.acr.resource_id}" in text for _, text in findings(done))


def test_the_doctor_names_the_roles_that_are_missing_on_the_storage_account(
    steward: Steward, settings: Callable[..., str]
) -> None:
    async def refuse(_: Request) -> Response:
        return Response(status_code=403, headers={"x-ms-error-code": "AuthorizationPermissionMismatch"})

    with Server(Starlette(routes=[Route("/{path:path}", refuse, methods=["GET", "HEAD", "PUT"])])) as server:
        account = "DefaultEndpointsProtocol=http;AccountName=theaccount;AccountKey=eA=="
        places = f"BlobEndpoint={server.url}/theaccount;QueueEndpoint={server.url}/theaccount"
        file = settings(StewardStorage=f"{account};{places}")
        done = steward.run("doctor", "--settings", file, "--json")
    assert done.code == 1
    failures = [text for level, text in findings(done) if level == "failure"]
    scope = '--scope "$(az storage account show --name theaccount --query id -o tsv)"'
    for role in ("Storage Blob Data Contributor", "Storage Queue Data Contributor"):
        assert any(f'--role "{role}" {scope}' in text for text in failures)


@pytest.mark.parametrize(("limit", "level"), [(5, "warning"), (200, "ok")])
def test_the_doctor_says_how_many_pulls_are_left(
    stack: Stack, steward: Steward, limit: int, level: str
) -> None:
    with DockerHubEmulator(ca=stack.ca, pull_limit=limit) as hub:
        build_image().push_to(hub.state, "ratelimitpreview/test", tag="latest")
        done = steward.run(
            "doctor",
            "docker.io",
            "--json",
            DOCKERHUB_REGISTRY_ENDPOINT=f"https://{hub.registry}",
            DOCKERHUB_API_ENDPOINT=hub.api_url,
            DOCKERHUB_USERNAME=hub.username,
            DOCKERHUB_TOKEN=hub.token,
            STEWARD_CA_FILE=str(stack.ca.ca_file),
        )
    assert done.code == 0, done.out + done.err
    (found,) = [each for each in done.json["findings"] if "pulls left" in each["text"]]
    assert found["text"] == f"{limit} of {limit} pulls left in 6 hours"
    assert found["level"] == level


def test_a_docker_hub_token_that_only_reads_is_found_out(
    stack: Stack, steward: Steward, settings: Callable[..., str]
) -> None:
    stack.dockerhub.add_account("acme-reader", "reading", "repo:read")
    done = steward.run(
        "doctor", "--settings", settings(DOCKERHUB_USERNAME="acme-reader", DOCKERHUB_TOKEN="reading")
    )
    assert done.code == 1
    assert "may not push to acme" in done.out


def test_the_doctor_examines_a_registry_without_any_settings(stack: Stack, steward: Steward) -> None:
    command = ("doctor", stack.acr.login_server, "--ca-file", str(stack.ca.ca_file))
    credentials = ("--username", stack.acr.admin_username, "--password", stack.acr.admin_password)
    assert steward.run(*command, *credentials).code == 0
    stack.acr.add_token("reader", "secret", {"team/app": ["content/read", "metadata/read"]})
    team_app(stack)
    done = steward.run(*command, "--username", "reader", "--password", "secret")
    assert done.code == 1
    assert "may not list repositories" in done.out
    assert "az acr scope-map show" in done.out


def test_without_settings_the_verbs_of_the_app_say_what_is_missing(steward: Steward) -> None:
    done = steward.run("runs", "list")
    assert done.code == 2
    assert "ACR_LOGIN_SERVERS: missing" in done.err
    assert "--settings" in done.err


def test_runs_are_listed_shown_and_followed(
    stack: Stack, steward: Steward, services: Services, settings: Callable[..., str]
) -> None:
    team_app(stack)
    file = settings()
    run = start_night(services, now=datetime.now(UTC))
    server = parse_login_server(stack.acr.login_server)
    message = PlanRepository(run=run.name, registry=server, repository=RepositoryName("team/app"))
    with steward.terminal("runs", "show", run.name, "--follow", "--settings", file, width=120) as terminal:
        work_on_repository(services, message.to_json().encode(), clock=lambda: datetime.now(UTC))
        assert terminal.finish() == 0
    assert "state: finished" in terminal.text
    for command in (("list",), ("show", run.name), ("show", run.name, f"{server}/team/app")):
        with steward.terminal("runs", *command, "--settings", file, width=80) as terminal:
            assert terminal.finish() == 0
        assert max(map(len, terminal.text.splitlines())) <= 80
    listed = steward.run("runs", "list", "--settings", file, "--json").json["runs"]
    (found,) = [each for each in listed if each["run"] == run.name]
    assert found["state"] == "finished"
    shown = steward.run("runs", "show", run.name, f"{server}/team/app", "--settings", file)
    assert "pr-1" in shown.out
    assert "pull-requests: older than 14d" in shown.out
    done = steward.run("runs", "show", "night-never", "--settings", file)
    assert done.code == 4
    assert "steward runs list" in done.err


def test_what_was_given_up_is_listed_and_sent_again(
    steward: Steward, services: Services, settings: Callable[..., str]
) -> None:
    file = settings()
    body = b'{"hello": 1}'
    document = {
        "origin": "registry-event",
        "id": "one",
        "recorded": "2026-01-01T00:00:00+00:00",
        "body": base64.b64encode(body).decode(),
        "text": body.decode(),
    }
    name = services.poison.save("registry-event", "one", document, now=datetime.now(UTC))
    listed = steward.run("replay", "--settings", file, "--json").json["poison"]
    assert [each["name"] for each in listed] == [name]
    before = services.events_queue.length()
    done = steward.run("replay", "--all", "--settings", file)
    assert done.code == 0, done.err
    assert "1 message sent again" in done.out
    assert services.events_queue.length() == before + 1
    assert list(services.poison.names()) == []
    assert steward.run("replay", "poison/nothing", "--settings", file).code == 4


def test_dead_letters_are_sent_again_unless_they_cannot_be_understood(
    stack: Stack, steward: Steward, services: Services, settings: Callable[..., str]
) -> None:
    file = settings()
    event = steward.run("events", "send", f"{stack.acr.login_server}/team/app:v9", "--print").json
    account = BlobServiceClient.from_connection_string(stack.azurite.connection_string)
    with account, account.get_container_client("dead-letter") as container:
        container.create_container()
        container.upload_blob("a/1.json", json.dumps([{**event, "deadletterreason": "MaxDeliveryAttempts"}]))
        container.upload_blob("a/2.json", "[{}]")
        before = services.events_queue.length()
        done = steward.run("replay", "--dead-letters", "dead-letter", "--settings", file, "--json")
        assert done.code == 4
        assert [each["error"] is None for each in done.json["replayed"]] == [True, False]
        assert [blob.name for blob in container.list_blobs()] == ["a/2.json"]
    assert services.events_queue.length() == before + 1
    done = steward.run("replay", "--dead-letters", "no-such-thing", "--settings", file)
    assert done.code == 4
    assert "there is no container" in done.err


def test_events_in_one_blob_with_one_that_cannot_be_understood_are_sent_again_without_it(
    stack: Stack, steward: Steward, services: Services, settings: Callable[..., str]
) -> None:
    file = settings()
    event = steward.run("events", "send", f"{stack.acr.login_server}/team/app:v9", "--print").json
    account = BlobServiceClient.from_connection_string(stack.azurite.connection_string)
    with account, account.get_container_client("given-up") as container:
        container.create_container()
        container.upload_blob("a/1.json", json.dumps([event, {"broken": True}, event]))
        before = services.events_queue.length()
        done = steward.run("replay", "--dead-letters", "given-up", "--settings", file, "--json")
        assert done.code == 4
        (replayed,) = done.json["replayed"]
        assert replayed["queue"] == services.events_queue.name
        assert "neither CloudEvents (specversion) nor the Event Grid schema" in replayed["error"]
        assert services.events_queue.length() == before + 2
        assert json.loads(container.download_blob("a/1.json").readall()) == [{"broken": True}]
        again = steward.run("replay", "--dead-letters", "given-up", "--settings", file, "--json")
        assert again.json["replayed"][0]["queue"] is None
        assert services.events_queue.length() == before + 2


def test_reconcile_says_what_differs_and_apply_has_it_mended(
    stack: Stack, steward: Steward, services: Services, settings: Callable[..., str]
) -> None:
    team_app(stack)
    file = settings()
    before = services.cleanup_queue.length()
    done = steward.run("reconcile", "--settings", file, "--json")
    assert done.code == 0, done.err
    (drift,) = done.json["drift"]
    assert drift["state"] == "missing"
    assert drift["target"] == "docker.io/acme/app:v1.0"
    assert services.cleanup_queue.length() == before
    done = steward.run("reconcile", "--apply", "--settings", file)
    assert done.code == 0, done.err
    assert "queued for the app to compare and mend" in done.out
    assert services.cleanup_queue.length() > before


def test_a_sample_event_reaches_the_queue_or_a_webhook(
    stack: Stack, steward: Steward, services: Services, settings: Callable[..., str]
) -> None:
    place = f"{stack.acr.login_server}/team/app:v1.0"
    before = services.events_queue.length()
    assert steward.run("events", "send", place, "--settings", settings()).code == 0
    assert services.events_queue.length() == before + 1
    came: list[tuple[str, Any]] = []

    async def take(request: Request) -> Response:
        came.append((request.headers["aeg-event-type"], await request.json()))
        return Response(status_code=200 if request.query_params.get("code") == "key" else 401)

    with Server(Starlette(routes=[Route("/hook", take, methods=["POST"])])) as server:
        done = steward.run(
            "events", "send", place, "--url", f"{server.url}/hook?code=key", "--schema", "eventgrid"
        )
        assert done.code == 0, done.err
        assert "code=key" not in done.out
        done = steward.run("events", "send", place, "--url", f"{server.url}/hook?code=wrong")
        assert done.code == 4
        assert "wrong" not in done.err
    assert came[0][0] == "Notification"
    assert came[0][1][0]["eventType"] == "Microsoft.ContainerRegistry.ImagePushed"
    assert came[1][1]["type"] == "Microsoft.ContainerRegistry.ImagePushed"


@pytest.fixture
def azure(steward: Steward) -> Iterator[Server]:
    """Azure Resource Manager with two registries on two pages."""
    path = "/subscriptions/s/providers/Microsoft.ContainerRegistry/registries"
    registries = [
        {
            "name": name,
            "id": f"{path}/{name}",
            "sku": {"name": "Premium"},
            "properties": {
                "loginServer": server,
                "policies": {"retentionPolicy": {"status": "enabled", "days": 15}},
            },
        }
        for name, server in (("plain", "plain.azurecr.io"), ("hashed", "hashed-a1b2c3.azurecr.io"))
    ]

    async def subscriptions(_: Request) -> Response:
        return JSONResponse({"value": [{"subscriptionId": "s"}]})

    async def listed(request: Request) -> Response:
        if "page" in request.query_params:
            return JSONResponse({"value": registries[1:]})
        return JSONResponse({"value": registries[:1], "nextLink": f"{request.url}&page=2"})

    routes = [Route("/subscriptions", subscriptions), Route(path, listed)]
    with IdentityEmulator() as identity, Server(Starlette(routes=routes)) as server:
        steward.environment |= {**identity.env(), "AZURE_RESOURCE_MANAGER_ENDPOINT": server.url}
        yield server


@pytest.mark.usefixtures("azure")
def test_a_login_server_is_found_by_name_and_never_guessed(steward: Steward) -> None:
    assert steward.run("login-server", "Hashed").out == "hashed-a1b2c3.azurecr.io\n"
    assert len(steward.run("login-server", "--json").json["registries"]) == 2
    done = steward.run("login-server", "nowhere")
    assert done.code == 4
    assert "you see no registry nowhere" in done.err


@pytest.mark.usefixtures("azure")
def test_azures_own_retention_is_warned_of(steward: Steward, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in steward.environment.items():
        monkeypatch.setenv(name, value)
    (finding,) = check_native([parse_login_server("hashed-a1b2c3.azurecr.io")])
    assert finding.level == "warning"
    assert "after 15 days" in finding.text
    assert "--registry hashed" in finding.remedy


def test_the_ledger_tells_how_old_replicas_are(
    stack: Stack, steward: Steward, services: Services, settings: Callable[..., str]
) -> None:
    now = datetime.now(UTC)
    image = build_image(seed=3)
    image.push_to(stack.dockerhub.state, "acme/ledger", tag="pr-1", at=now - timedelta(days=2))
    replica = parse_reference("docker.io/acme/ledger:pr-1")
    pushed = now - timedelta(days=60)
    origin = parse_reference(f"{stack.acr.login_server}/team/ledger:pr-1")
    digest = parse_digest(image.digest)
    services.ledger.record(
        replica,
        Replica(
            source=origin,
            route="to-hub",
            digest=digest,
            source_digest=digest,
            copied=now,
            pushed=pushed,
            created=pushed,
        ),
    )
    policy = steward.directory / "hub.yaml"
    policy.write_text(POLICY.replace("repositories:", "registries: [docker.io], repositories:", 1))
    policy.write_text(policy.read_text().replace("team/*", "acme/*", 1))
    command = ("docker.io/acme/ledger", "--policy", str(policy), "--ca-file", str(stack.ca.ca_file), "--json")
    done = steward.run("plan", *command, "--settings", settings())
    assert done.code == 0, done.err
    (plan,) = done.json["repositories"]
    assert [untag["tag"] for untag in plan["untag"]] == ["pr-1"]
    assert plan["warnings"] == []
    done = steward.run("plan", *command, "--settings", settings(), "--own-times")
    assert done.code == 2
    assert "exclude each other" in done.err
    (plan,) = steward.run("plan", *command, **hub_credentials(stack)).json["repositories"]
    assert plan["untag"] == []
    assert "--settings FILE reads the app's ledger" in plan["warnings"][0]
