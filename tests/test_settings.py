import json
import traceback
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidSettings
from shared.settings import Secret, Settings, UserPassword, load_settings
from tests.environments import in_azure, on_a_laptop

UNRESOLVED = "@Microsoft.KeyVault(SecretUri=https://vault.vault.azure.net/secrets/token)"
NOT_RESOLVED = (
    "the Key Vault reference was not resolved; check that the app's identity has the role Key Vault "
    "Secrets User on the vault, that keyVaultReferenceIdentity names that identity, and that the secret "
    "exists"
)
HUB_ONLY = "expected https://registry-1.docker.io, or an emulator such as https://localhost:5443"
PASSWORD = "correct horse battery staple"


def problems(environment: dict[str, str]) -> list[str]:
    with pytest.raises(InvalidSettings) as caught:
        load_settings(environment)
    assert caught.value.source == "app settings"
    return [str(problem) for problem in caught.value.problems]


def test_the_least_that_runs_in_azure_gets_safe_defaults() -> None:
    assert load_settings(in_azure()) == Settings(
        login_servers=("myreg.azurecr.io",),  # type: ignore[arg-type]
        credentials={},
        anonymous=frozenset(),
        client_id=None,
        resource_ids={},
        arm_endpoint="https://management.azure.com",
        docker_hub=None,
        docker_hub_registry="https://registry-1.docker.io",
        docker_hub_api="https://hub.docker.com",
        storage=None,
        storage_blob_uri="https://account.blob.core.windows.net",
        storage_queue_uri="https://account.queue.core.windows.net",
        storage_client_id=None,
        events_queue="registry-events",
        replication_queue="replications",
        cleanup_queue="cleanups",
        cleanup_mode="plan",
        policy_file="policy.yaml",
        policy_blob=None,
        notices_topic=None,
        runs_container="steward-runs",
        push_cleanup_seconds=300,
        invocation_seconds=1200.0,
        registry_threads=16,
        pull_reserve=50,
        ca_file=None,
    )


def test_everything_that_can_be_set_is_read() -> None:
    environment = in_azure(
        ACR_LOGIN_SERVERS=" MyReg.azurecr.io , other.azurecr.cn,",
        REGISTRY_CREDENTIALS=json.dumps(
            {
                "Other.azurecr.cn": {"username": "puller", "password": PASSWORD},
                "public.azurecr.io": {"anonymous": True},
            }
        ),
        AZURE_CLIENT_ID="6d9d",
        DOCKERHUB_USERNAME="acme-bot",
        DOCKERHUB_TOKEN=PASSWORD,
        StewardStorage__clientId="7e0e",
        CLEANUP_MODE="Apply",
        POLICY_BLOB="config/policies/steward.yaml",
        RUNS_CONTAINER="runs",
        PUSH_CLEANUP_SECONDS="900",
        INVOCATION_SECONDS="5.5",
        REGISTRY_THREADS="64",
        DOCKERHUB_PULL_RESERVE="0",
    )
    del environment["POLICY_FILE"]
    settings = load_settings(environment)
    assert settings.login_servers == ("myreg.azurecr.io", "other.azurecr.cn")
    assert settings.credentials == {
        "other.azurecr.cn": UserPassword(username="puller", password=Secret(PASSWORD))
    }
    assert settings.anonymous == {"public.azurecr.io"}
    assert settings.client_id == "6d9d"
    assert settings.docker_hub == UserPassword(username="acme-bot", password=Secret(PASSWORD))
    assert settings.storage_client_id == "7e0e"
    assert settings.cleanup_mode == "apply"
    assert settings.policy_file is None
    assert settings.policy_blob == "config/policies/steward.yaml"
    assert settings.runs_container == "runs"
    assert settings.push_cleanup_seconds == 900
    assert settings.invocation_seconds == 5.5
    assert settings.registry_threads == 64


def test_a_laptop_reaches_emulators_and_storage_by_connection_string() -> None:
    settings = load_settings(on_a_laptop())
    assert settings.storage is not None
    assert settings.storage.reveal() == "UseDevelopmentStorage=true"
    assert settings.storage_blob_uri is None
    assert settings.storage_queue_uri is None
    assert settings.docker_hub_registry == "https://localhost:5002"
    assert settings.docker_hub_api == "https://localhost:5003"
    assert settings.ca_file == "ca.crt"


