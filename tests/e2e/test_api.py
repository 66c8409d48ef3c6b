"""What the app tells people and monitors over HTTP."""

from collections.abc import Iterator
from urllib.parse import quote

import pytest
import requests

from emulators.registry.images import build_image
from tests.e2e.world import (
    World,
    days_ago,
    eventually,
    found_secrets,
    multi_platform,
    retention,
    unique,
    world,
)

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def steward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("api")) as started:
        yield started


@pytest.fixture(scope="module")
def repository(steward: World) -> str:
    """A repository that a night looked at and that was replicated."""
    name, image = unique("api"), multi_platform()
    build_image().push_to(steward.state, name, tag="pr-1", at=days_ago(60))
    steward.write_policy(retention(name, routes=True))
    steward.acr.push(name, image, "v1")
    steward.await_replica(name, "v1", image)
    eventually(lambda: steward.outcomes(name, "v1"), "the outcome to be recorded")
    steward.night()
    return name


def test_health_needs_no_key_and_all_else_does(steward: World) -> None:
    api = f"{steward.host.url}/api"

    health = requests.get(f"{api}/health", timeout=10)

    assert (health.status_code, health.json()) == (200, {"status": "ok"})
    for path in (
        "health/ready",
        "runs",
        "runs/a",
        "runs/a/replications",
        "runs/a/repositories/r/x",
        "poison",
    ):
        assert requests.get(f"{api}/{path}", timeout=10).status_code == 401, path


def test_readiness_names_what_it_checked(steward: World, repository: str) -> None:
    del repository
    answer = steward.answer("health/ready")

    assert answer.status_code == 200
    checks = dict.fromkeys(("settings", "policy", "storage", "queues"))
    assert answer.json() == {"status": "ready", "checks": checks}


def test_runs_are_listed_and_summed_up(steward: World, repository: str) -> None:
    (night,) = steward.runs("night")

    summary = steward.get(f"runs/{night}") or {}

    assert summary["state"] == "finished"
    assert summary["mode"] == "plan"
    assert summary["repositories"] == [{"registry": steward.stack.acr.login_server, "repository": repository}]
    assert summary["missing"] == []
    assert (summary["planned"]["untag"], summary["planned"]["delete"]) == (1, 1)
    assert len((steward.get("runs?limit=1") or {})["runs"]) == 1


def test_a_report_gives_the_reason_of_every_verdict(steward: World, repository: str) -> None:
    (night,) = steward.runs("night")

    report = steward.finished_report(night, repository)

    (untag,) = report["plan"]["untag"]
    assert untag["tag"] == "pr-1"
    assert untag["rule"] == "old"
    assert untag["reason"].startswith("older than 14d")
    assert all(kept["reason"] for kept in report["plan"]["keep"])
    assert report["outcomes"] == []


def test_replicated_tags_are_listed(steward: World, repository: str) -> None:
    (outcome, *_) = steward.outcomes(repository, "v1")

    assert outcome["route"] == "releases"
    assert outcome["source"].endswith(f"/{repository}:v1")
    assert outcome["result"] == "copied"
    assert outcome["bytes_copied"] > 0


@pytest.mark.parametrize(
    ("path", "status", "detail"),
    [
        ("runs?limit=0", 400, "limit: '0', expected 1 to 1000"),
        ("runs?limit=1001", 400, "limit: '1001', expected 1 to 1000"),
        ("runs?limit=many", 400, "limit: 'many', expected 1 to 1000"),
        ("poison?limit=-1", 400, "limit: '-1', expected 1 to 1000"),
        ("runs/Night_1", 400, "'Night_1' is not a run"),
        ("runs/night-1/replications?limit=x", 400, "limit: 'x'"),
        ("runs/night-1", 404, "there is nothing of that name"),
        ("runs/night-1/repositories/demo.azurecr.io/team/app", 404, "there is nothing of that name"),
        ("runs/night-1/repositories/demo.azurecr.io/Team", 400, "'Team'"),
        (f"runs/night-1/repositories/{quote('https://demo', safe='')}/team", 400, "is not a login server"),
        ("runs/night-1/repositories/demo.azurecr.io/a%2F..%2F..%2Fb", 400, "is not a repository"),
    ],
)
def test_a_request_that_cannot_be_answered_gets_problem_details(
    steward: World, path: str, status: int, detail: str
) -> None:
    answer = steward.answer(path)

    assert answer.status_code == status
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    problem = answer.json()
    assert problem["status"] == status
    assert problem["title"] == ("Bad Request" if status == 400 else "Not Found")
    assert detail in problem["detail"]


def test_a_run_without_replications_has_an_empty_list_of_them(steward: World, repository: str) -> None:
    del repository
    (night,) = steward.runs("night")

    assert steward.get(f"runs/{night}/replications") == {"replications": []}


def test_a_day_of_replicated_pushes_is_summed_up(steward: World, repository: str) -> None:
    del repository
    (day,) = steward.runs("pushes")

    summary = steward.get(f"runs/{day}") or {}

    assert summary["kind"] == "pushes"
    assert summary["done"]["copied"] >= 1


def test_the_search_for_secrets_finds_them() -> None:
    """Every stack of these tests ends with that search through its logs and blobs."""
    token = b"eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzdGV3YXJkIn0xxxxx.c2lnbmF0dXJl"
    content = b"a hunter2hunter2, a " + token + b" and a ?sv=1&sig=abcdefghijklmnopqr%3D"

    assert len(found_secrets(content, [b"hunter2hunter2", b"another"])) == 3
    assert found_secrets(b"sig=x and eyJ", [b"hunter2hunter2"]) == []
