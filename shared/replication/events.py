"""Registry events as Azure Event Grid delivers them, in either of its schemas.

An event is a hint that something happened: it may come twice, late, out of order, or not at all. Most
manifests of a multi-platform image are pushed without a tag, so an event without one is in order.
"""

import base64
import binascii
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from shared.errors import InvalidEvent, InvalidName
from shared.oci.names import (
    Digest,
    LoginServer,
    RepositoryName,
    TagName,
    parse_digest,
    parse_login_server,
    parse_repository,
    parse_tag,
)

type EventKind = Literal["push", "delete", "chart_push", "chart_delete"]

MAX_EVENT_BYTES: Final = 1024 * 1024
"""Event Grid takes no event, and delivers no batch, above 1 MiB."""

_KINDS: Final[Mapping[str, EventKind]] = {
    "imagepushed": "push",
    "imagedeleted": "delete",
    "chartpushed": "chart_push",
    "chartdeleted": "chart_delete",
}
_REGISTRIES: Final = "registries"
_CLOUD_EVENTS: Final = "1."


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryEvent:
    """Something was pushed to a repository of a registry, or deleted from it.

    ``registry_name`` is the Azure resource; the login server cannot be made from it, so ``login_server``
    is ``None`` where the event does not say which host was asked (charts, connected registries).
    """

    id: str
    kind: EventKind
    registry_name: str
    login_server: LoginServer | None
    repository: RepositoryName
    tag: TagName | None
    digest: Digest | None
    media_type: str | None
    occurred_at: datetime


def parse_registry_events(body: object) -> tuple[RegistryEvent, ...]:
    """Return the events in the body: text, bytes or parsed JSON, one or an array, perhaps in base64.

    :raises InvalidEvent: naming the place, when any of them cannot be understood.
    """
    parsed = _load(body) if isinstance(body, str | bytes) else body
    if isinstance(parsed, Sequence) and not isinstance(parsed, str | bytes):
        if not parsed:
            raise InvalidEvent("an empty array of events")
        return tuple(_parse(event, f"[{position}]") for position, event in enumerate(parsed))
    return (_parse(parsed, ""),)


def _load(body: str | bytes) -> object:
    if len(body) > MAX_EVENT_BYTES * 4 // 3 + 4:
        raise InvalidEvent(f"event of {len(body)} bytes; the most that is read is {MAX_EVENT_BYTES}")
    try:
        content = body.encode() if isinstance(body, str) else body
    except UnicodeEncodeError as error:
        raise InvalidEvent("event is not Unicode text") from error
    content = content.removeprefix(b"\xef\xbb\xbf").strip()
    if not content.startswith((b"{", b"[")):
        try:
            content = base64.b64decode(content, validate=True).removeprefix(b"\xef\xbb\xbf")
        except binascii.Error as error:
            raise InvalidEvent("event is neither JSON nor base64 of JSON") from error
    if len(content) > MAX_EVENT_BYTES:
        raise InvalidEvent(f"event of {len(content)} bytes; the most that is read is {MAX_EVENT_BYTES}")
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InvalidEvent(f"event is not JSON: {error}") from error


