"""The largest resident set that a process had, as the kernel keeps it.

``ru_maxrss`` will not do: a child inherits the peak of the process that started it.
"""

from pathlib import Path
from typing import Final

_PEAK: Final = "VmHWM:"


def peak_mebibytes(process: int | None = None) -> float:
    """Return the peak of a running process, of this one unless another is named; 0 when it has just ended."""
    name = "self" if process is None else str(process)
    try:
        status = Path(f"/proc/{name}/status").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    found = next((line.split()[1] for line in status.splitlines() if line.startswith(_PEAK)), "0")
    return int(found) / 1024
