"""Events as Event Grid writes them for container registries, in both of its schemas."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

type Schema = Literal["CloudEventSchemaV1_0", "EventGridSchema"]
type Event = dict[str, Any]

_TYPES = {
    "push": "Microsoft.ContainerRegistry.ImagePushed",
    "delete": "Microsoft.ContainerRegistry.ImageDeleted",
    "chart_push": "Microsoft.ContainerRegistry.ChartPushed",
    "chart_delete": "Microsoft.ContainerRegistry.ChartDeleted",
}


def wrap(data: Mapping[str, Any], *, topic: str, schema: Schema, at: datetime) -> Event:
    """Return the event whose `data` a registry raised; ValueError for an action that raises none."""
    action = data["action"]
    if action not in _TYPES:
        raise ValueError(f"registries raise no event for the action {action!r}")
    # Deletes repeat the id of their data in the envelope, as in Microsoft's sample of ImageDeleted.
    event_id = str(data["id"]) if action == "delete" else str(uuid.uuid4())
    if schema == "CloudEventSchemaV1_0":
        return {
            "specversion": "1.0",
            "id": event_id,
            "source": topic,
            "type": _TYPES[action],
            "subject": _subject(data),
            "time": timestamp(at),
            "data": dict(data),
        }
    return {
        "id": event_id,
        "topic": topic,
        "subject": _subject(data),
        "eventType": _TYPES[action],
        "eventTime": timestamp(at),
        "data": dict(data),
        "dataVersion": "1.0",
        "metadataVersion": "1",
    }


def dead_letter(event: Event, *, schema: Schema, details: Mapping[str, Any]) -> Event:
    """Add to an event why and how it was given up; CloudEvents attribute names are all lower case."""
    if schema == "CloudEventSchemaV1_0":
        return event | {name.lower(): value for name, value in details.items()}
    return event | dict(details)


def timestamp(moment: datetime) -> str:
    """Write a UTC time with Azure's seven fractional digits."""
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}0Z"


def _subject(data: Mapping[str, Any]) -> str:
    target = data["target"]
    if data["action"].startswith("chart_"):
        return f"{target['name']}:{target['version']}"
    tag = target.get("tag")
    return f"{target['repository']}:{tag}" if tag else str(target["repository"])
