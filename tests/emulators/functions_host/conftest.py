import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from emulators.azurite import Azurite
from emulators.functions_host import RunningHost
from tests.emulators.functions_host.fixture_host import Storage, fixture_host


@pytest.fixture(scope="session")
def storage() -> Iterator[Storage]:
    with Azurite() as azurite:
        yield Storage(azurite.connection_string)


@pytest.fixture(scope="session")
def host(storage: Storage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    """A host that tests share; each tells its own messages by their bodies."""
    settings = {
        "FROM_ENVIRONMENT": "settings",
        "FROM_SETTINGS": "settings",
        "AzureWebJobs.tick.Disabled": "true",
    }
    with fixture_host(tmp_path_factory.mktemp("host"), storage, **settings) as started:
        yield started


@pytest.fixture
def own_seen() -> str:
    return f"seen-{uuid.uuid4().hex}"


@pytest.fixture
def own_work() -> str:
    return f"work-{uuid.uuid4().hex}"


@pytest.fixture
def own_host(storage: Storage, own_seen: str, own_work: str, tmp_path: Path) -> Iterator[RunningHost]:
    """A host with queues of its own and a ticking timer, for tests that stop it."""
    settings = {"SEEN_QUEUE": own_seen, "WORK_QUEUE": own_work}
    with fixture_host(tmp_path, storage, **settings) as started:
        yield started


@pytest.fixture
def http() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session
