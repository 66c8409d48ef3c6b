"""The real command line as a person or a script runs it: ``./steward`` in a process, on a terminal or not."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]
_ANSI = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b\][^\x07]*\x07|\r")


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.out)
        return document


@dataclass(slots=True, kw_only=True)
class Steward:
    """Runs ``./steward`` with an environment of its own."""

    directory: Path
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, stdin: str = "", **environment: str) -> Result:
        """Run it without a terminal."""
        done = subprocess.run(
            [ROOT / "steward", *arguments],
            cwd=self.directory,
            env=self._environment(environment),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Result(code=done.returncode, out=done.stdout, err=done.stderr)

    def terminal(self, *arguments: str, width: int = 80, **environment: str) -> "Terminal":
        """Run it on a terminal of the width."""
        environment.setdefault("NO_COLOR", "1")
        return Terminal(arguments, width, self.directory, self._environment(environment))

    def _environment(self, more: Mapping[str, str]) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return {**kept, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **self.environment, **more}


class Terminal:
    """A command on a pseudo-terminal, and everything that it has shown."""

    def __init__(
        self, arguments: tuple[str, ...], width: int, directory: Path, environment: Mapping[str, str]
    ) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
        attributes = termios.tcgetattr(slave)
        attributes[1] &= ~termios.OPOST  # no carriage returns, so that a transcript is text
        termios.tcsetattr(slave, termios.TCSANOW, attributes)
        self.process = subprocess.Popen(
            [ROOT / "steward", *arguments],
            cwd=directory,
            env=dict(environment),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self.shown = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._master)

    @property
    def text(self) -> str:
        """What was shown, without colours."""
        return _ANSI.sub("", self.shown)

    def wait_for(self, text: str, timeout: float = 30) -> None:
        """Wait until the text was shown."""
        deadline = time.monotonic() + timeout
        while text not in self.text:
            if not self._read(deadline):
                raise AssertionError(f"{text!r} was never shown:\n{self.text}")

    def answer(self, text: str) -> None:
        """Type a line."""
        os.write(self._master, f"{text}\n".encode())

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def finish(self, timeout: float = 60) -> int:
        """Wait for the end and return the exit code."""
        deadline = time.monotonic() + timeout
        while self._read(deadline):
            pass
        return self.process.wait(timeout=max(1, deadline - time.monotonic()))

    def _read(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], max(0, deadline - time.monotonic()))
        if not ready:
            return False
        try:
            found = os.read(self._master, 65536)
        except OSError:  # the other end was closed
            return False
        self.shown += found.decode("utf-8", "replace")
        return bool(found)
