from typing import Final

import click

from cli.verbs import Group, Sections, Verb

SECTIONS: Final[Sections] = {
    "Commands": {
        "check": Verb("cli.commands.policy_check:policy_check", "Say everything that is wrong with a policy"),
        "test": Verb("cli.commands.policy_test:policy_test", "Run cases: what must stay and what must go"),
        "init": Verb("cli.commands.policy_init:policy_init", "Propose a first policy for a registry"),
        "schema": Verb("cli.commands.policy_schema:policy_schema", "Print the JSON Schema, for editors"),
    },
}


@click.group(cls=Group, sections=SECTIONS)
def policy() -> None:
    """Check, test and write policies."""
