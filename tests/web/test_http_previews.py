"""Previews of repositories on Docker Hub are what a night would do to them."""

import json

import pytest

from emulators.registry.images import build_image
from functions.application import services
from shared.errors import RateLimited
from shared.jobs.nightly import start_night
from tests.jobs.world import World
from tests.replication.desk import Desk
from tests.web.doors import Doors, problem

RULE = "name: old-replicas, registries: [docker.io], repositories: ['%s/*'], tags: ['pr-*'], older_than: 30d"


@pytest.fixture
def desk(api: Doors, world: World, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A replica with an old and a kept tag, some hours after they came."""
    del api
    monkeypatch.setattr("functions.api.now", world.clock)
    desk = Desk(world)
    write_policy(world, RULE % world.hub.namespace)
    for tag in ("pr-1", "v1"):
        desk.push(build_image(), tag, days=40)
    assert [outcome.result for outcome in desk.work()] == ["copied", "copied"]
    world.clock.pass_by(hours=3)
    return desk


def write_policy(world: World, *rules: str) -> None:
    target = f"docker.io/{world.hub.namespace}/{{flattened}}"
    lines = [
        "version: 1",
        "retention:",
        "  grace: 1h",
        *(["  rules:"] if rules else []),
        *(f"  - {{{rule}}}" for rule in rules),
        "replication:",
        "  routes:",
        f"  - {{name: hub, from: {{repositories: ['{world.word}/**'], tags: ['*']}}, to: '{target}'}}",
    ]
    (world.folder / "policy.yaml").write_text("\n".join(lines))


def test_a_preview_of_a_replica_is_the_plan_of_the_night(api: Doors, world: World, desk: Desk) -> None:
    world.hub.traffic.clear()
    preview = api.json(f"plans/docker.io/{world.replica}")
    assert world.hub.traffic.count("DELETE") == 0
    assert [(untag["tag"], untag["rule"]) for untag in preview["untag"]] == [("pr-1", "old-replicas")]

    world.set(CLEANUP_MODE="plan")
    night = start_night(desk.services, now=world.clock())
    desk.work()

    plan = api.json(f"runs/{night.name}/repositories/docker.io/{world.replica}")["plan"]
    assert {key: preview[key] for key in plan} == plan


def test_a_policy_can_be_tried_on_a_replica(api: Doors, world: World, desk: Desk) -> None:
    del desk
    target = f"docker.io/{world.hub.namespace}/{{basename}}"
    rule = {"name": "all", "repositories": ["**"], "tags": ["*"], "older_than": "1d"}
    policy = {
        "version": 1,
        "retention": {"grace": "1h", "rules": [rule]},
        "replication": {
            "routes": [{"name": "hub", "from": {"repositories": ["a/*"], "tags": ["*"]}, "to": target}]
        },
    }
    path = f"plans/docker.io/{world.replica}"

    unnamed = json.loads(api.post(path, policy).get_body())
    assert unnamed["untag"] == [], "a rule that does not name docker.io does not clean there"
    policy["retention"] = {"grace": "1h", "rules": [rule | {"registries": ["docker.io"]}]}
    named = json.loads(api.post(path, policy).get_body())
    assert {untag["tag"] for untag in named["untag"]} == {"pr-1", "v1"}


@pytest.mark.parametrize("path", ["library/alpine", "{namespace}/nothing-of-that-name", "one-component"])
def test_what_no_route_replicates_to_is_not_looked_at(
    api: Doors, world: World, desk: Desk, path: str
) -> None:
    del desk
    answer = api.get(f"plans/docker.io/{path.format(namespace=world.hub.namespace)}")
    assert answer.status_code == 404
    problem(answer)


def test_without_a_token_the_setting_is_named(api: Doors, world: World, desk: Desk) -> None:
    del desk
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DOCKERHUB_TOKEN")
        patch.delenv("DOCKERHUB_USERNAME")
        services.cache_clear()
        answer = api.get(f"plans/docker.io/{world.replica}")
        services.cache_clear()
    assert answer.status_code == 503
    assert [each["path"] for each in problem(answer)["problems"]] == ["DOCKERHUB_TOKEN"]


def test_a_throttled_registry_is_a_problem_that_says_when_to_ask_again(
    api: Doors, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def throttled(*_: object, **__: object) -> None:
        raise RateLimited("too many requests", registry=world.registry, retry_after=41.2)

    monkeypatch.setattr("shared.jobs.previewing.preview_plan", throttled)
    world.write_policy("name: old, tags: ['pr-*'], older_than: 14d")
    answer = api.get(f"plans/{world.registry}/{world.repository}")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "42"
    problem(answer)
