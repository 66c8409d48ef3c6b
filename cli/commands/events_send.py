from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.options import settings_option
from cli.output import Output
from cli.verbs import verb

if TYPE_CHECKING:
    from cli.events import Schema


@verb(
    examples=(
        "steward events send myreg.azurecr.io/team/app:v1.2",
        'steward events send myreg.azurecr.io/team/app:v1.2 --url "$WEBHOOK"',
        "steward events send myreg.azurecr.io/team/app:v1.2 --print",
    ),
    shape='{"sent_to", "event": {...}}',
)
@click.argument("reference")
@click.option("--url", help="The app's Event Grid webhook, local or deployed; else its events queue.")
@click.option(
    "--schema",
    type=click.Choice(["cloudevents", "eventgrid"]),
    default="cloudevents",
    show_default=True,
    help="Both are understood.",
)
@click.option("--print", "show", is_flag=True, help="Print the event, and send nothing.")
@settings_option
def events_send(
    output: Output, *, reference: str, url: str | None, schema: "Schema", show: bool, settings: Path | None
) -> int:
    """Tell the app that an image was pushed, as Event Grid would.

    The webhook of an app is /runtime/webhooks/eventgrid?functionName=on_registry_event&code=KEY.
    """
    from cli.events import send_event

    return send_event(output, reference, url=url, settings=settings, schema=schema, show=show)
