"""Deployment and security documents name only what exists."""

import re
from pathlib import Path

import pytest

from tests.infra import bicep
from tests.infra.test_roles import BUILT_IN

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
SECURITY = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
MAIN = bicep.read(bicep.INFRA / "main.bicep")

TESTS = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", SECURITY)
FILES = re.findall(r"`((?:shared|docs|infra|tests|scripts)/[\w./-]*)`", DEPLOY + SECURITY)


@pytest.mark.parametrize(("path", "name"), TESTS)
def test_a_test_named_as_proof_exists(path: str, name: str) -> None:
    assert re.search(rf"^def {name}\(", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("path", sorted(set(FILES)))
def test_a_file_that_is_named_exists(path: str) -> None:
    assert (ROOT / path).exists()


def test_every_table_of_threats_names_its_proof() -> None:
    rows = re.findall(r"^\| (?!Threat|---)(.*) \|$", SECURITY, re.MULTILINE)
    assert len(rows) > 35
    for row in rows:
        assert re.search(r"`tests/[\w/]+\.py::\w+`", row.rsplit(" | ", 1)[1]), row


def test_parameters_that_are_named_are_parameters() -> None:
    command = DEPLOY[DEPLOY.index("az deployment sub create") :].split("```")[0]
    passed = set(re.findall(r"\b(\w+)=(?!=)", command.split("python scripts")[0]))
    assert passed <= set(MAIN.parameters)
    for name in (
        "vaultPurgeProtection",
        "operatorIpAddresses",
        "logDailyCapGb",
        "alwaysReady",
        "createRegistry",
    ):
        assert f"`{name}`" in DEPLOY
        assert name in MAIN.parameters


def test_variables_set_with_azd_are_read_by_the_parameters_file() -> None:
    read = (bicep.INFRA / "main.parameters.json").read_text(encoding="utf-8")
    named = set(re.findall(r"azd env set (\w+)|`(STEWARD_\w+)[=`]|^(\w+)=\S+ azd", DEPLOY, re.MULTILINE))
    names = {name for found in named for name in found if name}
    assert {"STEWARD_REGISTRIES", "CLEANUP_MODE", "DOCKERHUB_TOKEN", "STEWARD_ALERT_EMAIL"} <= names
    for name in names:
        assert f"${{{name}" in read, name


def test_values_read_with_azd_are_outputs() -> None:
    assert set(re.findall(r"azd env get-value (\w+)", DEPLOY)) <= set(MAIN.outputs)


def test_fields_of_a_registry_are_those_the_template_reads() -> None:
    section = DEPLOY[DEPLOY.index("## Registries") : DEPLOY.index("## Who may do what")]
    cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    source = (bicep.INFRA / "main.bicep").read_text(encoding="utf-8")
    read = set(re.findall(r"target\.\??(\w+)", source))
    assert {name for cell in cells for name in re.findall(r"`(\w+)`", cell)} == read


def test_the_table_of_roles_names_every_role() -> None:
    section = DEPLOY[DEPLOY.index("## Who may do what") : DEPLOY.index("## Private networking")]
    for role in BUILT_IN:
        short = role.removeprefix("Container Registry Repository ")
        assert re.search(rf"^\|.*\b{re.escape(short)}\b", section, re.MULTILINE), role
