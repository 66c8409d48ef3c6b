"""Every Azure command that this repository tells a person or a workflow to run exists, with its options."""

import json
import re

import pytest

from tests.infra.commands import AZURE_CLI, ROOT, Command, commands

WRITTEN = json.loads(AZURE_CLI.read_text(encoding="utf-8"))
KNOWN: dict[str, dict[str, list[str]]] = WRITTEN["commands"]
AGAIN = "unknown to tests/infra/azure_cli.json; if it is new, write that file again (write_azure_cli.py)"

# "Azure Developer CLI reference", learn.microsoft.com: not to be had as a package, so told by hand.
AZD = {"auth login", "deploy", "down", "env get-value", "env new", "env set", "provision", "up"}

# Commands of extensions, which azure-cli itself does not bring: the document has to say which is needed.
OF_EXTENSIONS = {"webapp auth microsoft update": "authV2", "webapp auth update": "authV2"}

OF_AZ = [command for command in commands() if command.tool == "az" and command.words]
each_command = pytest.mark.parametrize("command", OF_AZ, ids=lambda c: f"{c.place}:{' '.join(c.words)}")


def extension_of(command: Command) -> str | None:
    return OF_EXTENSIONS.get(command.name_in(set(OF_EXTENSIONS)) or "")


def test_commands_are_found_where_they_stand() -> None:
    places = {command.place for command in OF_AZ}
    assert {"docs/deploy.md", ".github/workflows/infra.yml", "shared/jobs/native.py"} <= places
    assert len(OF_AZ) > 30


@each_command
def test_an_azure_command_takes_the_options_it_is_given(command: Command) -> None:
    extension = extension_of(command)
    if extension is not None:
        document = (ROOT / command.place).read_text(encoding="utf-8")
        assert f"az extension add --name {extension}" in document
        return
    name = command.name_in(set(KNOWN))
    assert name is not None, f"{' '.join(command.words)}: {AGAIN}"
    assert command.options <= set(KNOWN[name]["options"])


@each_command
def test_what_is_there_to_be_run_gives_what_is_required(command: Command) -> None:
    name = command.name_in(set(KNOWN))
    if command.runnable and name is not None and extension_of(command) is None:
        short = {"--name": "-n", "--resource-group": "-g"}
        for option in KNOWN[name]["required"]:
            assert {option, short.get(option, option)} & command.options, option


def test_azd_commands_exist() -> None:
    for command in commands():
        if command.tool == "azd":
            assert command.name_in(AZD) is not None, command


def test_the_table_is_of_one_version_of_the_azure_cli() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", WRITTEN["version"])
