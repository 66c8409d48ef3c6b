"""App settings: the environment, read once, into one frozen value.

This module is the only reader of the environment; it gets it passed in. Every problem is reported at
once, and a value that is a secret never appears in one.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final, Literal
from urllib.parse import urlsplit

from shared.errors import InvalidName, InvalidSettings, Problem
from shared.oci.names import DOCKER_HUB, LoginServer, parse_login_server

type CleanupMode = Literal["plan", "apply"]

UNRESOLVED_REFERENCE: Final = "@Microsoft.KeyVault("
"""What App Service leaves in a setting when it could not read the secret (Key Vault references)."""

DOCKER_HUB_REGISTRY: Final = "https://registry-1.docker.io"
DOCKER_HUB_API: Final = "https://hub.docker.com"


@dataclass(frozen=True, slots=True)
class Secret:
    """A text that shows itself to nobody who did not ask with :meth:`reveal`."""

    _text: str = field(repr=False)

    def __repr__(self) -> str:
        """Read as ``***``."""
        return "***"

    __str__ = __repr__

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text


@dataclass(frozen=True, slots=True, kw_only=True)
class UserPassword:
    """A user name with its password or token: an admin user, a repository token, a Docker Hub token."""

    username: str
    password: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything the app is told from outside; the field's setting is in ``docs/settings.md``."""

    login_servers: tuple[LoginServer, ...]
    credentials: Mapping[LoginServer, UserPassword]
    anonymous: frozenset[LoginServer]
    client_id: str | None
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
    runs_container: str
    invocation_seconds: float
    registry_threads: int
    ca_file: str | None


def load_settings(environment: Mapping[str, str]) -> Settings:
    """Return the settings that the environment holds.

    :raises InvalidSettings: with every problem at once, each naming its setting.
    """
    reader = _Reader(environment)
    login_servers = reader.login_servers("ACR_LOGIN_SERVERS")
    credentials, anonymous = reader.credentials("REGISTRY_CREDENTIALS")
    settings = Settings(
        login_servers=login_servers,
        credentials=credentials,
        anonymous=anonymous,
        client_id=reader.text("AZURE_CLIENT_ID"),
        docker_hub=reader.docker_hub(),
        docker_hub_registry=reader.endpoint("DOCKERHUB_REGISTRY_ENDPOINT", DOCKER_HUB_REGISTRY),
        docker_hub_api=reader.endpoint("DOCKERHUB_API_ENDPOINT", DOCKER_HUB_API),
        storage=reader.secret("StewardStorage"),
        storage_blob_uri=reader.text("StewardStorage__blobServiceUri"),
        storage_queue_uri=reader.text("StewardStorage__queueServiceUri"),
        storage_client_id=reader.text("StewardStorage__clientId"),
        events_queue=reader.required("EVENTS_QUEUE"),
        replication_queue=reader.required("REPLICATION_QUEUE"),
        cleanup_queue=reader.required("CLEANUP_QUEUE"),
        cleanup_mode=reader.choice("CLEANUP_MODE"),
        policy_file=reader.text("POLICY_FILE"),
        policy_blob=reader.text("POLICY_BLOB"),
        runs_container=reader.text("RUNS_CONTAINER") or "steward-runs",
        invocation_seconds=reader.number("INVOCATION_SECONDS", 1200.0, least=5.0, most=3300.0),
        registry_threads=int(reader.number("REGISTRY_THREADS", 16, least=1, most=64)),
        ca_file=reader.text("EMULATOR_CA_FILE"),
    )
    reader.check_together(settings)
    reader.finish()
    return settings


