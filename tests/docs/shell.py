"""A terminal in which the commands of a document are run, one block after the other."""

import os
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.docs.documents import ROOT

_SHIPPED = ("steward", "emulators", "docs", ".venv")
_WITHIN_SECONDS = "# within seconds"
_PATIENCE = """
within_seconds() {
  for _ in $(seq 80); do "$@" >/dev/null 2>&1 && break; sleep 0.25; done
  "$@"
}
"""


@dataclass(frozen=True, slots=True)
class Typed:
    """What was typed, and what was shown."""

    commands: str
    shown: str


@dataclass(slots=True)
class Shell:
    """A clone of the project, as far as a reader of its documents sees it, and a shell in it.

    ``make`` and ``az`` only note what they were asked for: the one sets up what is there, the other is not
    to be reached from here.
    """

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    typed: list[Typed] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in _SHIPPED:
            if (ROOT / name).exists():
                (self.folder / name).symlink_to(ROOT / name)
        programs = self.folder / "bin"
        programs.mkdir()
        for name in ("make", "az"):
            program = programs / name
            program.write_text(f'#!/bin/sh\necho "$@" >> {shlex.quote(str(self.folder / name))}.log\n')
            program.chmod(0o755)

    def asked_of(self, program: str) -> list[str]:
        log = self.folder / f"{program}.log"
        return log.read_text(encoding="utf-8").splitlines() if log.exists() else []

    def run(self, commands: str) -> str:
        """Run a block; variables live on in the next. Return what was shown on both outputs."""
        lines = [
            f"within_seconds {line.partition(_WITHIN_SECONDS)[0]}" if _WITHIN_SECONDS in line else line
            for line in commands.splitlines()
        ]
        state = self.folder / "state"
        before = f". {shlex.quote(str(state))}" if state.exists() else ""
        script = "\n".join(
            ("set -eu", _PATIENCE, before, *lines, f"export -p > {shlex.quote(str(state))}")
        ).replace("\nrun=", "\nexport run=")
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env={**self._base(), **self.environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
        self.typed.append(Typed(commands, done.stdout + done.stderr))
        return done.stdout + done.stderr

    def forget(self) -> None:
        """Open another terminal."""
        (self.folder / "state").unlink(missing_ok=True)

    def shown_by(self, part: str) -> str:
        """Return what the block with that command showed."""
        (found,) = (typed.shown for typed in self.typed if part in typed.commands)
        return found

    def _base(self) -> dict[str, str]:
        path = os.pathsep.join(
            (str(self.folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"])
        )
        return {"PATH": path, "HOME": str(self.folder), "LC_ALL": "C.UTF-8", "NO_COLOR": "1"}
