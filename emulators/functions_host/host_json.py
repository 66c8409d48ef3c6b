import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from emulators.functions_host.errors import HostError

_DEFAULT_TIMEOUT: float | None = 1800.0
_TIMESPAN = re.compile(r"(?:(\d+)\.)?(\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d+)?))?")

_OVERRIDE = "AzureFunctionsJobHost__"

type Encoding = Literal["base64", "none"]


def parse_timespan(text: str) -> float:
    """Seconds of a .NET time span such as `00:00:30` or `1.06:00:00`."""
    match = _TIMESPAN.fullmatch(text.strip())
    if match is None or int(match[2]) > 23 or int(match[3]) > 59 or float(match[4] or 0) >= 60:  # noqa: PLR2004
        raise ValueError(f"{text!r} is not a time span such as '00:00:30'")
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueOptions:
    """`extensions.queues` of host.json, with the host's defaults."""

    batch_size: int = 16
    new_batch_threshold: int = 8
    max_dequeue_count: int = 5
    visibility_timeout: float = 0.0
    message_encoding: Encoding = "base64"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostOptions:
    """The parts of host.json that this host honours."""

    route_prefix: str = "api"
    function_timeout: float | None = _DEFAULT_TIMEOUT
    queues: QueueOptions = field(default_factory=QueueOptions)
    log_levels: Mapping[str, str] = field(default_factory=dict)


class _Reader:
    """Reads typed values by dotted path, from app settings first; each failure names the place."""

    def __init__(self, document: Mapping[str, Any], source: Path, settings: Mapping[str, str]) -> None:
        self._document = document
        self._source = source
        self._settings = {name.lower(): value for name, value in settings.items()}

    def get[T](self, path: str, parse: Callable[[Any], T], default: T) -> T:
        setting = _OVERRIDE + path.replace(".", "__")
        place, found = setting, self._settings.get(setting.lower())
        if found is None:
            place, found = f"{self._source}: {path}", self._in_document(path)
        if found is None:
            return default
        try:
            return parse(found)
        except (TypeError, ValueError) as error:
            raise HostError(f"{place}: {error}") from error

    def _in_document(self, path: str) -> Any:
        found: Any = self._document
        for step in path.split("."):
            found = found.get(step) if isinstance(found, Mapping) else None
        return found


def _between(low: int, high: int) -> Callable[[Any], int]:
    def parse(value: Any) -> int:
        if isinstance(value, str) and value.isascii() and value.isdigit():  # from an app setting
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError(f"{value!r} is not a whole number from {low} to {high}")
        return value

    return parse


def _timeout(value: Any) -> float | None:
    return None if str(value) in {"-1", "-00:00:00.0010000"} else parse_timespan(str(value))


def _encoding(value: Any) -> Encoding:
    match str(value).lower():
        case "base64":
            return "base64"
        case "none":
            return "none"
    raise ValueError(f"{value!r} is neither 'base64' nor 'none'")


def load_host_json(path: Path, settings: Mapping[str, str] | None = None) -> HostOptions:
    """Options of an app's host.json; every rejected value is named by its path.

    App settings such as `AzureFunctionsJobHost__extensions__queues__batchSize` come before the file
    ("Override host.json values", Azure Functions documentation).
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise HostError(f"{path} cannot be read: {error.strerror}; is this the app's folder?") from error
    except ValueError as error:
        raise HostError(f"{path} is not JSON: {error}") from error
    if not isinstance(document, dict) or document.get("version") != "2.0":
        raise HostError(f'{path}: "version" must be "2.0"')
    reader = _Reader(document, path, settings or {})
    batch_size = reader.get("extensions.queues.batchSize", _between(1, 32), 16)
    queues = QueueOptions(
        batch_size=batch_size,
        new_batch_threshold=reader.get(
            "extensions.queues.newBatchThreshold", _between(0, 1000), batch_size // 2
        ),
        max_dequeue_count=reader.get("extensions.queues.maxDequeueCount", _between(1, 1000), 5),
        visibility_timeout=reader.get(
            "extensions.queues.visibilityTimeout", lambda value: parse_timespan(str(value)), 0.0
        ),
        message_encoding=reader.get("extensions.queues.messageEncoding", _encoding, "base64"),
    )
    return HostOptions(
        route_prefix=reader.get("extensions.http.routePrefix", str, "api").strip("/"),
        function_timeout=reader.get("functionTimeout", _timeout, _DEFAULT_TIMEOUT),
        queues=queues,
        log_levels=reader.get("logging.logLevel", dict, {}),
    )
