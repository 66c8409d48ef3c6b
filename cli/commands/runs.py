from typing import Final

import click

from cli.verbs import Group, Sections, Verb

SECTIONS: Final[Sections] = {
    "Commands": {
        "list": Verb("cli.commands.runs_list:runs_list", "List the newest runs"),
        "show": Verb("cli.commands.runs_show:runs_show", "Show a run, or one repository of it; or follow it"),
    },
}


@click.group(cls=Group, sections=SECTIONS)
def runs() -> None:
    """See what the deployed app did, and is doing."""
