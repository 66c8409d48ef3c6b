"""``steward copy`` in a process that is running already, as an app or a person's script is.

``python -m benchmarks.copier`` answers each command line with its seconds and the peak of memory in MiB.
"""

import io
import time
from collections.abc import Sequence
from contextlib import redirect_stdout

import cli.commands.copy
import cli.copying
import cli.registries  # noqa: F401 - imported by the command itself, but not while it is timed
from benchmarks.children import serve
from benchmarks.memory import peak_mebibytes
from cli.program import run


def copy(arguments: Sequence[str]) -> dict[str, object]:
    """Run ``steward copy`` once."""
    said = io.StringIO()
    started = time.perf_counter()
    with redirect_stdout(said):
        code = run(["copy", "--plain-http", "--json", *arguments])
    return {
        "seconds": time.perf_counter() - started,
        "peak": peak_mebibytes(),
        "code": code,
        "said": said.getvalue()[-1000:] if code else "",
    }


if __name__ == "__main__":
    serve({"copy": copy}, {})
