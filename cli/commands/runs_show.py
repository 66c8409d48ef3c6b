from pathlib import Path

import click

from cli.options import settings_option
from cli.output import Output
from cli.verbs import verb


@verb(
    examples=(
        "steward runs show night-20270101t020000000000z --follow",
        "steward runs show night-20270101t020000000000z myreg.azurecr.io/team/app",
    ),
    shape='{"run", "kind", "state", "mode", "started", "repositories", "planned", "done", "missing", '
    '"refused", "parts": [{"registry", "repository", "state", "counts"}]}; of a repository its stored report',
)
@click.argument("run")
@click.argument("repository", required=False)
@click.option("-f", "--follow", is_flag=True, help="Wait until it ends.")
@settings_option
def runs_show(
    output: Output, *, run: str, repository: str | None, follow: bool, settings: Path | None
) -> int:
    """Show how far a run is and what it did; with a REPOSITORY, every item and its reason."""
    from cli.appservices import app_services
    from cli.runview import show_repository, show_run

    services = app_services(settings)
    if repository is not None:
        return show_repository(output, services, run, repository)
    return show_run(output, services, run, follow=follow)
