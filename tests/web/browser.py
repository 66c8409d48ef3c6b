"""A real headless Chromium, driven by WebDriver over plain HTTP on loopback."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--proxy-server=direct://",
)


class Browser:
    """One session of the browser."""

    def __init__(self, session: str, http: requests.Session) -> None:
        self._session = session
        self._http = http

    def open(self, address: str) -> None:
        self._post("url", {"url": address})

    def run(self, script: str, *arguments: object) -> Any:
        """Return what the script returns; WebDriver's scripts are not subject to the page's policy."""
        return self._post("execute/sync", {"script": script, "args": list(arguments)})

    def press(self, key: str) -> None:
        keys = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        self._post("actions", {"actions": [{"type": "key", "id": "keyboard", "actions": keys}]})

    def resize(self, width: int, height: int) -> None:
        self._cdp(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=True
        )

    def prefer(self, scheme: str) -> None:
        self._cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def accessibility(self) -> list[tuple[str, str]]:
        """Return what assistive technology is told: the role and the name of everything on the page."""
        nodes = self._cdp("Accessibility.getFullAXTree")["nodes"]
        return [
            (node["role"]["value"], node.get("name", {}).get("value", ""))
            for node in nodes
            if not node["ignored"]
        ]

    def complaints(self) -> list[str]:
        """Return what the console has been told since the last call: errors and broken policies."""
        return [entry["message"] for entry in self._post("se/log", {"type": "browser"})]

    def has_dialog(self) -> bool:
        return bool(self._http.get(f"{self._session}/alert/text", timeout=30).ok)

    def _cdp(self, command: str, **parameters: Any) -> Any:
        return self._post("goog/cdp/execute", {"cmd": command, "params": parameters})

    def _post(self, command: str, body: dict[str, Any]) -> Any:
        answer = self._http.post(f"{self._session}/{command}", json=body, timeout=60)
        assert answer.ok, answer.text[:500]
        return answer.json()["value"]


def require_browser() -> tuple[str, str]:
    """Return the paths of the driver and the browser; skip without them, unless peers are required."""
    driver, chromium = shutil.which("chromedriver"), shutil.which("chromium") or shutil.which("google-chrome")
    if driver is None or chromium is None:
        missing = "chromium (or google-chrome) and chromedriver are not on PATH"
        if os.environ.get("STEWARD_REQUIRE_PEERS") == "1":
            pytest.fail(missing)
        pytest.skip(missing)
    return driver, chromium


@contextmanager
def browser() -> Iterator[Browser]:
    driver, chromium = require_browser()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (
        tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as folder,
        requests.Session() as http,
        subprocess.Popen([driver, f"--port={port}"], stdout=subprocess.DEVNULL) as process,
    ):
        http.trust_env = False
        try:
            yield from _session(http, f"http://127.0.0.1:{port}", chromium, folder)
        finally:
            process.terminate()


def _session(http: requests.Session, driver: str, chromium: str, folder: str) -> Iterator[Browser]:
    options = {"binary": chromium, "args": [*_FLAGS, f"--user-data-dir={folder}"]}
    wanted = {
        "browserName": "chrome",
        "goog:chromeOptions": options,
        "goog:loggingPrefs": {"browser": "ALL"},
        "unhandledPromptBehavior": "ignore",
    }
    _await(http, driver)
    answer = http.post(f"{driver}/session", json={"capabilities": {"alwaysMatch": wanted}}, timeout=90)
    assert answer.ok, answer.text[:500]
    session = f"{driver}/session/{answer.json()['value']['sessionId']}"
    try:
        yield Browser(session, http)
    finally:
        http.delete(session, timeout=30)


def _await(http: requests.Session, driver: str) -> None:
    for _ in range(100):
        try:
            if http.get(f"{driver}/status", timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.1)
    pytest.fail("chromedriver does not answer")
