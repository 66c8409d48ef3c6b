"""Where the app's settings are: in the environment, or in a local.settings.json."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cli.exits import Failure


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
