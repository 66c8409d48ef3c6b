import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import acr, ca, docker_registry, hub, registry, steward, untroubled
from tests.docs.documents import ROOT, text_of

__all__ = ["acr", "ca", "docker_registry", "hub", "registry", "steward", "untroubled", "up"]


@dataclass(frozen=True, slots=True)
class Up:
    """What `make up` left running, and what it printed."""

    folder: Path
    printed: str

    @property
    def stack(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "stack.json").read_text(encoding="utf-8"))
        return found


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """What ``make up`` starts once all is set up, in a folder of its own."""
    assert "@$(PYTHON) -m emulators.demo --stay\n" in text_of("Makefile")
    folder = tmp_path_factory.mktemp("up") / ".steward"
    printed = folder.with_name("printed")
    with printed.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "emulators.demo", "--stay", "--files", folder],
            cwd=folder.parent,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + 90
        while "Ctrl-C ends it" not in printed.read_text(encoding="utf-8"):
            assert process.poll() is None, printed.read_text(encoding="utf-8")
            assert time.monotonic() < deadline, "make up does not come up"
            time.sleep(0.1)
        yield Up(folder, printed.read_text(encoding="utf-8"))
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
