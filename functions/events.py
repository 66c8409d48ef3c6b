"""Registry events: from Event Grid directly, or through a Storage queue; one body for both."""

import logging
from typing import Any

import azure.functions as func

from functions.application import now, services
from shared.logs import log

blueprint = func.Blueprint()
logger = logging.getLogger("steward.events")


@blueprint.function_name("on_registry_event")
@blueprint.event_grid_trigger(arg_name="event")
def on_registry_event(event: func.EventGridEvent) -> None:
    """Take an event that Event Grid posts to the app, in either schema."""
    _receive(_envelope(event))


@blueprint.function_name("on_queued_registry_event")
@blueprint.queue_trigger(arg_name="message", queue_name="%EVENTS_QUEUE%", connection="StewardStorage")
def on_queued_registry_event(message: func.QueueMessage) -> None:
    """Take an event that Event Grid left in the queue, in either schema."""
    _receive(message.get_body())


def _receive(body: bytes | dict[str, Any]) -> None:
    from shared.jobs.receiving import receive_events

    for received in receive_events(services(), body, now=now()):
        log(logger, "received registry event", received.log_fields())


def _envelope(event: func.EventGridEvent | func.CloudEvent) -> dict[str, Any]:
    """Put the event back into the form it was sent in; the worker picks the class by the body's schema."""
    if isinstance(event, func.CloudEvent):
        return {
            "specversion": event.specversion,
            "id": event.id,
            "source": event.source,
            "type": event.type,
            "subject": event.subject,
            "time": None if event.time is None else event.time.isoformat(),
            "data": event.get_json(),
        }
    return {
        "id": event.id,
        "topic": event.topic,
        "subject": event.subject,
        "eventType": event.event_type,
        "eventTime": None if event.event_time is None else event.event_time.isoformat(),
        "data": event.get_json(),
    }
