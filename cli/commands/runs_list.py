from pathlib import Path

import click

from cli.options import settings_option
from cli.output import Output
from cli.verbs import verb


@verb(
    examples=("steward runs list", "steward runs list --limit 5 --settings local.settings.json --json"),
    shape='{"runs": [{"run", "kind", "state", "started", "repositories", "planned", "done", ...}]}',
)
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many.")
@settings_option
def runs_list(output: Output, *, limit: int, settings: Path | None) -> int:
    """List the newest runs of the app, newest first."""
    from cli.appservices import app_services
    from cli.runview import list_runs

    return list_runs(output, app_services(settings), limit=limit)
