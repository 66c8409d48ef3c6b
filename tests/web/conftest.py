from collections.abc import Iterator

import pytest

from functions.application import services
from tests.jobs.servers import servers, world
from tests.jobs.world import World
from tests.web.doors import Doors

__all__ = ["api", "servers", "world"]


@pytest.fixture
def api(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Doors]:
    """The app's HTTP doors, wired to the test's world."""
    for name, value in world.environment().items():
        monkeypatch.setenv(name, value)
    services.cache_clear()
    yield Doors()
    services.cache_clear()
