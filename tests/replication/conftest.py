import json
from collections.abc import Iterator

import pytest

from emulators.acr import AcrEmulator
from tests.jobs.servers import servers, world
from tests.jobs.world import World
from tests.replication.desk import Desk

__all__ = ["desk", "elsewhere", "servers", "world"]


@pytest.fixture
def desk(world: World) -> Iterator[Desk]:
    yield Desk(world)
    world.hub.auth_faults.clear()


@pytest.fixture
def elsewhere(desk: Desk) -> Iterator[AcrEmulator]:
    """A registry to copy to, which the app signs in to by user name and password."""
    with AcrEmulator(ca=desk.world.servers.ca, name="elsewhere") as registry:
        user = {"username": registry.admin_username, "password": registry.admin_password}
        desk.restart(REGISTRY_CREDENTIALS=json.dumps({registry.login_server: user}))
        yield registry
