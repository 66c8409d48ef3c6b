"""The house keeps its rules: layers, tests beside the code, documents that are true, a tree that travels."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

INDEX = re.compile(r"py[p]i\.org|python[h]osted\.org|np[m]js\.(?:org|com)")
"""Hosts that serve packages; written so that this file does not name one."""


@cache
def tracked() -> tuple[str, ...]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True
    ).stdout.decode()
    return tuple(name for name in listed.split("\0") if name and (ROOT / name).is_file())


def texts() -> Iterator[tuple[str, str]]:
    for name in tracked():
        content = (ROOT / name).read_bytes()
        if b"\0" not in content:
            yield name, content.decode(errors="replace")


def test_every_import_respects_the_layers() -> None:
    lint_imports = Path(sys.executable).with_name("lint-imports")
    found = subprocess.run(
        [lint_imports, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout
    assert " kept, 0 broken" in found.stdout


def test_an_import_that_breaks_the_layers_is_found(tmp_path: Path) -> None:
    """The contracts of pyproject.toml on a tree with one wrong import."""
    for name in tracked():
        if name.endswith((".py", ".toml")) and not name.startswith("tests/"):
            copy = tmp_path / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes((ROOT / name).read_bytes())
    with (tmp_path / "shared" / "retention" / "plan.py").open("a") as plan:
        plan.write("import requests\n")
    lint_imports = Path(sys.executable).with_name("lint-imports")
    found = subprocess.run(
        [lint_imports, "--no-cache"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert found.returncode == 1
    assert "shared.retention.plan -> requests" in found.stdout


def packages() -> list[str]:
    """Return the folders of modules that have to have tests."""
    return sorted(
        {
            str(Path(name).parent)
            for name in tracked()
            if re.match(r"(shared/\w+|functions|cli)/[^/]+\.py$", name)
        }
    )


ELSEWHERE = {"shared/pages": "tests/web/"}
"""Pages are tested through the doors that serve them."""


@pytest.mark.parametrize("package", packages())
def test_every_package_has_its_tests_beside_it(package: str) -> None:
    folder = ELSEWHERE.get(package, f"tests/{package.removeprefix('shared/')}/")
    assert [name for name in tracked() if name.startswith(folder) and "/test_" in name]


def test_every_module_of_the_top_has_its_mirror() -> None:
    modules = [
        Path(name).stem for name in tracked() if re.fullmatch(r"shared/\w+\.py|function_app\.py", name)
    ]
    mirrors = {Path(name).stem for name in tracked() if name.startswith("tests/")}
    assert [name for name in modules if name != "__init__" and f"test_{name}" not in mirrors] == []


def modules() -> list[str]:
    return [
        name
        for name in tracked()
        if name.startswith(("shared/", "functions/")) and name.endswith(".py") and "__init__" not in name
    ]


def test_no_module_grows_beyond_what_can_be_read_at_once() -> None:
    lengths = {name: (ROOT / name).read_text().count("\n") for name in modules()}
    assert {name: length for name, length in lengths.items() if length > 310} == {}


def test_names_say_what_a_thing_is() -> None:
    banned = {"utils", "helpers", "common", "manager", "handler", "process", "data", "info"}
    words = {name: set(re.split(r"[/_.]", name)) for name in modules()}
    assert {name: found & banned for name, found in words.items() if found & banned} == {}


DOCUMENTS = [name for name in tracked() if re.fullmatch(r"README\.md|docs/.*\.md", name)]
TOP = r"shared|functions|cli|emulators|tests|docs|infra|benchmarks|scripts"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_document_mentions_only_files_that_exist(document: str) -> None:
    text = (ROOT / document).read_text()
    mentioned = set(re.findall(rf"`((?:{TOP})/[\w./-]*)`", text))
    mentioned |= set(re.findall(r"`([\w-]+\.(?:py|json|yaml|toml|in|txt|md))`", text)) & {
        name
        for name in re.findall(r"`([\w.-]+)`", text)
        if name in {"host.json", "pyproject.toml", "Makefile"}
    }
    assert [name for name in sorted(mentioned) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_between_documents_lead_somewhere(document: str) -> None:
    place = (ROOT / document).parent
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", (ROOT / document).read_text())
    local = [link for link in links if not re.match(r"[a-z]+:", link)]
    assert [link for link in local if not (place / link).exists()] == []


def test_the_layers_of_the_document_are_those_of_the_contracts() -> None:
    picture = (ROOT / "docs" / "architecture.md").read_text().partition("```")[2].partition("```")[0]
    contracts = (ROOT / "pyproject.toml").read_text().partition("layers = [")[2].partition("]")[0]
    drawn = [set(re.findall(r"[a-z]+", line[:24])) for line in picture.strip().splitlines()]
    for layer in re.findall(r'"([^"]+)"', contracts):
        names = {name.rpartition(".")[2] for name in layer.split(" | ")}
        assert any(names & words for words in drawn), f"{layer} is not in docs/architecture.md"


def test_no_tracked_file_names_a_package_index() -> None:
    assert [name for name, text in texts() if INDEX.search(text)] == []


def test_no_tracked_file_names_a_place_on_the_machine_it_was_built_on() -> None:
    places = {str(ROOT), str(Path(sys.executable).parent)}
    assert [name for name, text in texts() if any(place in text for place in places)] == []


def test_the_npm_lock_leaves_open_where_packages_come_from() -> None:
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    assert [name for name, package in packages.items() if "resolved" in package] == []
    assert all("integrity" in package for name, package in packages.items() if name), "but not what they are"
