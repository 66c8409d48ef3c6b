#!/usr/bin/env python3
"""Write the bill of materials of the deployment package to standard output: CycloneDX 1.6, JSON.

Usage: ``python scripts/bill_of_materials.py [--markdown]``; with it, the page ``docs/dependencies.md``.

Names, versions and hashes come from ``requirements.txt``; licences from the packages installed beside the
interpreter, so run it by the development environment's.
"""

import json
import re
import sys
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any, Final, NamedTuple

REQUIREMENTS: Final = Path(__file__).resolve().parents[1] / "requirements.txt"

_PIN: Final = re.compile(
    r"^([A-Za-z0-9._-]+)==(\S+)((?:.*\\\n\s+--hash=sha256:[0-9a-f]{64})+)((?:\n    #.*)+)", re.MULTILINE
)
_NEEDED_BY: Final = re.compile(r"^ +#(?: via)? +(?!via$)([\w. -]*\w)$", re.MULTILINE)
_DIRECT: Final = "-r requirements.in"

_PAGE: Final = """\
# What ships beside the app

Written by `python scripts/bill_of_materials.py --markdown`. Versions and hashes are in `requirements.txt`;
`make package` writes them, with the licences, as an SBOM (CycloneDX 1.6) beside the deployment zip.

| package | licence | needed by |
|---|---|---|
"""
_HASH: Final = re.compile(r"sha256:([0-9a-f]{64})")
_TROVE: Final = "License :: OSI Approved :: "


class Pin(NamedTuple):
    """One entry of the lock file: a package, its version, the digests of its files, and who needs it."""

    name: str
    version: str
    hashes: tuple[str, ...]
    needed_by: tuple[str, ...]


def pins(text: str) -> list[Pin]:
    """Return what the lock file pins, in its order."""
    return [
        Pin(name, version, tuple(_HASH.findall(hashes)), tuple(_NEEDED_BY.findall(notes)))
        for name, version, hashes, notes in _PIN.findall(text.replace(" \\\n", "\\\n"))
    ]


def licence(pin: Pin) -> str:
    """Return the licence that the installed package states, empty when it is not there or says nothing."""
    try:
        stated = metadata(pin.name)
    except PackageNotFoundError:
        return ""
    if stated.get("Version") != pin.version:
        return ""
    classified = [text.removeprefix(_TROVE) for text in stated.get_all("Classifier", []) if _TROVE in text]
    named = str(stated.get("License-Expression") or ", ".join(classified) or stated.get("License") or "")
    return named.partition("\n")[0]


def component(pin: Pin) -> dict[str, Any]:
    """Return the package as a component; a wheel's or sdist's digest is one of its distributions' hashes."""
    described: dict[str, Any] = {
        "type": "library",
        "name": pin.name,
        "version": pin.version,
        "purl": f"pkg:pypi/{pin.name.lower()}@{pin.version}",
        "externalReferences": [
            {
                "type": "distribution",
                "url": f"pkg:pypi/{pin.name.lower()}@{pin.version}",
                "hashes": [{"alg": "SHA-256", "content": digest} for digest in pin.hashes],
            }
        ],
    }
    if stated := licence(pin):
        described["licenses"] = [{"license": {"name": stated}}]
    return described


def bill(text: str) -> dict[str, Any]:
    """Return the bill of materials of what the lock file pins."""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "registry-steward"}},
        "components": [component(pin) for pin in pins(text)],
    }


def markdown(text: str) -> str:
    """Return the page that lists what ships, whose licence it has, and why it is there."""
    rows = [
        f"| {pin.name} | {licence(pin)} | "
        f"{'this app' if _DIRECT in pin.needed_by else ', '.join(pin.needed_by)} |\n"
        for pin in pins(text)
    ]
    return _PAGE + "".join(rows)


def main(arguments: list[str]) -> int:
    """Write what the command line asks for."""
    text = REQUIREMENTS.read_text(encoding="utf-8")
    match arguments:
        case []:
            json.dump(bill(text), sys.stdout, indent=2)
            sys.stdout.write("\n")
        case ["--markdown"]:
            sys.stdout.write(markdown(text))
        case _:
            sys.stdout.write(__doc__ or "")
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