def test_an_empty_environment_is_told_everything_it_misses() -> None:
    with pytest.raises(InvalidSettings) as caught:
        load_settings({})
    assert str(caught.value) == (
        "app settings: ACR_LOGIN_SERVERS: missing; EVENTS_QUEUE: missing; REPLICATION_QUEUE: missing; "
        "CLEANUP_QUEUE: missing; StewardStorage: missing: set StewardStorage__blobServiceUri and "
        "StewardStorage__queueServiceUri for access by identity, or a connection string for a local "
        "emulator; POLICY_FILE: missing: set POLICY_FILE or POLICY_BLOB"
    )


def test_a_blank_setting_is_a_missing_one() -> None:
    blank = dict.fromkeys(in_azure(), " \t")
    assert problems(blank) == problems({})


def test_problems_of_every_kind_are_reported_together() -> None:
    environment = in_azure(
        ACR_LOGIN_SERVERS="https://a.azurecr.io, hub.docker.com/acme, docker.io, a.azurecr.io, A.azurecr.io",
        REGISTRY_CREDENTIALS="[]",
        DOCKERHUB_USERNAME="acme-bot",
        EVENTS_QUEUE="Registry_Events",
        REPLICATION_QUEUE="cleanups",
        CLEANUP_MODE="delete",
        INVOCATION_SECONDS="20 minutes",
        REGISTRY_THREADS="65",
        POLICY_BLOB="policy.yaml",
        RUNS_CONTAINER="r",
    )
    grammar = "lower-case letters, digits and single dashes, a letter or digit first and last"
    host = "expected a host such as myreg.azurecr.io, with a port if need be, without scheme or path"
    assert problems(environment) == [
        "REGISTRY_CREDENTIALS: expected a JSON object",
        f"ACR_LOGIN_SERVERS: 'https://a.azurecr.io' is not a login server: {host}",
        f"ACR_LOGIN_SERVERS: 'hub.docker.com/acme' is not a login server: {host}",
        "ACR_LOGIN_SERVERS: docker.io is a target, not an Azure Container Registry",
        "ACR_LOGIN_SERVERS: a.azurecr.io is named twice",
        "DOCKERHUB_TOKEN: missing, though DOCKERHUB_USERNAME is set",
        f"EVENTS_QUEUE: 'Registry_Events', expected 3 to 56 {grammar}",
        "CLEANUP_MODE: 'delete', expected plan or apply",
        "POLICY_BLOB: 'policy.yaml', expected container/name",
        f"RUNS_CONTAINER: 'r', expected 3 to 63 {grammar}",
        "INVOCATION_SECONDS: '20 minutes' is not a number",
        "REGISTRY_THREADS: '65', expected 1 to 64",
        "POLICY_BLOB: set together with POLICY_FILE; set one of them",
        "CLEANUP_QUEUE: 'cleanups' is already the REPLICATION_QUEUE",
    ]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("ACR_LOGIN_SERVERS", ",,", "names no login server"),
        ("ACR_LOGIN_SERVERS", "myreg", "myreg has no domain; expected such as myreg.azurecr.io"),
        ("DOCKERHUB_TOKEN", "dckr_pat", "missing, though DOCKERHUB_TOKEN is set"),
        ("INVOCATION_SECONDS", "nan", "'nan', expected 5 to 3300"),
        ("INVOCATION_SECONDS", "inf", "'inf', expected 5 to 3300"),
        ("REGISTRY_THREADS", "inf", "'inf' is not a whole number"),
        ("REGISTRY_THREADS", "3.5", "'3.5' is not a whole number"),
        ("REGISTRY_THREADS", "0", "'0', expected 1 to 64"),
        ("DOCKERHUB_PULL_RESERVE", "-1", "'-1', expected 0 to 100000"),
        ("POLICY_BLOB", "/policy.yaml", "'/policy.yaml', expected container/name"),
        ("StewardStorage", "account", "not a connection string: expected key=value pairs separated by ';'"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(name: str, value: str, message: str) -> None:
    environment = {
        other: text
        for other, text in in_azure().items()
        if not (name == "POLICY_BLOB" and other == "POLICY_FILE")
        and not (name == "StewardStorage" and other.startswith(name))
    }
    named = "DOCKERHUB_USERNAME" if name == "DOCKERHUB_TOKEN" else name
    assert problems(environment | {name: value}) == [f"{named}: {message}"]


def test_a_queue_name_leaves_room_for_its_poison_queue() -> None:
    longest = "q" * (63 - len("-poison"))
    assert load_settings(in_azure(EVENTS_QUEUE=longest)).events_queue == longest
    (problem,) = problems(in_azure(EVENTS_QUEUE=f"{longest}q"))
    assert "expected 3 to 56" in problem


@pytest.mark.parametrize("name", ["a--b", "-ab", "ab-", "AB1", "a_b", "ab", "a.b"])
def test_a_queue_that_storage_would_refuse_is_refused_first(name: str) -> None:
    (problem,) = problems(in_azure(CLEANUP_QUEUE=name))
    assert problem.startswith(f"CLEANUP_QUEUE: {name!r}, expected 3 to 56")


# Secrets


@pytest.mark.parametrize("name", ["DOCKERHUB_TOKEN", "DOCKERHUB_USERNAME", "REGISTRY_CREDENTIALS"])
def test_an_unresolved_key_vault_reference_is_named_as_such_and_only_as_such(name: str) -> None:
    hub = {"DOCKERHUB_USERNAME": "acme-bot", "DOCKERHUB_TOKEN": PASSWORD}
    assert problems(in_azure(**hub) | {name: UNRESOLVED}) == [f"{name}: {NOT_RESOLVED}"]


@pytest.mark.parametrize("name", ["StewardStorage", "ACR_LOGIN_SERVERS", "EVENTS_QUEUE", "POLICY_FILE"])
def test_an_unresolved_reference_is_not_called_missing_too(name: str) -> None:
    assert problems(on_a_laptop() | {name: UNRESOLVED}) == [f"{name}: {NOT_RESOLVED}"]


def test_settings_can_be_printed_and_taken_apart_without_a_secret() -> None:
    settings = load_settings(
        on_a_laptop(
            REGISTRY_CREDENTIALS=json.dumps({"localhost:5001": {"username": "u", "password": PASSWORD}}),
            DOCKERHUB_TOKEN=PASSWORD,
            StewardStorage=f"AccountName=a;AccountKey={PASSWORD}",
        )
    )
    for shown in (repr(settings), str(settings), str(asdict(settings)), f"{settings}"):
        assert "***" in shown
        assert PASSWORD not in shown


@pytest.mark.parametrize(
    ("credentials", "expected"),
    [
        (f'{{"myreg.azurecr.io": {{"username": "u", "password": "{PASSWORD}"}}', ": not JSON"),
        (f"user:{PASSWORD}@myreg.azurecr.io", ": not JSON"),
        ("[" * 100_000, ": not JSON"),
        (f'"{PASSWORD}"', ": expected a JSON object"),
        (f'["{PASSWORD}"]', ": expected a JSON object"),
        (
            f'{{"myreg.azurecr.io": "{PASSWORD}"}}',
            ".myreg.azurecr.io: expected username and password, or anonymous: true",
        ),
        (
            f'{{"myreg.azurecr.io": {{"username": "", "password": "{PASSWORD}"}}}}',
            ".myreg.azurecr.io: expected username and password, or anonymous: true",
        ),
        (
            f'{{"myreg.azurecr.io": {{"username": "u", "password": "{PASSWORD}", "anonymous": true}}}}',
            ".myreg.azurecr.io: expected username and password, or anonymous: true",
        ),
        (
            f'{{"myreg.azurecr.io": {{"username": "u", "password": ["{PASSWORD}"]}}}}',
            ".myreg.azurecr.io: expected username and password, or anonymous: true",
        ),
        (
            '{"myreg.azurecr.io": {"anonymous": false}}',
            ".myreg.azurecr.io: expected username and password, or anonymous: true",
        ),
        (
            f'{{"myreg.azurecr.io": {{"anonymous": true}}, "https://u:{PASSWORD}@myreg.azurecr.io": {{}}}}',
            ": key 2 is not a login server such as myreg.azurecr.io",
        ),
        (
            f'{{"a.io": {{"username": "u", "password": "{PASSWORD}"}}, "A.io": {{"anonymous": true}}}}',
            ".a.io: named twice",
        ),
    ],
)
def test_credentials_that_cannot_be_used_are_not_quoted(credentials: str, expected: str) -> None:
    with pytest.raises(InvalidSettings) as caught:
        load_settings(in_azure(REGISTRY_CREDENTIALS=credentials))
    assert str(caught.value) == f"app settings: REGISTRY_CREDENTIALS{expected}"
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert PASSWORD not in shown
    assert caught.value.__context__ is None  # whatever holds the text would be there


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("StewardStorage", f"{PASSWORD}"),
        ("StewardStorage__blobServiceUri", f"https://account.blob.core.windows.net/?sig={PASSWORD}"),
        ("StewardStorage__queueServiceUri", f"https://user:{PASSWORD}@account.queue.core.windows.net"),
        ("DOCKERHUB_API_ENDPOINT", f"https://user:{PASSWORD}@hub.docker.com"),
        ("DOCKERHUB_REGISTRY_ENDPOINT", f"https://user:{PASSWORD}@localhost:5000"),
        ("ACR_RESOURCE_IDS", json.dumps({f"https://u:{PASSWORD}@myreg.azurecr.io": ""})),
    ],
)
def test_a_secret_in_the_wrong_place_is_not_quoted(name: str, value: str) -> None:
    (problem, *_) = problems(in_azure() | {name: value})
    assert problem.startswith(f"{name}: ")
    assert PASSWORD not in problem


