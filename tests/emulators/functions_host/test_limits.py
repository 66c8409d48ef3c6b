import json
import threading
from pathlib import Path

import pytest
import requests

from emulators.functions_host import RunningHost
from tests.emulators.functions_host.fixture_host import until, write_settings

SLEEPER = """
import time
import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="sleep/{seconds}")
def sleep(req: func.HttpRequest) -> str:
    time.sleep(float(req.route_params["seconds"]))
    return "slept"
"""


@pytest.fixture
def sleeper(tmp_path: Path) -> RunningHost:
    (tmp_path / "host.json").write_text(json.dumps({"version": "2.0", "functionTimeout": "00:00:01"}))
    (tmp_path / "function_app.py").write_text(SLEEPER)
    return RunningHost(
        app=tmp_path, settings=write_settings(tmp_path / "settings.json", {}), grace_seconds=0.3
    )


def test_a_function_that_takes_too_long_fails_and_its_thread_does_not_keep_the_host(
    sleeper: RunningHost, http: requests.Session
) -> None:
    with sleeper as host:
        assert http.get(f"{host.url}/api/sleep/0").text == "slept"
        assert http.get(f"{host.url}/api/sleep/300").status_code == 500

        host.stop()

        assert "Timeout value of 1.0 s exceeded" in host.log
        assert host.pid is None


def test_what_outlives_the_grace_is_cut_off_and_counted(sleeper: RunningHost) -> None:
    with sleeper as host:
        caller = threading.Thread(target=_call, args=(f"{host.url}/api/sleep/0.9",))
        caller.start()
        until(lambda: "Executing 'Functions.sleep'" in host.log)

        host.stop()

        assert "1 invocations were cut off" in host.log
        caller.join()


def _call(url: str) -> None:
    try:
        requests.get(url, timeout=10)
    except requests.ConnectionError:
        return