def _parse(event: object, place: str) -> RegistryEvent:
    """Read one envelope; its keys are compared without case, as samples in the wild differ in it."""
    if not isinstance(event, Mapping):
        raise InvalidEvent(f"{place or 'event'}: {type(event).__name__}, expected an object")
    envelope = _Fields(event, place)
    if envelope.optional("specversion") is not None:
        version = envelope.text("specversion")
        if not version.startswith(_CLOUD_EVENTS):
            raise InvalidEvent(f"{envelope.at('specversion')}: {version!r}, this app reads CloudEvents 1.0")
        source, kind, time = envelope.text("source"), envelope.text("type"), envelope.text("time")
        kind_at, source_at, time_at = "type", "source", "time"
    elif envelope.optional("eventType") is not None:
        source, kind, time = envelope.text("topic"), envelope.text("eventType"), envelope.text("eventTime")
        kind_at, source_at, time_at = "eventType", "topic", "eventTime"
    else:
        raise InvalidEvent(
            f"{place or 'event'}: neither CloudEvents (specversion) nor the Event Grid schema (eventType)"
        )
    known = _KINDS.get(kind.rpartition(".")[2].lower())
    if known is None:
        raise InvalidEvent(f"{envelope.at(kind_at)}: {kind[:140]!r} is no event of a container registry")
    data = _data(envelope)
    target = data.object("target")
    request = data.object("request", required=False)
    return RegistryEvent(
        id=envelope.text("id"),
        kind=known,
        registry_name=_registry_name(source, envelope.at(source_at)),
        login_server=request.named("host", parse_login_server),
        repository=target.required_name("repository", parse_repository),
        tag=target.named("tag", parse_tag),
        digest=target.named("digest", parse_digest),
        media_type=target.optional_text("mediaType"),
        occurred_at=_time(time, envelope.at(time_at)),
    )


def _data(envelope: "_Fields") -> "_Fields":
    encoded = envelope.optional("data_base64")
    if encoded is None or envelope.optional("data") is not None:
        return envelope.object("data")
    try:
        decoded = json.loads(base64.b64decode(envelope.text("data_base64"), validate=True))
    except (ValueError, RecursionError) as error:
        raise InvalidEvent(f"{envelope.at('data_base64')}: not base64 of JSON") from error
    if not isinstance(decoded, dict):
        raise InvalidEvent(f"{envelope.at('data_base64')}: {type(decoded).__name__}, expected an object")
    return _Fields(decoded, envelope.at("data_base64"))


def _registry_name(source: str, place: str) -> str:
    """Return the name after ``registries`` in the resource id; connected registries add segments to it."""
    segments = source.strip("/").split("/")
    for kind, name in itertools.pairwise(segments):
        if kind.lower() == _REGISTRIES and name:
            return name
    raise InvalidEvent(f"{place}: {source[:300]!r} is not the resource id of a container registry")


def _time(text: str, place: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidEvent(f"{place}: {text[:60]!r} is not a time") from error
    if time.tzinfo is None:
        raise InvalidEvent(f"{place}: {text!r} has no offset from UTC")
    return time


class _Fields:
    """An object of the event whose keys are found whatever their case, and whose errors name the place."""

    def __init__(self, values: Mapping[Any, Any], place: str) -> None:
        self._values = {str(key).lower(): value for key, value in values.items()}
        self._place = place

    def at(self, key: str) -> str:
        return f"{self._place}.{key}".removeprefix(".")

    def optional(self, key: str) -> Any:
        return self._values.get(key.lower())

    def optional_text(self, key: str) -> str | None:
        value = self.optional(key)
        if value is None or isinstance(value, str):
            return value or None
        raise InvalidEvent(f"{self.at(key)}: {type(value).__name__}, expected a text")

    def text(self, key: str) -> str:
        value = self.optional_text(key)
        if value is None:
            raise InvalidEvent(f"{self.at(key)}: missing")
        return value

    def object(self, key: str, *, required: bool = True) -> "_Fields":
        value = self.optional(key)
        if value is None and not required:
            return _Fields({}, self.at(key))
        if not isinstance(value, Mapping):
            what = "missing" if value is None else f"{type(value).__name__}, expected an object"
            raise InvalidEvent(f"{self.at(key)}: {what}")
        return _Fields(value, self.at(key))

    def named[N](self, key: str, parse: Callable[[str], N]) -> N | None:
        text = self.optional_text(key)
        if text is None:
            return None
        try:
            return parse(text)
        except InvalidName as error:
            raise InvalidEvent(f"{self.at(key)}: {error}") from error

    def required_name[N](self, key: str, parse: Callable[[str], N]) -> N:
        found = self.named(key, parse)
        if found is None:
            raise InvalidEvent(f"{self.at(key)}: missing")
        return found
