import json

import pytest
import requests

from emulators.functions_host import RunningHost

pytestmark = pytest.mark.xdist_group("functions_host")


def test_a_function_gets_method_url_route_query_headers_and_body(
    host: RunningHost, http: requests.Session
) -> None:
    response = http.post(
        f"{host.url}/api/greet/bob/3?x=1&y=2&x=3", data=b"hello", headers={"User-Agent": "tester"}
    )

    assert response.status_code == 201
    assert response.headers["x-greeted"] == "yes"
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {
        "method": "POST",
        "url": f"{host.url}/api/greet/bob/3?x=1&y=2&x=3",
        "name": "bob",
        "count": "3",
        "query": {"x": "1,3", "y": "2"},
        "agent": "tester",
        "body": "hello",
    }


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/greet/bob", 201),
        ("GET", "/API/Greet/bob", 201),
        ("GET", "/api/greet/b0b", 404),
        ("GET", "/api/greet/bob/three", 404),
        ("GET", "/api/greet/bob/3/4", 404),
        ("GET", "/greet/bob", 404),
        ("DELETE", "/api/greet/bob", 404),
    ],
)
def test_a_route_matches_by_prefix_constraints_and_method(
    host: RunningHost, http: requests.Session, method: str, path: str, status: int
) -> None:
    assert http.request(method, host.url + path).status_code == status


def test_a_literal_route_wins_over_a_parameter(host: RunningHost, http: requests.Session) -> None:
    assert http.get(f"{host.url}/api/greet/nobody").text == "nobody"


@pytest.mark.parametrize(
    ("path", "seen"),
    [("a/b/c.txt", "a/b/c.txt"), ("a%20b", "a b"), ("a%2Fb", "a%2Fb"), ("", "")],
)
def test_a_catch_all_takes_the_rest_of_the_path(
    host: RunningHost, http: requests.Session, path: str, seen: str
) -> None:
    assert http.get(f"{host.url}/api/files/{path}").text == seen


@pytest.mark.parametrize(
    ("path", "key", "status"),
    [
        ("guarded", "none", 401),
        ("guarded", "wrong", 401),
        ("guarded", "function", 200),
        ("guarded", "master", 200),
        ("innermost", "none", 401),
        ("innermost", "function", 401),
        ("innermost", "master", 200),
    ],
)
def test_a_level_is_opened_by_its_keys_only(
    host: RunningHost, http: requests.Session, path: str, key: str, status: int
) -> None:
    keys = {"function": host.function_key, "master": host.master_key, "wrong": "wrong"}
    value = keys.get(key)

    by_query = http.get(f"{host.url}/api/{path}", params={"code": value} if value else {})
    by_header = http.get(f"{host.url}/api/{path}", headers={"x-functions-key": value} if value else {})

    assert (by_query.status_code, by_header.status_code) == (status, status)


def test_a_function_that_raises_answers_500_and_its_traceback_is_logged(
    host: RunningHost, http: requests.Session
) -> None:
    response = http.get(f"{host.url}/api/broken")

    assert (response.status_code, response.content) == (500, b"")
    lines = [json.loads(line) for line in host.log.splitlines() if line.startswith("{")]
    failed = [line for line in lines if line.get("function") == "broken" and line["level"] == "ERROR"]
    assert failed[-1]["message"] == "Executed 'Functions.broken' (Failed): RuntimeError: broken on purpose"
    assert "in broken" in failed[-1]["exception"]
    assert failed[-1]["invocation_id"]


def test_app_settings_are_environment_variables_and_the_environment_wins(
    host: RunningHost, http: requests.Session
) -> None:
    assert http.get(f"{host.url}/api/settings/FROM_SETTINGS").text == "settings"
    assert http.get(f"{host.url}/api/settings/FROM_ENVIRONMENT").text == "environment"
    assert "The environment overrides settings: FROM_ENVIRONMENT" in host.log


def test_what_a_coroutine_logs_carries_its_function(host: RunningHost, http: requests.Session) -> None:
    assert http.get(f"{host.url}/api/asynchronous").text == "async"

    lines = [json.loads(line) for line in host.log.splitlines() if '"from a coroutine"' in line]
    assert lines[-1]["function"] == "asynchronous"
    assert lines[-1]["logger"] == "fixture"


def test_the_host_says_that_it_is_for_development(host: RunningHost, http: requests.Session) -> None:
    assert "development host" in http.get(host.url).text
    assert "not for production" in host.log
