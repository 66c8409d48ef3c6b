"""Workflows for those who fork: actions pinned, least rights, and nothing called that is not there."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))

each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)


def steps(path: Path) -> list[dict[str, Any]]:
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    return [step for job in document["jobs"].values() for step in job["steps"]]


def test_there_are_workflows_for_each_change_each_night_and_each_deployment() -> None:
    assert [path.stem for path in WORKFLOWS] == ["audit", "deploy", "infra", "nightly", "test"]


def test_known_vulnerabilities_of_all_that_is_pinned_are_looked_for_every_week() -> None:
    document = yaml.safe_load((ROOT / ".github" / "workflows" / "audit.yml").read_text(encoding="utf-8"))
    scripts = "\n".join(step.get("run", "") for step in document["jobs"]["audit"]["steps"])
    audited = set(re.findall(r"pip-audit --require-hashes .*--requirement (\S+)", scripts))
    assert audited == {path.name for path in ROOT.glob("requirements*.txt")}
    assert document[True]["schedule"]  # YAML 1.1 reads "on" as true


def test_what_is_installed_by_name_is_installed_in_one_version() -> None:
    for path in WORKFLOWS:
        for step in steps(path):
            for packages in re.findall(r"pip install (.*)", step.get("run", "")):
                named = [word for word in packages.split() if not word.startswith("-")]
                assert all("==" in word for word in named), packages


@each_workflow
def test_every_action_is_pinned_by_commit_and_says_its_version(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    used = re.findall(r"uses: (.*)", text)
    assert used
    for action in used:
        assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


@each_workflow
def test_rights_are_given_by_name(path: Path) -> None:
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert document["permissions"] == {"contents": "read"}
    for job in document["jobs"].values():
        signs_in = any("azure/login" in step.get("uses", "") for step in job["steps"])
        assert ("id-token" in job.get("permissions", {})) == signs_in
        assert "environment" in job or not signs_in


@each_workflow
def test_no_expression_is_pasted_into_a_script(path: Path) -> None:
    for step in steps(path):
        assert "${{" not in step.get("run", ""), step


@each_workflow
def test_no_secret_is_used(path: Path) -> None:
    assert "secrets." not in path.read_text(encoding="utf-8")


def test_what_the_workflows_call_exists() -> None:
    scripts = "\n".join(step.get("run", "") for path in WORKFLOWS for step in steps(path))
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"\bmake ([\w-]+)", scripts)) <= targets
    for named in re.findall(r"\b(?:scripts|infra)/[\w./]+", scripts):
        assert (ROOT / named).is_file(), named
