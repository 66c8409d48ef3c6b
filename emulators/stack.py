import json
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal, Self

from emulators.acr import AcrEmulator
from emulators.arm import ArmEmulator
from emulators.azurite import Azurite
from emulators.certificates import CertificateAuthority
from emulators.dockerhub import DockerHubEmulator
from emulators.eventgrid import EventGridEmulator, Schema
from emulators.functions_host import RunningHost
from emulators.identity import IdentityEmulator
from emulators.registry.seed import SeedError, load_seed, seed

type EventDelivery = Literal["queue", "webhook"]

EVENTS_QUEUE = "registry-events"
DOCKER_HUB = "docker.io"

_ROLES = ("AcrPull", "AcrDelete")
_ABAC_ROLES = (
    "Container Registry Repository Contributor",
    "Container Registry Repository Catalog Lister",
)


class Stack:
    """Everything the app needs of the world, wired on loopback, and the app itself when given.

    Registries trust the identity, Event Grid carries their events to the queue or to the app's Event
    Grid trigger, and a local.settings.json names it all. `settings` are merged last. `seed` fills the
    registries it names; `docker.io` is Docker Hub. Without an `app` there is no host: start one on
    `settings_file`, ours or `func start`.
    """

    def __init__(
        self,
        *,
        app: Path | None = None,
        acr_names: Sequence[str] = ("demo",),
        acr_options: Mapping[str, Any] | None = None,
        dockerhub_options: Mapping[str, Any] | None = None,
        event_delivery: EventDelivery = "queue",
        event_schema: Schema = "CloudEventSchemaV1_0",
        event_options: Mapping[str, Any] | None = None,
        event_function: str = "on_registry_event",
        settings: Mapping[str, str] | None = None,
        settings_file: Path | None = None,
        policy_file: Path | None = None,
        seed: Path | None = None,
        host_visibility_seconds: float = 30.0,
        host_poll_interval: float = 0.2,
        host_environment: Mapping[str, str] | None = None,
    ) -> None:
        self._app = app
        self._event_delivery: EventDelivery = event_delivery
        self._event_function = event_function
        self._overrides = dict(settings or {})
        self._policy_file = policy_file
        self._seed = seed
        self._host_visibility_seconds = host_visibility_seconds
        self._host_poll_interval = host_poll_interval
        self._host_environment = host_environment
        self._running = ExitStack()
        self._events: list[dict[str, Any]] = []
        self.ca = CertificateAuthority()
        self.identity = IdentityEmulator()
        options = dict(acr_options or {})
        self.acrs = {
            name: AcrEmulator(ca=self.ca, name=name, identity=self.identity, **options) for name in acr_names
        }
        self.acr = self.acrs[acr_names[0]]
        for acr in self.acrs.values():
            acr.grant(self.identity.client_id, *(_ABAC_ROLES if options.get("abac") else _ROLES))
        self.dockerhub = DockerHubEmulator(ca=self.ca, **dict(dockerhub_options or {}))
        self.arm = ArmEmulator(ca=self.ca, identity=self.identity)
        for acr in self.acrs.values():
            self.arm.add(acr.resource_id, acr.login_server)
            self.arm.grant(self.identity.client_id, "Reader", acr.resource_id)
        self.azurite = Azurite()
        self.eventgrid = EventGridEmulator(schema=event_schema, **dict(event_options or {}))
        self.host: RunningHost | None = None
        self._folder = Path(
            self._running.enter_context(tempfile.TemporaryDirectory(prefix="registry-steward-"))
        )
        self.settings_file = settings_file or self._folder / "local.settings.json"
        self.settings: dict[str, str] = {}

    def start(self) -> Self:
        """Start all parts, in the order in which they need each other; on a failure none is left."""
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop all parts, the app first."""
        self._running.close()

    def restart_host(self, settings: Mapping[str, str] | None = None) -> None:
        """Start the host again, with more settings if given, on the same address and keys."""
        self._overrides |= settings or {}
        self._write_settings()
        self.running_host().restart()

    def running_host(self) -> RunningHost:
        """Return the host; RuntimeError in a stack without an app."""
        if self.host is None:
            raise RuntimeError("this stack has no app, so there is no Functions host")
        return self.host

    def fire_timer(self, function: str) -> None:
        """Start a timer function now; returns before it ends."""
        self.running_host().fire(function)

    def acr_events(self) -> list[dict[str, Any]]:
        """Return the data of every event the registries have raised, whatever Event Grid made of it."""
        return list(self._events)

    def ready(self) -> dict[str, Any]:
        """Return every endpoint, credential and file, as `python -m emulators` prints it."""
        return {
            "ca_file": str(self.ca.ca_file),
            "registries": {
                name: {
                    "login_server": acr.login_server,
                    "resource_id": acr.resource_id,
                    "username": acr.admin_username,
                    "password": acr.admin_password,
                }
                for name, acr in self.acrs.items()
            },
            "dockerhub": {
                "registry": self.dockerhub.registry,
                "api_url": self.dockerhub.api_url,
                "auth_url": self.dockerhub.auth_url,
                "namespace": self.dockerhub.namespace,
                "username": self.dockerhub.username,
                "token": self.dockerhub.token,
            },
            "identity": self.identity.env(),
            "azure_resource_manager": self.arm.endpoint,
            "storage": {"connection_string": self.azurite.connection_string},
            "event_grid": {"schema": self.eventgrid.schema, "delivery": self._event_delivery},
            "settings_file": str(self.settings_file),
            "host": self.host.ready if self.host is not None else None,
        }

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def _start(self) -> None:
        enter = self._running.enter_context
        enter(self.ca)
        enter(self.identity)
        for acr in self.acrs.values():
            acr.subscribe(self._events.append)
            self.eventgrid.attach(acr)
            enter(acr)
        enter(self.arm)
        enter(self.dockerhub)
        if self._seed is not None:
            self._plant(self._seed)
        enter(self.azurite)
        enter(self.eventgrid)
        if self._event_delivery == "queue":
            queue = self._overrides.get("EVENTS_QUEUE", EVENTS_QUEUE)
            self.eventgrid.deliver_to_queue(self.azurite.connection_string, queue)
        self._write_settings()
        if self._app is not None:
            self._start_host(self._app)

    def _start_host(self, app: Path) -> None:
        self.host = RunningHost(
            app=app,
            settings=self.settings_file,
            poll_interval=self._host_poll_interval,
            visibility_seconds=self._host_visibility_seconds,
            environment=self._host_environment,
        )
        self._running.callback(self.host.close)
        self.host.start()
        if self._event_delivery == "webhook":
            self.eventgrid.deliver_to_webhook(self.host.event_grid_url(self._event_function))

    def _plant(self, file: Path) -> None:
        states = {name: acr.state for name, acr in self.acrs.items()} | {DOCKER_HUB: self.dockerhub.state}
        for name, document in load_seed(file)["registries"].items():
            if name not in states:
                raise SeedError(f"registries.{name}: this stack has {sorted(states)}")
            seed(states[name], document)

    def _write_settings(self) -> None:
        self.settings = {
            "FUNCTIONS_WORKER_RUNTIME": "python",
            "AzureWebJobsStorage": self.azurite.connection_string,
            "StewardStorage": self.azurite.connection_string,
            "EVENTS_QUEUE": EVENTS_QUEUE,
            "REPLICATION_QUEUE": "replicate-tag",
            "CLEANUP_QUEUE": "clean-repository",
            "NIGHTLY_SCHEDULE": "0 0 2 * * *",
            "RECONCILE_SCHEDULE": "0 0 4 * * *",
            "ACR_LOGIN_SERVERS": ",".join(acr.login_server for acr in self.acrs.values()),
            "ACR_RESOURCE_IDS": json.dumps({acr.login_server: acr.resource_id for acr in self.acrs.values()}),
            "AZURE_RESOURCE_MANAGER_ENDPOINT": self.arm.endpoint,
            "DOCKERHUB_REGISTRY_ENDPOINT": f"https://{self.dockerhub.registry}",
            "DOCKERHUB_API_ENDPOINT": self.dockerhub.api_url,
            "DOCKERHUB_USERNAME": self.dockerhub.username,
            "DOCKERHUB_TOKEN": self.dockerhub.token,
            "CLEANUP_MODE": "plan",
            "EMULATOR_CA_FILE": str(self.ca.ca_file),
            **self.identity.env(),
            **({"POLICY_FILE": str(self._policy_file.resolve())} if self._policy_file else {}),
            **self._overrides,
        }
        document = {"IsEncrypted": False, "Values": self.settings}
        self.settings_file.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
