"""One repository per message: planned, cleaned as planned, or compared with its targets."""

from collections.abc import Callable
from datetime import datetime

from shared.jobs.cleaning import Step, clean
from shared.jobs.comparing import compare_repository
from shared.jobs.delivery import FIRST, Delivery
from shared.jobs.services import Services
from shared.messages import ReconcileRepository, parse_message


def work_on_repository(
    services: Services, body: bytes, *, clock: Callable[[], datetime], delivery: Delivery = FIRST
) -> Step:
    """Carry out one message of the cleanup queue.

    :raises InvalidMessage: when the body is no message of ours; it ends in the poison queue.
    :raises StewardError: of a temporary kind.
    """
    message = parse_message(body)
    if isinstance(message, ReconcileRepository):
        return compare_repository(services, message, clock=clock)
    return clean(services, body, clock=clock, delivery=delivery)
