"""The second of two nightly runs over a repository in which nothing happened."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.figures import Figure, Target
from benchmarks.registry_process import Place, RegistryProcess
from emulators.azurite import Azurite
from shared.jobs.cleaning import clean
from shared.jobs.nightly import start_night
from shared.messages import PlanRepository
from shared.settings import load_settings
from shared.wiring import wire

_REPOSITORY = "team/app"
_LISTS = r"/acr/v1/(_catalog|.*/(_manifests|_tags))"
_POLICY = """
version: 1
retention:
  rules:
  - name: orphans
    repositories: ["**"]
    untagged: true
    older_than: 7d
"""


def time_second_night(*, quick: bool) -> Iterator[Figure]:
    """Plan the repository in two nights, each by a freshly started app, and count requests beyond lists."""
    count = 80 if quick else 10_000
    with ExitStack() as running:
        registry = running.enter_context(RegistryProcess())
        registry.fill(_REPOSITORY, count, kind="indexes")
        storage = running.enter_context(Azurite()).connection_string
        policy = Path(running.enter_context(TemporaryDirectory())) / "policy.yaml"
        policy.write_text(_POLICY)
        first, second = (_night(registry, storage, policy) for _ in range(2))
    yield Figure(
        what=f"requests of a second night over {count:,} manifests / of the first",
        unit="requests",
        ours=second,
        reference=first,
        target=Target(bound=0.05),
        note="beyond lists",
    )


def _night(registry: RegistryProcess, storage: str, policy: Path) -> int:
    services = wire(load_settings(_environment(registry.place, storage, policy)))
    registry.forget()
    run = start_night(services, now=datetime.now(UTC))
    for login_server, repository in run.repositories:
        message = PlanRepository(run=run.name, registry=login_server, repository=repository)
        step = clean(services, message.to_json().encode(), clock=lambda: datetime.now(UTC))
        assert step.step == "planned", step
    return registry.count() - registry.count(path=_LISTS)


def _environment(place: Place, storage: str, policy: Path) -> dict[str, str]:
    user = {"username": place.username, "password": place.password}
    return {
        "ACR_LOGIN_SERVERS": place.login_server,
        "REGISTRY_CREDENTIALS": json.dumps({place.login_server: user}),
        "EMULATOR_CA_FILE": place.ca_file,
        "DOCKERHUB_REGISTRY_ENDPOINT": place.url,
        "DOCKERHUB_API_ENDPOINT": place.url,
        "StewardStorage": storage,
        "EVENTS_QUEUE": "events",
        "REPLICATION_QUEUE": "replications",
        "CLEANUP_QUEUE": "cleanups",
        "POLICY_FILE": str(policy),
    }
