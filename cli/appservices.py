"""The app's own services, from the settings it has: of the environment, or of a local.settings.json."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from cli.exits import Failure
from shared.errors import InvalidSettings
from shared.jobs.services import Services
from shared.settings import Settings, load_settings
from shared.wiring import wire

HINT: Final = (
    "run it where the app's settings are in the environment, or give --settings local.settings.json; "
    "docs/settings.md describes each"
)


def environment(settings_file: Path | None) -> Mapping[str, str]:
    """Return the app's environment; what the file holds comes before what is around us.

    :raises Failure: when the file is no local.settings.json.
    """
    if settings_file is None:
        return os.environ
    try:
        values: Any = json.loads(settings_file.read_text(encoding="utf-8"))["Values"]
        found = {str(name): str(value) for name, value in values.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Failure(f"{settings_file} is no local.settings.json: it has no Values") from error
    return {**os.environ, **found}


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
