"""A sample registry event, as Event Grid would send it, for trying the app out."""

import json
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import requests

from cli.appservices import app_services
from cli.exits import FAILED, Failure
from cli.output import Output
from cli.places import parse_item
from shared.oci.manifest import digest_of
from shared.oci.media_types import OCI_MANIFEST
from shared.oci.names import Reference
from shared.replication.events import parse_registry_events

type Schema = Literal["cloudevents", "eventgrid"]

_TIMEOUT = 60


def send_event(
    output: Output,
    place: str,
    *,
    url: str | None,
    settings: Path | None,
    schema: Schema,
    show: bool,
) -> int:
    """Post a push event to the app's trigger, or leave it in the events queue; or only print it."""
    event = sample_event(parse_item(place), schema=schema, now=datetime.now(UTC))
    parse_registry_events(event)
    if show:
        output.document(event)
        return 0
    sent_to = _post(url, event, schema) if url is not None else _queue(settings, event)
    if output.json:
        output.document({"sent_to": sent_to, "event": event})
    else:
        output.say(f"sent {event['id']} to {sent_to}")
        output.note("steward runs list shows what the app makes of it")
    return 0


def sample_event(reference: Reference, *, schema: Schema, now: datetime) -> dict[str, Any]:
    """Return the event of a push (Azure Event Grid, "Container Registry as a source").

    Without a digest it has a made-up one: the app resolves the tag anyway.
    """
    name = reference.registry.partition(".")[0].partition(":")[0]
    source = (
        "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/sample/providers"
        f"/Microsoft.ContainerRegistry/registries/{name}"
    )
    digest = reference.digest or digest_of(str(reference).encode())
    target = {
        "mediaType": OCI_MANIFEST,
        "size": 1024,
        "length": 1024,
        "digest": digest,
        "repository": reference.repository,
        **({} if reference.tag is None else {"tag": reference.tag}),
    }
    data = {
        "id": str(uuid.uuid4()),
        "timestamp": now.isoformat(),
        "action": "push",
        "target": target,
        "request": {
            "id": str(uuid.uuid4()),
            "host": reference.registry,
            "method": "PUT",
            "useragent": "steward events send",
        },
    }
    kind = "Microsoft.ContainerRegistry.ImagePushed"
    subject = f"{reference.repository}:{reference.tag}" if reference.tag else str(reference.repository)
    if schema == "cloudevents":
        return {
            "specversion": "1.0",
            "id": str(uuid.uuid4()),
            "source": source,
            "type": kind,
            "subject": subject,
            "time": now.isoformat(),
            "data": data,
        }
    return {
        "id": str(uuid.uuid4()),
        "topic": source,
        "subject": subject,
        "eventType": kind,
        "eventTime": now.isoformat(),
        "data": data,
        "dataVersion": "1.0",
        "metadataVersion": "1",
    }


def _post(url: str, event: dict[str, Any], schema: Schema) -> str:
    """Deliver it as Event Grid does to a webhook; the address may hold a key, and is not repeated."""
    content_type = "application/cloudevents+json" if schema == "cloudevents" else "application/json"
    body = event if schema == "cloudevents" else [event]
    headers = {"aeg-event-type": "Notification", "Content-Type": content_type}
    host = url.split("?", 1)[0]
    try:
        answer = requests.post(url, data=json.dumps(body), headers=headers, timeout=_TIMEOUT)
    except requests.RequestException as error:
        raise Failure(
            f"{host} does not answer: {type(error).__name__}",
            hint="the webhook is at /runtime/webhooks/eventgrid?functionName=on_registry_event&code=KEY",
            code=FAILED,
        ) from None
    if not answer.ok:
        raise Failure(f"{host} answers {answer.status_code}: {answer.text[:300]}", code=FAILED)
    return host


def _queue(settings: Path | None, event: dict[str, Any]) -> str:
    services = app_services(settings)
    services.events_queue.send_text(json.dumps(event))
    return f"queue {services.events_queue.name}"
