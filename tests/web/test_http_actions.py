"""What the API sets going: runs and replays, and nothing by the way."""

import json

import pytest

from emulators.registry.images import build_image
from shared.jobs.poisoned import record_poison
from shared.messages import PlanRepository, ReconcileRepository
from tests.jobs.world import World, body
from tests.web.doors import Doors, problem

OLD = "name: old, tags: ['pr-*'], older_than: 14d"
ROUTE = "name: hub, from: {repositories: ['%s/*'], tags: ['v*']}, to: 'docker.io/acme/{flattened}'"


def poisoned(world: World) -> tuple[str, PlanRepository]:
    message = PlanRepository(run="night-1", registry=world.registry, repository=world.repository)
    record = record_poison(world.services, "clean-repository", "id-1", body(message), now=world.clock())
    return record.name, message


@pytest.mark.parametrize("mode", ["plan", "apply"])
def test_a_night_is_opened_in_the_mode_of_the_settings(
    api: Doors, world: World, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLEANUP_MODE", mode)
    world.push(build_image(), tag="pr-1")
    world.write_policy(OLD)

    answer = api.post("runs", {"kind": "night"})

    assert answer.status_code == 202
    run = json.loads(answer.get_body())
    assert run["opened"] is True
    assert run["mode"] == mode
    assert answer.headers["Location"] == f"/api/runs/{run['run']}"
    assert api.json(f"runs/{run['run']}")["state"] == "planning"
    (message,) = world.take_cleanups()
    assert message == PlanRepository(run=run["run"], registry=world.registry, repository=world.repository)


def test_a_reconciliation_that_goes_on_is_not_opened_twice(api: Doors, world: World) -> None:
    world.push(build_image(), tag="v1")
    world.write_policy(routes=[ROUTE % world.word])

    answers = [api.post("runs", {"kind": "reconciliation"}) for _ in range(2)]
    first, second = (json.loads(answer.get_body()) for answer in answers)

    assert [answer.status_code for answer in answers] == [202, 202], (first, second)
    assert (first["opened"], second["opened"]) == (True, False)
    assert first["run"] == second["run"]
    assert [type(message) for message in world.take_cleanups()] == [ReconcileRepository]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"kind": "push"}',
        b'{"kind": 1}',
        b'{"kind": "night", "mode": "apply"}',
        b"{",
        b"[" * 4000,
        b'"\xff"',
    ],
)
def test_a_run_of_no_kind_that_exists_is_a_bad_request(api: Doors, world: World, content: bytes) -> None:
    world.write_policy(OLD)
    answer = api.post("runs", content)
    assert answer.status_code == 400
    problem(answer)
    assert api.json("runs") == {"runs": []}


@pytest.mark.parametrize("path", ["runs", "poison/replay"])
def test_no_form_on_another_site_can_set_anything_going(api: Doors, path: str) -> None:
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        assert api.post(path, b'{"kind": "night"}', content_type).status_code == 415
    assert api.post(path, b'{"kind": "' + b"x" * 5000 + b'"}').status_code == 413


def test_a_poisoned_message_is_counted_named_and_sent_again(api: Doors, world: World) -> None:
    name, message = poisoned(world)
    assert api.json("poison") == {"count": 1, "poison": [name]}

    answer = api.post("poison/replay", {"name": name})

    assert answer.status_code == 202
    assert json.loads(answer.get_body())["queue"] == world.services.settings.cleanup_queue
    assert world.take_cleanups() == [message]
    assert api.json("poison") == {"count": 0, "poison": []}
    assert api.post("poison/replay", {"name": name}).status_code == 404


def test_the_count_of_poison_is_not_cut_by_the_limit(api: Doors, world: World) -> None:
    for number in range(3):
        record_poison(world.services, "registry-event", f"id-{number}", b"?", now=world.clock())
    listed = api.json("poison?limit=2")
    assert (listed["count"], len(listed["poison"])) == (3, 2)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "poison/",
        "runs/night-1/run.json",
        "poison/../runs/night-1/run.json",
        "poison/clean-repository/2026-01-01/../../../runs/x.json",
        "poison/clean-repository/2026-01-01/%2e%2e.json",
        "poison/clean-repository/2026-01-01/x.json\n",
        "poison/clean-repository/٢٠٢٦-01-01/x.json",
    ],
)
def test_no_name_leads_out_of_the_records(api: Doors, name: str) -> None:
    answer = api.post("poison/replay", {"name": name})
    assert answer.status_code == 400
    problem(answer)


def test_a_damaged_record_is_a_conflict_and_stays(api: Doors, world: World) -> None:
    name = world.services.poison.save("clean-repository", "id", {"origin": "strange"}, now=world.clock())
    assert api.post("poison/replay", {"name": name}).status_code == 409
    assert api.json("poison")["poison"] == [name]
