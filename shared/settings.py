"""App settings: the environment, read once, into one frozen value.

The environment gets passed in. Every problem is reported at once, and a value that is a secret never
appears in one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from shared.environment import (
    UNRESOLVED_REFERENCE,
    EnvironmentReader,
    Secret,
    is_loopback,
    is_loopback_url,
)
from shared.errors import InvalidName
from shared.oci.names import DOCKER_HUB, LoginServer, parse_login_server

__all__ = [
    "ARM",
    "DOCKER_HUB_API",
    "DOCKER_HUB_REGISTRY",
    "UNRESOLVED_REFERENCE",
    "CleanupMode",
    "Secret",
    "Settings",
    "UserPassword",
    "is_loopback_url",
    "load_settings",
]

type CleanupMode = Literal["plan", "apply"]

DOCKER_HUB_REGISTRY: Final = "https://registry-1.docker.io"
DOCKER_HUB_API: Final = "https://hub.docker.com"
ARM: Final = "https://management.azure.com"
_ARM_OF_OTHER_CLOUDS: Final = ("https://management.usgovcloudapi.net", "https://management.chinacloudapi.cn")

_RESOURCE_ID = re.compile(
    r"/subscriptions/[0-9a-z-]{1,36}/resourceGroups/[\w.()-]{1,90}"
    r"/providers/Microsoft\.ContainerRegistry/registries/[0-9a-z]{1,50}",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserPassword:
    """A user name with its password or token: an admin user, a repository token, a Docker Hub token."""

    username: str
    password: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything the app is told from outside; ``docs/settings.md`` describes each setting.

    ``storage`` is a connection string; without one, both storage URIs are set.
    """

    login_servers: tuple[LoginServer, ...]
    credentials: Mapping[LoginServer, UserPassword]
    anonymous: frozenset[LoginServer]
    client_id: str | None
    resource_ids: Mapping[LoginServer, str]
    arm_endpoint: str
    docker_hub: UserPassword | None
    docker_hub_registry: str
    docker_hub_api: str
    storage: Secret | None
    storage_blob_uri: str | None
    storage_queue_uri: str | None
    storage_client_id: str | None
    events_queue: str
    replication_queue: str
    cleanup_queue: str
    cleanup_mode: CleanupMode
    policy_file: str | None
    policy_blob: str | None
    notices_topic: str | None
    runs_container: str
    push_cleanup_seconds: int
    invocation_seconds: float
    registry_threads: int
    pull_reserve: int
    ca_file: str | None

    @property
    def arm_scope(self) -> str:
        """What a token for Azure Resource Manager is asked for; an emulator takes what Azure's own takes."""
        return f"{ARM if is_loopback_url(self.arm_endpoint) else self.arm_endpoint}/.default"


def load_settings(environment: Mapping[str, str]) -> Settings:
    """Return the settings that the environment holds.

    :raises InvalidSettings: with every problem at once, each naming its setting.
    """
    reader = EnvironmentReader(environment)
    credentials, anonymous = _credentials(reader, "REGISTRY_CREDENTIALS")
    settings = Settings(
        login_servers=_login_servers(reader, "ACR_LOGIN_SERVERS"),
        credentials=credentials,
        anonymous=anonymous,
        client_id=reader.text("AZURE_CLIENT_ID"),
        resource_ids=_resource_ids(reader, "ACR_RESOURCE_IDS"),
        arm_endpoint=reader.endpoint("AZURE_RESOURCE_MANAGER_ENDPOINT", ARM, *_ARM_OF_OTHER_CLOUDS),
        docker_hub=_docker_hub(reader),
        docker_hub_registry=reader.endpoint("DOCKERHUB_REGISTRY_ENDPOINT", DOCKER_HUB_REGISTRY),
        docker_hub_api=reader.endpoint("DOCKERHUB_API_ENDPOINT", DOCKER_HUB_API),
        storage=reader.connection_string("StewardStorage"),
        storage_blob_uri=reader.service_uri(
            "StewardStorage__blobServiceUri", "https://account.blob.core.windows.net"
        ),
        storage_queue_uri=reader.service_uri(
            "StewardStorage__queueServiceUri", "https://account.queue.core.windows.net"
        ),
        storage_client_id=reader.text("StewardStorage__clientId"),
        events_queue=reader.queue("EVENTS_QUEUE"),
        replication_queue=reader.queue("REPLICATION_QUEUE"),
        cleanup_queue=reader.queue("CLEANUP_QUEUE"),
        cleanup_mode=_cleanup_mode(reader, "CLEANUP_MODE"),
        policy_file=reader.text("POLICY_FILE"),
        policy_blob=reader.blob("POLICY_BLOB"),
        notices_topic=reader.service_uri(
            "NOTICES_TOPIC_ENDPOINT", "https://topic.westeurope-1.eventgrid.azure.net/api/events"
        ),
        runs_container=reader.container("RUNS_CONTAINER", "steward-runs"),
        push_cleanup_seconds=reader.number("PUSH_CLEANUP_SECONDS", 300, int, least=1, most=86400),
        invocation_seconds=reader.number("INVOCATION_SECONDS", 1200.0, float, least=5.0, most=3300.0),
        registry_threads=reader.number("REGISTRY_THREADS", 16, int, least=1, most=64),
        pull_reserve=reader.number("DOCKERHUB_PULL_RESERVE", 50, int, least=0, most=100_000),
        ca_file=reader.text("EMULATOR_CA_FILE"),
    )
    _check_storage(reader)
    _check_policy(reader)
    _check_queues(reader, settings)
    if settings.ca_file is not None and not _emulators_only(settings):
        reader.problem("EMULATOR_CA_FILE", "can be set only while every registry is an emulator on loopback")
    reader.finish()
    return settings


