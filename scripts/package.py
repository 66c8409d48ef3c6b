#!/usr/bin/env python3
"""Build the deployment package: every tracked file that ``.funcignore`` does not name, as a zip.

Usage: ``python scripts/package.py [OUTPUT]``; the output is ``dist/registry-steward.zip`` unless given.

Git itself reads ``.funcignore``, so its patterns mean what they mean in a ``.gitignore``. Files that are
not tracked never ship. The same files make the same bytes: names are sorted, times and modes are fixed.
"""

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
DEFAULT_OUTPUT: Final = ROOT / "dist" / "registry-steward.zip"

_EARLIEST: Final = (1980, 1, 1, 0, 0, 0)
_MODE: Final = 0o100644 << 16


def shipped_files() -> list[str]:
    """Return the paths that ship, relative to the root, sorted."""
    tracked = _git("ls-files", "--cached")
    ignored = _git("ls-files", "--cached", "--ignored", "--exclude-from=.funcignore")
    return sorted(tracked - ignored)


def build(output: Path) -> list[str]:
    """Write the package and return the paths in it."""
    paths = shipped_files()
    output.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED) as package:
        for path in paths:
            entry = zipfile.ZipInfo(path, _EARLIEST)
            entry.external_attr = _MODE
            entry.compress_type = zipfile.ZIP_DEFLATED
            package.writestr(entry, (ROOT / path).read_bytes())
    return paths


def _git(*arguments: str) -> set[str]:
    listing = subprocess.run(  # noqa: S603 (fixed arguments)
        ["git", *arguments, "-z"],  # noqa: S607 (git is where the system has it)
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return set(filter(None, listing.split("\0")))


def main(arguments: list[str]) -> int:
    """Build the package that the command line asks for, and say what came out."""
    if len(arguments) > 1 or any(argument.startswith("-") for argument in arguments):
        sys.stdout.write(__doc__ or "")
        return 2
    output = Path(arguments[0]).resolve() if arguments else DEFAULT_OUTPUT
    paths = build(output)
    sys.stdout.write(f"{output}: {len(paths)} files, {output.stat().st_size / 1024:.0f} KiB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