# Azure Resource Manager: which resource a registry is

RESOURCE = (
    "/subscriptions/0a1b/resourceGroups/rg_(images)/providers/Microsoft.ContainerRegistry/registries/r1"
)
NO_RESOURCE = (
    "expected a resource id: /subscriptions/.../resourceGroups/.../providers/"
    "Microsoft.ContainerRegistry/registries/name"
)


def test_a_registry_is_told_apart_from_its_resource() -> None:
    ids = json.dumps({"MyReg.azurecr.io": RESOURCE})
    assert load_settings(in_azure(ACR_RESOURCE_IDS=ids)).resource_ids == {"myreg.azurecr.io": RESOURCE}


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ({"https://myreg.azurecr.io": RESOURCE}, ": key 1 is not a login server such as myreg.azurecr.io"),
        ({"myreg.azurecr.io": "myreg"}, f".myreg.azurecr.io: {NO_RESOURCE}"),
        ({"myreg.azurecr.io": f"{RESOURCE}?api-version=1"}, f".myreg.azurecr.io: {NO_RESOURCE}"),
        ({"myreg.azurecr.io": {"id": RESOURCE}}, f".myreg.azurecr.io: {NO_RESOURCE}"),
    ],
)
def test_what_is_no_resource_of_a_registry_is_refused(ids: dict[str, Any], expected: str) -> None:
    assert problems(in_azure(ACR_RESOURCE_IDS=json.dumps(ids))) == [f"ACR_RESOURCE_IDS{expected}"]


