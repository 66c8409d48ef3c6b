import pytest
import requests

from emulators.functions_host import RunningHost

pytestmark = pytest.mark.xdist_group("functions_host")


def test_status_and_functions_are_listed_for_the_master_key(
    host: RunningHost, http: requests.Session
) -> None:
    headers = {"x-functions-key": host.master_key}

    status = http.get(f"{host.url}/admin/host/status", headers=headers).json()
    functions = http.get(f"{host.url}/admin/functions", headers=headers).json()

    assert status["state"] == "Running"
    assert {function["name"] for function in functions} == set(host.ready["functions"])
    work = next(function for function in functions if function["name"] == "work")
    assert work["config"]["bindings"][0]["queueName"] == "work"


@pytest.mark.parametrize("path", ["host/status", "functions", "functions/work", "host/systemkeys/x"])
def test_admin_is_closed_without_the_master_key(host: RunningHost, http: requests.Session, path: str) -> None:
    assert http.get(f"{host.url}/admin/{path}", params={"code": host.function_key}).status_code == 401


def test_the_key_of_event_grid_can_be_read(host: RunningHost, http: requests.Session) -> None:
    response = http.get(
        f"{host.url}/admin/host/systemkeys/eventgrid_extension", params={"code": host.master_key}
    )

    assert response.json()["value"] in host.event_grid_url("on_event")


@pytest.mark.parametrize(
    ("function", "body", "status"),
    [
        ("nightly", {}, 202),
        ("no_such_function", {}, 404),
        ("greet", {}, 400),
        ("nightly", [], 400),
    ],
)
def test_a_function_is_started_by_hand(
    host: RunningHost, http: requests.Session, function: str, body: object, status: int
) -> None:
    response = http.post(
        f"{host.url}/admin/functions/{function}", json=body, headers={"x-functions-key": host.master_key}
    )

    assert response.status_code == status


def test_starting_by_hand_needs_the_master_key(host: RunningHost, http: requests.Session) -> None:
    assert http.post(f"{host.url}/admin/functions/nightly", json={}).status_code == 401
