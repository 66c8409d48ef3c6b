from pathlib import Path

import click

from cli.options import settings_option
from cli.output import Output
from cli.verbs import verb


@verb(
    examples=("steward replay", "steward replay --all", "steward replay --dead-letters dead-letter"),
    shape='{"poison": [{"name", "origin", "recorded", "text"}]}, or once sent '
    '{"replayed": [{"name", "queue", "error"}]}',
)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--all", "everything", is_flag=True, help="Send all of them again.")
@click.option("--dead-letters", metavar="CONTAINER", help="Send again what Event Grid left in a container.")
@settings_option
def replay(
    output: Output,
    *,
    names: tuple[str, ...],
    everything: bool,
    dead_letters: str | None,
    settings: Path | None,
) -> int:
    """List the messages that failed too often, or send them again.

    Mend what stopped them first. A message that comes twice does no harm.
    """
    from cli.appservices import app_services
    from cli.replays import list_given_up, replay_all, replay_dead_letters

    services = app_services(settings)
    if dead_letters is not None:
        return replay_dead_letters(output, services, dead_letters)
    if names or everything:
        return replay_all(output, services, names)
    return list_given_up(output, services)
