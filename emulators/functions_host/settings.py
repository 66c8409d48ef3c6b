import json
import re
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

from emulators.functions_host.errors import HostError

_PERCENT = re.compile(r"%([^%\s]+)%")


def load_settings(path: Path) -> dict[str, str]:
    """App settings from the `Values` of a local.settings.json."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise HostError(f"settings file {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise HostError(f"settings file {path} is not JSON: {error}") from error
    values = document.get("Values") if isinstance(document, dict) else None
    if not isinstance(values, dict):
        raise HostError(f'settings file {path} has no object named "Values"')
    if document.get("IsEncrypted"):
        raise HostError(f"settings file {path} is encrypted; run `func settings decrypt` first")
    for name, value in values.items():
        if not isinstance(value, str):
            raise HostError(f"settings file {path}: Values.{name} must be a string, as app settings are")
    return values


def apply_settings(values: Mapping[str, str], environment: MutableMapping[str, str]) -> tuple[str, ...]:
    """Set what the environment does not have yet; return the names it overrode, as Core Tools does."""
    overridden = tuple(name for name in values if name in environment and environment[name] != values[name])
    for name, value in values.items():
        environment.setdefault(name, value)
    return overridden


def resolve_percents(value: Any, settings: Mapping[str, str], *, where: str) -> Any:
    """Replace every `%NAME%` in the strings of a value by that app setting."""
    if isinstance(value, list):
        return [resolve_percents(item, settings, where=where) for item in value]
    if not isinstance(value, str):
        return value

    def setting(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in settings:
            raise HostError(f"{where}: app setting {name!r}, named by {value!r}, is not set")
        return settings[name]

    return _PERCENT.sub(setting, value)
