"""Messages that failed too often: each becomes a failed outcome in its run, so nothing dies silently."""

import logging

import azure.functions as func

from functions.application import now, services
from shared.logs import log

blueprint = func.Blueprint()
logger = logging.getLogger("steward.poison")


@blueprint.function_name("poisoned_registry_event")
@blueprint.queue_trigger(arg_name="message", queue_name="%EVENTS_QUEUE%-poison", connection="StewardStorage")
def poisoned_registry_event(message: func.QueueMessage) -> None:
    """Record an event that could not be received."""
    _record("registry-event", message)


@blueprint.function_name("poisoned_replication")
@blueprint.queue_trigger(
    arg_name="message", queue_name="%REPLICATION_QUEUE%-poison", connection="StewardStorage"
)
def poisoned_replication(message: func.QueueMessage) -> None:
    """Record a tag that could not be replicated."""
    _record("replicate-tag", message)


@blueprint.function_name("poisoned_cleanup")
@blueprint.queue_trigger(arg_name="message", queue_name="%CLEANUP_QUEUE%-poison", connection="StewardStorage")
def poisoned_cleanup(message: func.QueueMessage) -> None:
    """Record a repository that could not be cleaned."""
    _record("clean-repository", message)


def _record(origin: str, message: func.QueueMessage) -> None:
    from shared.jobs.poisoned import record_poison

    record = record_poison(services(), origin, message.id or "", message.get_body(), now=now())
    log(logger, "message failed too often", record.log_fields(), level=logging.ERROR)
