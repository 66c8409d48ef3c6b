"""Replication: one tag per message, and a timer that looks for what the events missed."""

import logging

import azure.functions as func

from functions.application import now, services
from shared.logs import log

blueprint = func.Blueprint()
logger = logging.getLogger("steward.replication")


@blueprint.function_name("replicate_tag")
@blueprint.queue_trigger(arg_name="message", queue_name="%REPLICATION_QUEUE%", connection="StewardStorage")
def replicate_tag(message: func.QueueMessage) -> None:
    """Make one tag on the target equal to the source's."""
    from shared.jobs.replicating import replicate

    outcome = replicate(services(), message.get_body(), clock=now)
    log(logger, "replicated tag", outcome.log_fields())


@blueprint.function_name("start_reconciliation")
@blueprint.timer_trigger(arg_name="timer", schedule="%RECONCILE_SCHEDULE%", run_on_startup=False)
def start_reconciliation(timer: func.TimerRequest) -> None:
    """Queue a comparison of every routed repository with its targets, unless the last one is going on."""
    from shared.jobs.reconciling import start_reconciliation as start

    opened = start(services(), now=now())
    log(logger, "reconciling", {**opened.log_fields(), "past_due": timer.past_due})
