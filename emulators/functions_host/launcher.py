import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import requests

_ROOT = Path(__file__).resolve().parents[2]


class HostStartError(Exception):
    """The Functions host ended before it was ready; the text carries the end of its log."""


class RunningHost:
    """The Functions host as a subprocess; port and keys stay the same over `restart`.

    The host ends with this process, however that ends.
    """

    def __init__(
        self,
        *,
        app: Path,
        settings: Path,
        port: int = 0,
        poll_interval: float = 0.2,
        visibility_seconds: float = 30.0,
        grace_seconds: float = 10.0,
        environment: Mapping[str, str] | None = None,
        start_timeout: float = 60.0,
    ) -> None:
        self._app = app
        self._settings = settings
        self._port = port
        self._poll_interval = poll_interval
        self._visibility_seconds = visibility_seconds
        self._grace_seconds = grace_seconds
        self._environment = dict(environment or {})
        self._start_timeout = start_timeout
        self._folder = tempfile.TemporaryDirectory(prefix="functions-host-")
        self._log_file = Path(self._folder.name) / "host.log"
        self._child: subprocess.Popen[bytes] | None = None
        self.ready: dict[str, Any] = {}

    def start(self) -> Self:
        """Start the host and return when its triggers are open."""
        if self.pid is not None:
            raise RuntimeError("this host runs already")
        with self._log_file.open("ab") as log:
            self._child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", "emulators.functions_host", *self._options()],
                cwd=_ROOT,
                env=os.environ | self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        line = self._first_line(self._child)
        if not line:
            self.kill()
            raise HostStartError(f"the Functions host did not start:\n{self.log[-4000:]}")
        self.ready = json.loads(line)
        self._port = int(self.url.rpartition(":")[2])
        return self

    def stop(self) -> None:
        """End the host as Azure does on scale-in: no new work, a grace for what runs."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the host at once (SIGKILL); messages in flight show again when their hiding is over."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Start again, after stopping what still runs."""
        self.stop()
        self.start()

    def close(self) -> None:
        """Stop the host and remove its log."""
        self.stop()
        self._folder.cleanup()

    @property
    def url(self) -> str:
        return str(self.ready["url"])

    @property
    def master_key(self) -> str:
        return str(self.ready["master_key"])

    @property
    def function_key(self) -> str:
        return str(self.ready["function_keys"]["default"])

    @property
    def pid(self) -> int | None:
        """The process id while the host runs."""
        return self._child.pid if self._child is not None and self._child.poll() is None else None

    @property
    def log(self) -> str:
        """All that the host and the app have logged, over restarts, as JSON lines."""
        return self._log_file.read_text(encoding="utf-8", errors="replace") if self._log_file.exists() else ""

    def event_grid_url(self, function: str) -> str:
        """Where an Event Grid subscription delivers events for the function."""
        key = quote(str(self.ready["system_keys"]["eventgrid_extension"]))
        return f"{self.url}/runtime/webhooks/eventgrid?functionName={quote(function)}&code={key}"

    def fire(self, function: str, given: str = "") -> None:
        """Start a timer, queue or Event Grid function by hand; returns before the function ends."""
        with requests.Session() as session:
            session.trust_env = False
            response = session.post(
                f"{self.url}/admin/functions/{quote(function)}",
                json={"input": given},
                headers={"x-functions-key": self.master_key},
                timeout=30,
            )
            response.raise_for_status()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _options(self) -> list[str]:
        return [
            f"--app={self._app.resolve()}",
            f"--settings={self._settings.resolve()}",
            f"--port={self._port}",
            f"--poll-interval={self._poll_interval}",
            f"--visibility-seconds={self._visibility_seconds}",
            f"--grace-seconds={self._grace_seconds}",
            f"--keys={Path(self._folder.name) / 'keys.json'}",
            "--stop-with-stdin",
        ]

    def _first_line(self, child: subprocess.Popen[bytes]) -> bytes:
        assert child.stdout is not None  # noqa: S101 - Popen was given a pipe
        deadline = time.monotonic() + self._start_timeout
        while time.monotonic() < deadline:
            if select.select([child.stdout], [], [], 0.5)[0]:
                return child.stdout.readline()
        return b""

    def _end(self, number: signal.Signals) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        child.send_signal(number)
        try:
            child.wait(self._grace_seconds + 10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
