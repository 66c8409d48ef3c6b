"""Options that several verbs have, each with one meaning."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from shared.errors import InvalidName
from shared.oci.names import LoginServer, parse_login_server


class LoginServerType(click.ParamType[LoginServer]):
    """A login server, checked where it is written."""

    name = "login server"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> LoginServer:
        """Return the login server that the text names."""
        try:
            return parse_login_server(value)
        except InvalidName as error:
            self.fail(str(error), param, ctx)


LOGIN_SERVER = LoginServerType()
POLICY_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

registry_option = click.option(
    "--registry",
    type=LOGIN_SERVER,
    metavar="LOGIN_SERVER",
    envvar="STEWARD_REGISTRY",
    help="Such as myreg.azurecr.io, docker.io or localhost:5000; else STEWARD_REGISTRY, or what REPOSITORY "
    "says.",
)
policy_option = click.option(
    "--policy",
    type=POLICY_FILE,
    metavar="FILE",
    required=True,
    envvar="STEWARD_POLICY",
    help="The policy document; else STEWARD_POLICY.",
)
at_option = click.option(
    "--at", metavar="ISO_TIME", help="Judge ages as of this time (UTC unless it says otherwise); default now."
)
yes_option = click.option("--yes", is_flag=True, help="Do not ask; for scripts.")
settings_option = click.option(
    "--settings",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The app's local.settings.json; else its settings are in the environment.",
)


def times_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say where the ages of replicas on Docker Hub come from."""
    ledger = click.option(
        "--settings",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="FILE",
        help="For Docker Hub: the app's local.settings.json, whose ledger knows how old replicas are.",
    )
    own = click.option(
        "--own-times", is_flag=True, help="For Docker Hub: nothing is replicated there; its times are true."
    )
    return ledger(own(function))
