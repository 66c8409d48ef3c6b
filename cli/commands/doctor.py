from pathlib import Path

import click

from cli.access import Access, access_options
from cli.options import LOGIN_SERVER, settings_option
from cli.output import Output
from cli.verbs import verb
from shared.oci.names import LoginServer


@verb(
    examples=(
        "steward doctor myreg.azurecr.io",
        "steward doctor docker.io",
        "steward doctor --settings local.settings.json",
    ),
    shape='{"well", "findings": [{"check", "level": "ok", "warning" or "failure", "text", "remedy"}]}',
)
@click.argument("registries", nargs=-1, type=LOGIN_SERVER, metavar="[LOGIN_SERVER]...")
@settings_option
@access_options
def doctor(
    output: Output, *, registries: tuple[LoginServer, ...], settings: Path | None, access: Access
) -> int:
    """Say what is missing for it all to work, and how to mend it; nothing is changed.

    With registries, what you yourself may do there. Without, everything that the app's settings name:
    settings, policy, storage, queues, registries, Docker Hub.
    """
    from cli.doctor import examine

    return examine(output, registries, settings=settings, access=access)
