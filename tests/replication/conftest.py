from collections.abc import Iterator

import pytest

from tests.jobs.servers import servers, world
from tests.jobs.world import World
from tests.replication.desk import Desk

__all__ = ["desk", "servers", "world"]


@pytest.fixture
def desk(world: World) -> Iterator[Desk]:
    yield Desk(world)
    world.hub.auth_faults.clear()
