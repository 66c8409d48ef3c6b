"""Messages of runs, carried out as the Functions host would."""

from typing import Any

from shared.jobs.cleaning import Step, clean
from shared.jobs.runs import Run
from tests.jobs.world import World, body

OLD = "name: old, tags: ['pr-*'], older_than: 14d"


def work(world: World, *, most: int = 50) -> list[Step]:
    """Handle cleanup messages until none waits."""
    steps: list[Step] = []
    while messages := world.take_cleanups():
        for message in messages:
            steps.append(clean(world.services, body(message), clock=world.clock))
            assert len(steps) < most
    return steps


def report(world: World, run: Run, repository: str = "") -> dict[str, Any]:
    found = world.services.runs.read_report(world.part(run.name, repository))
    assert found is not None
    return found


def finished(world: World, run: Run) -> dict[str, Any]:
    found = world.services.runs.read_finished(run.name)
    assert found is not None
    return found
