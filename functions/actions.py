"""HTTP: what a person may set going. Each answers at once; the queues do the work."""

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import azure.functions as func

from functions.application import now, services
from functions.http import Refused, answer, text_member

if TYPE_CHECKING:
    from shared.jobs.runs import Run

blueprint = func.Blueprint()

KINDS: Final = ("night", "reconciliation")
POISON_NAME: Final = r"poison/[a-z-]{1,40}/[0-9]{4}-[0-9]{2}-[0-9]{2}/[A-Za-z0-9_-]{1,200}\.json"
"""Stricter than storage: no name leads out of the records, however it is normalised on its way."""


@blueprint.function_name("start_run")
@blueprint.route(route="runs", methods=["POST"])
def start_run(req: func.HttpRequest) -> func.HttpResponse:
    """Open a run as its timer would; whether it removes anything is up to ``CLEANUP_MODE`` alone.

    A reconciliation that is still going on is answered with instead of opening another.
    """
    return answer(
        lambda: _start(text_member(req, "kind")),
        HTTPStatus.ACCEPTED,
        location=lambda run: f"/api/runs/{run['run']}",
    )


@blueprint.function_name("replay_poison")
@blueprint.route(route="poison/replay", methods=["POST"])
def replay_poison(req: func.HttpRequest) -> func.HttpResponse:
    """Send one message that failed too often to its queue again, and drop its record."""

    def find() -> dict[str, Any] | None:
        from shared.jobs.replaying import replay

        name = text_member(req, "name")
        if not re.fullmatch(POISON_NAME, name, re.ASCII):
            raise Refused(HTTPStatus.BAD_REQUEST, f"name: {name[:140]!r} is not the name of a record")
        replayed = replay(services(), name)
        return None if replayed is None else replayed.to_json()

    return answer(find, HTTPStatus.ACCEPTED)


def _start(kind: str) -> dict[str, Any]:
    moment = now()
    run: Run
    match kind:
        case "night":
            from shared.jobs.nightly import start_night

            run = start_night(services(), now=moment)
        case "reconciliation":
            from shared.jobs.reconciling import start_reconciliation

            run = start_reconciliation(services(), now=moment)
        case _:
            raise Refused(HTTPStatus.BAD_REQUEST, f"kind: {kind[:40]!r}, expected {' or '.join(KINDS)}")
    return {**run.to_json(), "opened": run.started == moment}
