"""Processes beside ours: started fresh, spoken to in lines of JSON, ended by us."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import IO, Any, Final, NamedTuple, Self

from benchmarks.memory import peak_mebibytes

ROOT: Final = Path(__file__).resolve().parents[1]
_GRACE: Final = 10.0
_LOOK_EVERY: Final = 0.02


class Finished(NamedTuple):
    """A process that ended well: what it wrote, how long it took, and its largest resident set in MiB."""

    output: str
    seconds: float
    peak: float


def run(command: Sequence[str]) -> Finished:
    """Run a command to its end.

    :raises RuntimeError: with what it said, when it fails.
    """
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as complaints:
        started = time.perf_counter()
        with subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=complaints) as process:
            watch = _Watch(process.pid)
            watch.start()
            process.wait()
        taken = time.perf_counter() - started
        watch.stop()
        for written in (output, complaints):
            written.seek(0)
        if process.returncode != 0:
            raise RuntimeError(f"{command[0]} ended with {process.returncode}: {complaints.read()[-2000:]}")
        return Finished(output.read(), taken, watch.peak)


class _Watch(Thread):
    """Looks at the memory of a process while it runs: when it has ended, it is too late."""

    def __init__(self, process: int) -> None:
        super().__init__(name="watch-memory", daemon=True)
        self._process = process
        self._ended = Event()
        self.peak = 0.0

    def run(self) -> None:
        while not self._ended.wait(_LOOK_EVERY):
            self.peak = max(self.peak, peak_mebibytes(self._process))

    def stop(self) -> None:
        self._ended.set()
        self.join()


def run_python(code: str, *arguments: str) -> Finished:
    """Run a few lines in a fresh interpreter of ours."""
    return run([sys.executable, "-c", code, *arguments])


class Worker:
    """A module of ours running by ``python -m``; each request is one line in and one line out."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._module = module
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.ready: dict[str, Any] = self._answer()

    def ask(self, **request: object) -> Any:
        """Send a request and return the answer.

        :raises RuntimeError: when the process ended instead.
        """
        stdin = _pipe(self._process.stdin)
        stdin.write(json.dumps(request) + "\n")
        stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        line = _pipe(self._process.stdout).readline()
        if not line:
            raise RuntimeError(f"{self._module} ended with {self._process.wait()}")
        return json.loads(line)

    def close(self) -> None:
        """End the process: it stops when its input does."""
        _pipe(self._process.stdin).close()
        try:
            self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        _pipe(self._process.stdout).close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe


def serve(answer: Mapping[str, Any], ready: object) -> None:
    """Be the other end of a :class:`Worker`: say what is ready, then answer by name until input ends."""
    print(json.dumps(ready), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(answer[request.pop("ask")](**request)), flush=True)
