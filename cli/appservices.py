"""The app's own services, from the settings it has: of the environment, or of a local.settings.json."""

import os
from pathlib import Path
from typing import Final

from cli.appsettings import environment
from cli.exits import Failure
from shared.errors import InvalidSettings
from shared.jobs.services import Services
from shared.settings import Settings, load_settings
from shared.wiring import wire

HINT: Final = (
    "run it where the app's settings are in the environment, or give --settings local.settings.json; "
    "docs/settings.md describes each"
)


def app_settings(settings_file: Path | None) -> Settings:
    """Return the app's settings.

    :raises Failure: listing every problem.
    """
    try:
        return load_settings(environment(settings_file))
    except InvalidSettings as error:
        problems = "\n  ".join(str(problem) for problem in error.problems)
        raise Failure(f"the app's settings cannot be used:\n  {problems}", hint=HINT) from None


def app_services(settings_file: Path | None) -> Services:
    """Return the app's services, wired; nothing is called yet.

    The identity that azure-identity finds must be the one that the settings name, so what the file says of
    it goes into this process's environment.
    """
    found = environment(settings_file)
    for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER", "AZURE_CLIENT_ID"):
        if name in found:
            os.environ[name] = found[name]
    return wire(app_settings(settings_file))
