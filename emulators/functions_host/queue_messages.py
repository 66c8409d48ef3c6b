"""Texts of queue messages and what the worker is told about them."""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from azure.storage.queue import QueueMessage

from emulators.functions_host.host_json import Encoding
from emulators.functions_host.protos import TypedData


def encode_body(body: bytes, encoding: Encoding) -> str:
    return base64.b64encode(body).decode() if encoding == "base64" else body.decode()


def decode_body(text: str, encoding: Encoding) -> bytes:
    """Return the body of a message's text; ValueError when it is not what the encoding promises."""
    if encoding == "none":
        return text.encode()
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error


def as_input(body: bytes) -> TypedData:
    try:
        return TypedData(string=body.decode())
    except UnicodeDecodeError:
        return TypedData(bytes=body)


def trigger_metadata(message: QueueMessage, body: bytes) -> Mapping[str, TypedData]:
    """Return what the host tells the worker about a message: strings as strings, all else as JSON."""
    moments = {
        "InsertionTime": message.inserted_on,
        "ExpirationTime": message.expires_on,
        "NextVisibleTime": message.next_visible_on,
    }
    return {
        "QueueTrigger": TypedData(string=body.decode(errors="replace")),
        "Id": TypedData(string=message.id),
        "PopReceipt": TypedData(string=str(message.pop_receipt)),
        "DequeueCount": TypedData(json=json.dumps(message.dequeue_count)),
        **{
            name: TypedData(json=json.dumps(moment.isoformat())) for name, moment in moments.items() if moment
        },
    }


def message_bodies(value: TypedData) -> list[bytes]:
    """Return the bodies of the messages that one output value stands for: a list makes one of each item."""
    match value.kind:
        case "string":
            return [value.value.encode()]
        case "bytes":
            return [bytes(value.value)]
        case "json":
            document = json.loads(value.value)
            items = document if isinstance(document, list) else [document]
            return [_body_of(item) for item in items]
    return [str(value.value).encode()]


def _body_of(item: Any) -> bytes:
    if isinstance(item, str):
        return item.encode()
    # azure.functions writes a QueueMessage as this object; the host sends its body.
    if isinstance(item, dict) and item.keys() == {"id", "body"}:
        return str(item["body"]).encode()
    return json.dumps(item).encode()
