"""Retention: a timer opens the night's run, a queue carries one repository per message."""

import logging
from datetime import UTC

import azure.functions as func

from functions.application import now, services
from shared.logs import log

blueprint = func.Blueprint()
logger = logging.getLogger("steward.retention")


@blueprint.function_name("start_nightly_run")
@blueprint.timer_trigger(arg_name="timer", schedule="%NIGHTLY_SCHEDULE%", run_on_startup=False)
def start_nightly_run(timer: func.TimerRequest) -> None:
    """Open a run over every repository that a rule names."""
    from shared.jobs.nightly import start_night

    opened = start_night(services(), now=now())
    log(logger, "opened nightly run", {**opened.log_fields(), "past_due": timer.past_due})


@blueprint.function_name("clean_repository")
@blueprint.queue_trigger(arg_name="message", queue_name="%CLEANUP_QUEUE%", connection="StewardStorage")
def clean_repository(message: func.QueueMessage) -> None:
    """Plan one repository, carry out its plan, or compare it with its targets."""
    from shared.jobs.delivery import Delivery
    from shared.jobs.repositories import work_on_repository

    queued = message.insertion_time
    if queued is not None and queued.tzinfo is None:
        queued = queued.replace(tzinfo=UTC)
    delivery = Delivery(number=message.dequeue_count or 1, queued=queued)
    step = work_on_repository(services(), message.get_body(), clock=now, delivery=delivery)
    log(logger, "worked on repository", step.log_fields())
