from pathlib import Path

import click

from cli.options import settings_option
from cli.output import Output
from cli.verbs import verb


@verb(
    examples=("steward reconcile", "steward reconcile --apply"),
    shape='{"applied", "run": null or "...", "compared", "drift": [{"state", "target", "source", "route", '
    '"found", "wanted"}], "problems": []}',
)
@click.option("--apply", is_flag=True, help="Have the app compare and mend everything now.")
@settings_option
def reconcile(output: Output, *, apply: bool, settings: Path | None) -> int:
    """Say how the targets of replication differ from their sources, or have the app mend that.

    Without --apply nothing changes. With it, the app's own reconciliation starts, which copies what is
    missing or different and reports the rest.
    """
    from cli.appservices import app_services
    from cli.reconciling import reconcile as compare

    return compare(output, app_services(settings), apply=apply)
