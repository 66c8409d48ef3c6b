"""Write ``azure_cli.json``: what the Azure CLI says of each command that this repository names.

Run by the interpreter of an environment that has ``azure-cli``, from the root, when a command is new:

    python -m tests.infra.write_azure_cli
"""

import importlib
import json
from typing import Any

from tests.infra.commands import AZURE_CLI, commands

ALSO = ("acr", "functionapp config", "functionapp keys", "role assignment", "storage account")
"""Groups that are described whole, so that the next sentence that names one of theirs needs no new file."""


def main() -> None:
    core: Any = importlib.import_module("azure.cli.core")
    loading: Any = importlib.import_module("azure.cli.core.file_util")
    cli = core.get_default_cli()
    loading.create_invoker_and_load_cmds_and_args(cli)
    table = cli.invocation.commands_loader.command_table
    everywhere = {"--debug", "--help", "-h", "--only-show-errors", "--output", "-o", "--query", "--verbose"}
    named = {command.name_in(set(table)) for command in commands() if command.tool == "az"}
    named |= {name for name in table if name.startswith(ALSO)}
    described = {}
    for name in named:
        if name is not None:
            settings = [argument.type.settings for argument in table[name].arguments.values()]
            options = {str(getattr(o, "target", o)) for each in settings for o in each["options_list"]}
            described[name] = {
                "options": sorted(options | everywhere | {"--subscription"}),
                "required": sorted(
                    str(getattr(each["options_list"][0], "target", each["options_list"][0]))
                    for each in settings
                    if each.get("required") and each["options_list"]
                ),
            }
    document = {"version": core.__version__, "commands": dict(sorted(described.items()))}
    AZURE_CLI.write_text(_compact(document), encoding="utf-8")


def _compact(document: dict[str, Any]) -> str:
    """Return JSON with one command on each line."""
    lines = ",\n".join(
        f"  {json.dumps(name)}: {json.dumps(described)}" for name, described in document["commands"].items()
    )
    return f'{{\n "version": {json.dumps(document["version"])},\n "commands": {{\n{lines}\n }}\n}}\n'


if __name__ == "__main__":
    main()
