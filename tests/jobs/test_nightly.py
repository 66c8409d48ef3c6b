"""The night opens one run over what the policy names, and says what it could not list."""

import pytest

from emulators.registry.images import build_image
from shared.errors import InvalidPolicy
from shared.jobs.nightly import start_night
from shared.jobs.runs import read_run
from shared.messages import PlanRepository
from tests.jobs.world import World

RULE = "name: old, tags: ['pr-*'], older_than: 14d"


def test_every_repository_that_a_rule_names_gets_a_message(world: World) -> None:
    world.write_policy(RULE)
    world.push(build_image(), at=f"{world.word}/one")
    world.push(build_image(), at=f"{world.word}/two")
    world.push(build_image(), at=f"other-{world.word}/three")
    run = start_night(world.services, now=world.clock())
    assert [str(repository) for _, repository in run.repositories] == [
        f"{world.word}/one",
        f"{world.word}/two",
    ]
    assert read_run(world.services, run.name) == run
    assert world.take_cleanups() == [
        PlanRepository(run=run.name, registry=registry, repository=repository)
        for registry, repository in run.repositories
    ]


def test_a_catalog_that_cannot_be_read_is_a_problem_of_the_run_and_stops_no_other(world: World) -> None:
    world.write_policy(RULE)
    world.push(build_image())
    world.set(ACR_LOGIN_SERVERS=f"{world.hub.registry},{world.acr.login_server}")
    world.acr.faults.inject(path="/acr/v1/_catalog", status=403)
    run = start_night(world.services, now=world.clock())
    assert run.repositories == ()
    assert len(run.problems) == 2
    assert world.hub.registry in run.problems[0]
    assert world.acr.login_server in run.problems[1]
    assert "403" in run.problems[1]


def test_a_policy_that_cannot_be_used_opens_nothing(world: World) -> None:
    world.write_policy("name: old, tags: ['pr-*'], older_than: soon")
    with pytest.raises(InvalidPolicy, match="older_than"):
        start_night(world.services, now=world.clock())
    assert list(world.services.runs.list_runs()) == []
