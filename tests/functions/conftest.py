from collections.abc import Iterator

import pytest

from functions.application import services as wired
from tests.jobs.servers import servers, world
from tests.jobs.world import World

__all__ = ["servers", "settled", "world"]


@pytest.fixture
def settled(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The world, with its settings in the environment of this process; wired at the first call of a door."""
    for name, value in world.environment().items():
        monkeypatch.setenv(name, value)
    wired.cache_clear()
    yield world
    wired.cache_clear()
