"""What the API tells: plans before they are made, the policy in force, runs and their repositories."""

import json

import pytest

from emulators.registry.images import build_image
from shared.jobs.cleaning import clean
from shared.jobs.nightly import start_night
from tests.jobs.world import World, body
from tests.web.doors import Doors, problem

OLD = "name: old, tags: ['pr-*'], older_than: 14d"


def stored(world: World) -> list[str]:
    """Return the names of all blobs that the app keeps."""
    container = world.services.runs._container
    return sorted(container.list_blob_names()) if container.exists() else []


def fill(world: World) -> None:
    world.push(build_image(), tag="pr-1")
    world.push(build_image(), tag="v1")
    world.push(build_image(), tag="v2")


def test_a_preview_says_what_would_go_and_why_and_leaves_no_trace(api: Doors, world: World) -> None:
    fill(world)
    world.write_policy(OLD)
    world.acr.traffic.clear()

    plan = api.json(f"plans/{world.registry}/{world.repository}")

    assert [untag["tag"] for untag in plan["untag"]] == ["pr-1"]
    assert "older than 14d" in plan["untag"][0]["reason"]
    assert plan["counts"]["untag"] == 1
    assert world.acr.traffic.count("DELETE") == 0
    assert stored(world) == []
    assert world.take_cleanups() == []
    assert set(world.home().tags) == {"pr-1", "v1", "v2"}


def test_another_policy_can_be_tried_without_being_used(api: Doors, world: World) -> None:
    fill(world)
    world.write_policy(OLD)
    tried = {
        "version": 1,
        "retention": {"rules": [{"name": "all", "repositories": ["**"], "tags": ["*"], "older_than": "1d"}]},
    }

    for content_type in ("application/json", "application/yaml; charset=utf-8"):
        answer = api.post(f"plans/{world.registry}/{world.repository}", tried, content_type)
        plan = json.loads(answer.get_body())
        assert {untag["tag"] for untag in plan["untag"]} == {"pr-1", "v1", "v2"}
        assert plan["policy_digest"] != world.services.policy.current().digest

    assert api.json("policy")["digest"] == world.services.policy.current().digest
    assert set(world.home().tags) == {"pr-1", "v1", "v2"}


def test_a_policy_that_cannot_be_used_comes_back_with_every_problem(api: Doors, world: World) -> None:
    text = b"version: 1\nretention:\n  grace: soon\n  rules: [{name: x}]\n"
    answer = api.post(f"plans/{world.registry}/{world.repository}", text, "application/yaml")
    assert answer.status_code == 422
    problems = problem(answer)["problems"]
    assert len(problems) > 1
    assert any("grace" in each["path"] for each in problems)


@pytest.mark.parametrize(
    ("content_type", "size", "status"),
    [
        ("text/plain", 10, 415),
        ("application/x-www-form-urlencoded", 10, 415),
        ("multipart/form-data; boundary=x", 10, 415),
        ("", 10, 415),
        ("application/yaml", 1024 * 1024 + 1, 413),
    ],
)
def test_bodies_are_bounded_and_of_types_that_no_form_sends(
    api: Doors, world: World, content_type: str, size: int, status: int
) -> None:
    answer = api.post(f"plans/{world.registry}/{world.repository}", b"#" * size, content_type)
    assert answer.status_code == status
    problem(answer)


def test_what_is_not_there_is_not_found(api: Doors, world: World) -> None:
    world.write_policy(OLD)
    for path in (
        f"plans/{world.registry}/{world.word}/nothing",
        "plans/strange.azurecr.io/team/app",
        "runs/night-1",
        f"runs/night-1/repositories/{world.registry}/team/app",
    ):
        assert api.get(path).status_code == 404, path
        problem(api.get(path))


@pytest.mark.parametrize(
    "path",
    [
        "runs/..%2f..%2fsecret",
        "runs/NIGHT",
        "runs/x/repositories/a%20b/c",
        "runs/x/repositories/demo.azurecr.io/UPPER",
        "runs?limit=0",
        "runs?limit=1001",
        "runs?limit=-1",
        "poison?limit=٣",
        "runs/x/replications?limit=many",
    ],
)
def test_what_breaks_a_grammar_is_a_bad_request(api: Doors, path: str) -> None:
    answer = api.get(path)
    assert answer.status_code == 400
    assert problem(answer)["detail"]


def test_the_policy_is_shown_as_it_was_understood(api: Doors, world: World) -> None:
    world.write_policy(
        OLD,
        "name: untagged, untagged: true, older_than: 7d",
        routes=[
            "name: hub, from: {repositories: ['a/*'], versions: ['>=1.2.0']}, to: 'docker.io/acme/{basename}'"
        ],
    )

    shown = api.json("policy")

    assert shown["digest"] == world.services.policy.current().digest
    (rule,) = shown["retention"]["tag_rules"]
    assert rule["name"] == "old"
    assert rule["repositories"] == {"repositories": [f"{world.word}/**"]}
    assert rule["tags"] == {"globs": ["pr-*"]}
    assert rule["older_than"] == "14d"
    assert shown["retention"]["limits"]["run"] == {"deletions": 5000, "percent": 50, "combine": "and"}
    (route,) = shown["replication"]["routes"]
    assert route["targets"] == ["docker.io/acme/{basename}"]
    assert ">=1.2.0" in json.dumps(route["tags"])


def test_the_repositories_of_a_run_are_listed_with_their_counts(api: Doors, world: World) -> None:
    fill(world)
    world.write_policy(OLD)
    run = start_night(world.services, now=world.clock())
    listing = f"runs/{run.name}/repositories"
    assert [each["state"] for each in api.json(listing)["repositories"]] == ["waiting"]

    for message in world.take_cleanups():
        clean(world.services, body(message), clock=world.clock)

    (repository,) = api.json(listing)["repositories"]
    assert (repository["repository"], repository["state"]) == (world.repository, "planned")
    assert repository["counts"]["untag"] == 1


def test_an_unreachable_registry_is_a_problem_and_no_traceback(api: Doors, world: World) -> None:
    fill(world)
    world.write_policy(OLD)
    world.acr.faults.inject(path=f"/acr/v1/{world.repository}.*", times=None, status=403, body="{}")
    answer = api.get(f"plans/{world.registry}/{world.repository}")
    assert answer.status_code == 502
    assert "403" in problem(answer)["detail"] or "denied" in problem(answer)["detail"]


def test_a_policy_in_force_that_is_broken_makes_the_api_unavailable(api: Doors, world: World) -> None:
    (world.folder / "policy.yaml").write_text("version: 2")
    answer = api.get("policy")
    assert answer.status_code == 503
    assert problem(answer)["problems"]


def test_no_answer_is_kept_or_framed(api: Doors, world: World) -> None:
    world.write_policy(OLD)
    for path in ("health", "health/ready", "runs", "policy", "poison", "openapi.json", "runs/night-1", ""):
        headers = api.get(path).headers
        assert headers["Cache-Control"] == "no-store", path
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


def test_the_latest_replications_are_told_first(api: Doors, world: World) -> None:
    log = world.services.runs.replications("pushes-20260301")
    for number in range(3):
        log.append([{"number": number}])

    found = api.json("runs/pushes-20260301/replications?limit=2")["replications"]

    assert [outcome["number"] for outcome in found] == [2, 1]
