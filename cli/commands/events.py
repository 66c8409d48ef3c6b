from typing import Final

import click

from cli.verbs import Group, Sections, Verb

SECTIONS: Final[Sections] = {
    "Commands": {"send": Verb("cli.commands.events_send:events_send", "Send a sample push event to the app")},
}


@click.group(cls=Group, sections=SECTIONS)
def events() -> None:
    """Try the app's event triggers out."""
