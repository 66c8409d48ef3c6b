#!/usr/bin/env python3
"""Write the bill of materials of the deployment package: CycloneDX 1.6, JSON, to standard output.

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

_PIN: Final = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)((?:.*\\\n\s+--hash=sha256:[0-9a-f]{64})+)", re.MULTILINE)
_HASH: Final = re.compile(r"sha256:([0-9a-f]{64})")
_TROVE: Final = "License :: OSI Approved :: "


class Pin(NamedTuple):
    """One line of the lock file: a package, its version, and the digests of its files."""

    name: str
    version: str
    hashes: tuple[str, ...]


def pins(text: str) -> list[Pin]:
    """Return what the lock file pins, in its order."""
    return [
        Pin(name, version, tuple(_HASH.findall(rest)))
        for name, version, rest in _PIN.findall(text.replace(" \\\n", "\\\n"))
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


if __name__ == "__main__":
    json.dump(bill(REQUIREMENTS.read_text(encoding="utf-8")), sys.stdout, indent=2)
    sys.stdout.write("\n")
