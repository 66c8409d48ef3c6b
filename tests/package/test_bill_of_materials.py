"""What the package is made of: pinned dependencies, their hashes, licences that this project accepts."""

import json
import re
import subprocess
import sys
from typing import Any

import pytest

from tests.package.conftest import ROOT

pytestmark = pytest.mark.xdist_group("package")

ACCEPTED = re.compile(r"MIT|BSD|Apache|PSF|Mozilla Public License 2\.0|ISC")


@pytest.fixture(scope="module")
def components() -> dict[str, dict[str, Any]]:
    script = ROOT / "scripts" / "bill_of_materials.py"
    output = subprocess.run([sys.executable, "-W", "error", script], check=True, capture_output=True).stdout
    document = json.loads(output)
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    return {component["name"]: component for component in document["components"]}


def test_every_pinned_package_is_listed_with_all_its_hashes(components: dict[str, dict[str, Any]]) -> None:
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert {f"{name}=={c['version']}" for name, c in components.items()} == set(
        re.findall(r"^[\w.-]+==[^\s;]+", text, re.MULTILINE)
    )
    hashes = [
        entry["content"]
        for component in components.values()
        for reference in component["externalReferences"]
        for entry in reference["hashes"]
    ]
    assert sorted(hashes) == sorted(re.findall(r"sha256:([0-9a-f]{64})", text))


def test_every_licence_is_known_and_accepted(components: dict[str, dict[str, Any]]) -> None:
    for name, component in components.items():
        (stated,) = component["licenses"]
        assert ACCEPTED.search(stated["license"]["name"]), f"{name}: {stated}"


def test_the_page_of_dependencies_is_current() -> None:
    script = ROOT / "scripts" / "bill_of_materials.py"
    written = subprocess.run(
        [sys.executable, script, "--markdown"], check=True, capture_output=True, text=True
    ).stdout
    assert (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8") == written


def test_what_was_asked_for_and_what_came_with_it_are_told_apart() -> None:
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    asked = (ROOT / "requirements.in").read_text(encoding="utf-8").split("\n")
    direct = {line.partition("[")[0] for line in asked if line and not line.startswith("#")}
    assert set(re.findall(r"^\| ([\w.-]+) \| .* \| this app \|$", page, re.MULTILINE)) == direct
    assert re.search(r"^\| msal \| .* \| azure-identity, msal-extensions \|$", page, re.MULTILINE)