@pytest.mark.parametrize(
    ("endpoint", "scope"),
    [
        ("https://management.azure.com/", "https://management.azure.com/.default"),
        ("https://management.chinacloudapi.cn", "https://management.chinacloudapi.cn/.default"),
        ("https://localhost:5445", "https://management.azure.com/.default"),
    ],
)
def test_a_token_is_asked_for_in_the_cloud_that_it_is_sent_to(endpoint: str, scope: str) -> None:
    assert load_settings(in_azure(AZURE_RESOURCE_MANAGER_ENDPOINT=endpoint)).arm_scope == scope


def test_no_other_host_is_sent_a_token_for_azure_resource_manager() -> None:
    (problem,) = problems(
        in_azure(AZURE_RESOURCE_MANAGER_ENDPOINT="https://management.azure.com.evil.example")
    )
    assert problem.startswith("AZURE_RESOURCE_MANAGER_ENDPOINT: expected https://management.azure.com, ")


# Storage: by identity or by connection string


def test_one_storage_uri_alone_is_not_enough() -> None:
    environment = in_azure()
    del environment["StewardStorage__queueServiceUri"]
    assert problems(environment) == [
        "StewardStorage__queueServiceUri: missing, though StewardStorage__blobServiceUri is set"
    ]


def test_storage_is_reached_one_way_not_both() -> None:
    assert problems(in_azure(StewardStorage="UseDevelopmentStorage=true")) == [
        "StewardStorage: set together with StewardStorage__blobServiceUri; set one of them"
    ]