def _login_servers(reader: EnvironmentReader, name: str) -> tuple[LoginServer, ...]:
    value = reader.required(name)
    texts = [text for text in map(str.strip, value.split(",")) if text]
    if value and not texts:
        reader.problem(name, "names no login server")
    found: list[LoginServer] = []
    for text in texts:
        try:
            login_server = parse_login_server(text)
        except InvalidName as error:
            reader.problem(name, str(error))
            continue
        if login_server == DOCKER_HUB:
            reader.problem(name, "docker.io is a target, not an Azure Container Registry")
        elif "." not in login_server and not is_loopback(login_server):
            reader.problem(name, f"{login_server} has no domain; expected such as myreg.azurecr.io")
        elif login_server in found:
            reader.problem(name, f"{login_server} is named twice")
        else:
            found.append(login_server)
    return tuple(found)


def _credentials(
    reader: EnvironmentReader, name: str
) -> tuple[dict[LoginServer, UserPassword], frozenset[LoginServer]]:
    """Read ``{"host": {"username": ..., "password": ...}}`` or ``{"host": {"anonymous": true}}``."""
    users: dict[LoginServer, UserPassword] = {}
    anonymous: set[LoginServer] = set()
    for place, (host, entry) in enumerate(reader.json_object(name).items(), start=1):
        try:
            login_server = parse_login_server(host)
        except InvalidName:  # its message quotes the key, which may be a URL with a password
            reader.problem(name, f"key {place} is not a login server such as myreg.azurecr.io")
            continue
        if login_server in users or login_server in anonymous:
            reader.problem(f"{name}.{login_server}", "named twice")
        match entry:
            case {"anonymous": True, **others} if not others:
                anonymous.add(login_server)
            case {"username": str(username), "password": str(password), **others} if (
                username and password and not others
            ):
                users[login_server] = UserPassword(username=username, password=Secret(password))
            case _:
                reader.problem(f"{name}.{login_server}", "expected username and password, or anonymous: true")
    return users, frozenset(anonymous)


def _resource_ids(reader: EnvironmentReader, name: str) -> dict[LoginServer, str]:
    """Read ``{"host": "/subscriptions/.../registries/name"}``."""
    found: dict[LoginServer, str] = {}
    for place, (host, resource_id) in enumerate(reader.json_object(name).items(), start=1):
        try:
            login_server = parse_login_server(host)
        except InvalidName:
            reader.problem(name, f"key {place} is not a login server such as myreg.azurecr.io")
            continue
        if not isinstance(resource_id, str) or not _RESOURCE_ID.fullmatch(resource_id):
            reader.problem(
                f"{name}.{login_server}",
                "expected a resource id: /subscriptions/.../resourceGroups/.../providers/"
                "Microsoft.ContainerRegistry/registries/name",
            )
        else:
            found[login_server] = resource_id
    return found


def _docker_hub(reader: EnvironmentReader) -> UserPassword | None:
    names = ("DOCKERHUB_USERNAME", "DOCKERHUB_TOKEN")
    username, token = reader.text(names[0]), reader.secret(names[1])
    if len(given := reader.given(*names)) == 1:
        missing = next(name for name in names if name not in given)
        reader.problem(missing, f"missing, though {given[0]} is set")
    if username is None or token is None:
        return None
    return UserPassword(username=username, password=token)


def _cleanup_mode(reader: EnvironmentReader, name: str) -> CleanupMode:
    match (value := reader.text(name) or "plan").lower():
        case "plan":
            return "plan"
        case "apply":
            return "apply"
        case _:
            reader.problem(name, f"{value!r}, expected plan or apply")
            return "plan"


def _check_storage(reader: EnvironmentReader) -> None:
    uris = ("StewardStorage__blobServiceUri", "StewardStorage__queueServiceUri")
    given = reader.given(*uris)
    if reader.given("StewardStorage"):
        if given:
            reader.problem("StewardStorage", f"set together with {given[0]}; set one of them")
    elif not given:
        reader.problem(
            "StewardStorage",
            f"missing: set {uris[0]} and {uris[1]} for access by identity, or a connection string for a "
            "local emulator",
        )
    elif len(given) < len(uris):
        missing = next(uri for uri in uris if uri not in given)
        reader.problem(missing, f"missing, though {given[0]} is set")


def _check_policy(reader: EnvironmentReader) -> None:
    match len(reader.given("POLICY_FILE", "POLICY_BLOB")):
        case 0:
            reader.problem("POLICY_FILE", "missing: set POLICY_FILE or POLICY_BLOB")
        case 2:
            reader.problem("POLICY_BLOB", "set together with POLICY_FILE; set one of them")


def _check_queues(reader: EnvironmentReader, settings: Settings) -> None:
    """Refuse a queue used twice: each function would poison the other's messages."""
    seen: dict[str, str] = {}
    for name, queue in (
        ("EVENTS_QUEUE", settings.events_queue),
        ("REPLICATION_QUEUE", settings.replication_queue),
        ("CLEANUP_QUEUE", settings.cleanup_queue),
    ):
        first = seen.setdefault(queue, name)
        if queue and first != name:
            reader.problem(name, f"{queue!r} is already the {first}")


def _emulators_only(settings: Settings) -> bool:
    hub = (settings.docker_hub_registry, settings.docker_hub_api) if settings.docker_hub else ()
    arm = (settings.arm_endpoint,) if settings.resource_ids else ()
    return all(map(is_loopback, settings.login_servers)) and all(map(is_loopback_url, (*hub, *arm)))
