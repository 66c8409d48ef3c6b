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


def test_a_night_without_repositories_is_over_at_once(world: World) -> None:
    world.write_policy(RULE)
    run = start_night(world.services, now=world.clock())
    assert run.repositories == ()
    finished = world.services.runs.read_finished(run.name)
    assert finished is not None
    assert finished["repositories"] == finished["missing"] == 0
    assert finished["warnings"] == ["rule old names none of the repositories that there are"]


def fill(world: World, *names: str) -> None:
    for name in names:
        world.push(build_image(), at=f"{world.word}/{name}")


def test_a_catalog_that_lacks_most_of_the_last_nights_repositories_is_doubted(world: World) -> None:
    world.write_policy(RULE)
    fill(world, "a", "b", "c", "d")
    assert start_night(world.services, now=world.clock()).warnings == ()
    for name in ("a", "c"):
        world.acr.state.delete_repository(f"{world.word}/{name}")
    world.clock.pass_by(days=1)
    assert start_night(world.services, now=world.clock()).warnings == (), "half of them"
    fill(world, "a", "c")
    world.clock.pass_by(days=1)
    start_night(world.services, now=world.clock())
    listed = f'{{"repositories": ["{world.word}/b"]}}'
    world.acr.faults.inject(path="/acr/v1/_catalog", status=200, body=listed)
    world.clock.pass_by(days=1)
    run = start_night(world.services, now=world.clock())
    (warning,) = run.warnings
    assert "lacks 3 of the 4 repositories of the last night" in warning
    assert f"such as {world.word}/a, {world.word}/c, {world.word}/d" in warning
    assert read_run(world.services, run.name) == run


def test_a_policy_that_names_fewer_repositories_is_no_reason_to_doubt_the_catalog(world: World) -> None:
    world.write_policy(RULE)
    fill(world, "a", "b", "c")
    start_night(world.services, now=world.clock())
    (world.folder / "policy.yaml").write_text(
        "version: 1\nretention:\n  rules:\n"
        f"  - {{name: old, repositories: [{world.word}/a], tags: ['pr-*'], older_than: 14d}}"
    )
    world.clock.pass_by(days=1)
    assert start_night(world.services, now=world.clock()).warnings == ()


def test_a_repository_that_a_rule_names_and_that_exists_must_be_in_the_catalog(world: World) -> None:
    (world.folder / "policy.yaml").write_text(
        "version: 1\nretention:\n  rules:\n  - {name: old, repositories: "
        f"[{world.word}/app, {world.word}/gone, {world.word}/_odd], tags: ['pr-*'], older_than: 14d}}"
    )
    fill(world, "app")
    assert start_night(world.services, now=world.clock()).warnings == (), "what is gone is nobody's fault"
    world.acr.faults.inject(path="/acr/v1/_catalog", status=200, body='{"repositories": null}')
    world.clock.pass_by(days=1)
    vanished, incomplete = start_night(world.services, now=world.clock()).warnings
    assert "lacks 1 of the 1 repositories" in vanished
    assert f"it lacks {world.word}/app, which rule old names and which exists" in incomplete