@pytest.mark.parametrize(
    "uri",
    [
        "account.blob.core.windows.net",
        "http://account.blob.core.windows.net",
        "https://",
        "https://account.blob.core.windows.net?sv=1",
        "https://account.blob.core.windows.net#",
        r"https://evil.example\@account.blob.core.windows.net",
    ],
)
def test_an_identity_is_sent_to_a_plain_https_address_only(uri: str) -> None:
    example = "https://account.blob.core.windows.net"
    assert problems(in_azure(StewardStorage__blobServiceUri=uri)) == [
        f"StewardStorage__blobServiceUri: expected an https URL without a query, such as {example}"
    ]


# Endpoints: Docker Hub or loopback, nothing else


@pytest.mark.parametrize(
    "url",
    [
        "https://docker.io",
        "https://registry-1.docker.io.evil.example",
        "https://evil.example",
        "localhost:5000",
        "https://localhost:5000/v2",
        r"https://evil.example\@127.0.0.1",
    ],
)
def test_docker_hub_can_be_replaced_by_an_emulator_only(url: str) -> None:
    assert problems(in_azure(DOCKERHUB_REGISTRY_ENDPOINT=url)) == [f"DOCKERHUB_REGISTRY_ENDPOINT: {HUB_ONLY}"]


def test_docker_hub_itself_may_be_spelled_out() -> None:
    settings = load_settings(
        in_azure(
            DOCKERHUB_REGISTRY_ENDPOINT="https://registry-1.docker.io/",
            DOCKERHUB_API_ENDPOINT="https://hub.docker.com",
        )
    )
    assert settings == load_settings(in_azure())


@pytest.mark.parametrize(
    "changes",
    [
        {"ACR_LOGIN_SERVERS": "localhost:5001,myreg.azurecr.io"},
        {"ACR_LOGIN_SERVERS": "localhost.evil.example"},
        {"DOCKERHUB_API_ENDPOINT": "https://hub.docker.com"},
        {"DOCKERHUB_REGISTRY_ENDPOINT": ""},
        {"ACR_RESOURCE_IDS": json.dumps({"localhost:5001": RESOURCE})},
    ],
)
def test_no_real_registry_is_trusted_by_an_emulator_authority(changes: dict[str, str]) -> None:
    message = "EMULATOR_CA_FILE: can be set only while every registry is an emulator on loopback"
    assert message in problems(on_a_laptop(**changes))


# Laws

NAMES = sorted(
    {*in_azure(), *on_a_laptop(), "REGISTRY_CREDENTIALS", "CLEANUP_MODE", "POLICY_BLOB", "ACR_RESOURCE_IDS"}
)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("localhost"), inner),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(
            [*NAMES, "REGISTRY_THREADS", "INVOCATION_SECONDS", "RUNS_CONTAINER", "ACR_RESOURCE_IDS"]
        ),
        st.text()
        | JSON.map(json.dumps)
        | st.sampled_from(["localhost:1", "http://[", "https://[::", "1e999"]),
    )
)
def test_no_environment_raises_anything_but_invalid_settings(changes: dict[str, Any]) -> None:
    for base in (in_azure(), on_a_laptop()):
        try:
            load_settings(base | changes)
        except InvalidSettings as error:
            assert error.problems  # noqa: PT017 - both ends are good, and each has its own law