class _Reader:
    """Reads settings one by one and remembers every problem until :meth:`finish`."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._problems: list[Problem] = []

    def problem(self, name: str, message: str) -> None:
        self._problems.append(Problem(path=name, message=message))

    def finish(self) -> None:
        if self._problems:
            raise InvalidSettings("app settings", self._problems)

    def text(self, name: str) -> str | None:
        value = self._environment.get(name, "").strip()
        if value.startswith(UNRESOLVED_REFERENCE):
            self.problem(
                name,
                "the Key Vault reference was not resolved; check that the app's identity has the role "
                "Key Vault Secrets User on the vault, that keyVaultReferenceIdentity names that identity, "
                "and that the secret exists",
            )
            return None
        return value or None

    def required(self, name: str) -> str:
        value = self.text(name)
        if value is None:
            if not self._environment.get(name):
                self.problem(name, "missing")
            return ""
        return value

    def secret(self, name: str) -> Secret | None:
        value = self.text(name)
        return None if value is None else Secret(value)

    def choice(self, name: str) -> CleanupMode:
        value = (self.text(name) or "plan").lower()
        if value == "apply":
            return "apply"
        if value != "plan":
            self.problem(name, f"{value!r}, expected plan or apply")
        return "plan"

    def number(self, name: str, default: float, *, least: float, most: float) -> float:
        value = self.text(name)
        if value is None:
            return default
        try:
            number = float(value)
        except ValueError:
            self.problem(name, f"{value!r} is not a number")
            return default
        if not least <= number <= most:
            self.problem(name, f"{value}, expected {least:g} to {most:g}")
        return number

    def login_servers(self, name: str) -> tuple[LoginServer, ...]:
        value = self.required(name)
        found: list[LoginServer] = []
        for text in filter(None, (part.strip() for part in value.split(","))):
            login_server = self.parsed(name, text, parse_login_server)
            if login_server is None:
                continue
            if login_server == DOCKER_HUB:
                self.problem(name, "docker.io is a target, not an Azure Container Registry")
            elif login_server in found:
                self.problem(name, f"{login_server} is named twice")
            else:
                found.append(login_server)
        return tuple(found)

    def parsed[N](self, name: str, text: str, parse: Callable[[str], N]) -> N | None:
        try:
            return parse(text)
        except InvalidName as error:
            self.problem(name, str(error))
            return None

    def credentials(self, name: str) -> tuple[dict[LoginServer, UserPassword], frozenset[LoginServer]]:
        """Read ``{"host": {"username": ..., "password": ...}}`` or ``{"host": {"anonymous": true}}``."""
        text = self.text(name)
        users: dict[LoginServer, UserPassword] = {}
        anonymous: set[LoginServer] = set()
        if text is None:
            return users, frozenset()
        try:
            body = json.loads(text)
        except ValueError:
            self.problem(name, "not JSON")  # the parser's message would quote the secret
            return users, frozenset()
        if not isinstance(body, dict):
            self.problem(name, "expected a JSON object of login servers")
            return users, frozenset()
        for host, entry in body.items():
            login_server = self.parsed(name, host, parse_login_server)
            if login_server is None:
                continue
            match entry:
                case {"anonymous": True, **others} if not others:
                    anonymous.add(login_server)
                case {"username": str(username), "password": str(password), **others} if not others:
                    users[login_server] = UserPassword(username=username, password=Secret(password))
                case _:
                    self.problem(f"{name}.{host}", "expected username and password, or anonymous: true")
        return users, frozenset(anonymous)

    def docker_hub(self) -> UserPassword | None:
        username, token = self.text("DOCKERHUB_USERNAME"), self.secret("DOCKERHUB_TOKEN")
        if username is None and token is None:
            return None
        if username is None:
            self.problem("DOCKERHUB_USERNAME", "missing, though DOCKERHUB_TOKEN is set")
        if token is None and not self._environment.get("DOCKERHUB_TOKEN"):
            self.problem("DOCKERHUB_TOKEN", "missing, though DOCKERHUB_USERNAME is set")
        return UserPassword(username=username or "", password=token or Secret(""))

    def endpoint(self, name: str, default: str) -> str:
        """Read a base URL; other than the default, only loopback is accepted: it is for emulators."""
        value = (self.text(name) or default).rstrip("/")
        if value != default and not is_loopback_url(value):
            self.problem(name, f"{value!r}: only {default} or an emulator on loopback can be used")
        return value

    def check_together(self, settings: Settings) -> None:
        if settings.storage is None and not (settings.storage_blob_uri and settings.storage_queue_uri):
            self.problem(
                "StewardStorage",
                "missing: set StewardStorage__blobServiceUri and StewardStorage__queueServiceUri for access "
                "by identity, or a connection string for a local emulator",
            )
        if settings.policy_file and settings.policy_blob:
            self.problem("POLICY_BLOB", "set together with POLICY_FILE; set one of them")
        if not settings.policy_file and not settings.policy_blob:
            self.problem("POLICY_FILE", "missing: set POLICY_FILE or POLICY_BLOB")
        if settings.ca_file and not all(_is_loopback(server) for server in settings.login_servers):
            self.problem(
                "EMULATOR_CA_FILE", "can be set only while every registry is an emulator on loopback"
            )


def is_loopback_url(url: str) -> bool:
    """Tell whether the URL is http or https on this machine."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and parts.hostname is not None and _is_loopback(parts.hostname)


def _is_loopback(host: str) -> bool:
    name = urlsplit(f"//{host}").hostname or ""
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
