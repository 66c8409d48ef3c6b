"""HTTP: is the app well, and what did its runs do. Read-only; every answer is JSON."""

import json
import logging
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

import azure.functions as func

from functions.application import services
from shared.errors import InvalidName, InvalidSettings, StewardError
from shared.messages import parse_run
from shared.oci.names import parse_login_server, parse_repository

blueprint = func.Blueprint()
logger = logging.getLogger("steward.api")

DEFAULT_LIMIT: Final = 50
LARGEST_LIMIT: Final = 1000


@blueprint.function_name("health")
@blueprint.route(route="health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def health(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 (the binding's name)
    """Say that the app runs; nothing outside it is asked."""
    return _json({"status": "ok"})


@blueprint.function_name("readiness")
@blueprint.route(route="health/ready", methods=["GET"])
def ready(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001
    """Say whether settings, policy and storage can be used, and what is wrong with each."""
    from shared.jobs.status import readiness

    try:
        checks = {"settings": None, **readiness(services())}
    except InvalidSettings as error:
        checks = {"settings": str(error)}
    well = not any(checks.values())
    status = HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE
    return _json({"status": "ready" if well else "not ready", "checks": checks}, status)


@blueprint.function_name("list_runs")
@blueprint.route(route="runs", methods=["GET"])
def list_runs(req: func.HttpRequest) -> func.HttpResponse:
    """Name the newest runs; ``limit`` says how many."""
    from shared.jobs import status

    return _answer(lambda: {"runs": status.list_runs(services(), limit=_limit(req))})


@blueprint.function_name("show_run")
@blueprint.route(route="runs/{run}", methods=["GET"])
def show_run(req: func.HttpRequest) -> func.HttpResponse:
    """Sum up one run."""
    from shared.jobs import status

    return _answer(lambda: status.run_summary(services(), parse_run(req.route_params["run"])))


@blueprint.function_name("list_replications")
@blueprint.route(route="runs/{run}/replications", methods=["GET"])
def list_replications(req: func.HttpRequest) -> func.HttpResponse:
    """List the tags that a run replicated, and what became of each."""
    from shared.jobs import status

    return _answer(
        lambda: {
            "replications": status.replications(
                services(), parse_run(req.route_params["run"]), limit=_limit(req)
            )
        }
    )


@blueprint.function_name("show_report")
@blueprint.route(route="runs/{run}/repositories/{registry}/{*repository}", methods=["GET"])
def show_report(req: func.HttpRequest) -> func.HttpResponse:
    """Show what was planned and done in one repository, with the reason of every verdict."""
    from shared.jobs import status

    return _answer(
        lambda: status.repository_report(
            services(),
            parse_run(req.route_params["run"]),
            parse_login_server(req.route_params["registry"]),
            parse_repository(req.route_params["repository"]),
        )
    )


@blueprint.function_name("list_poison")
@blueprint.route(route="poison", methods=["GET"])
def list_poison(req: func.HttpRequest) -> func.HttpResponse:
    """Name the messages that failed too often."""
    return _answer(lambda: {"poison": list(services().poison.names())[: _limit(req)]})


class _BadRequest(Exception):
    """The request cannot be understood."""


def _limit(req: func.HttpRequest) -> int:
    text = req.params.get("limit", str(DEFAULT_LIMIT))
    if not re.fullmatch(r"[1-9][0-9]{0,3}", text, re.ASCII) or int(text) > LARGEST_LIMIT:
        raise _BadRequest(f"limit: {text[:20]!r}, expected 1 to {LARGEST_LIMIT}")
    return int(text)


def _answer(find: Callable[[], dict[str, Any] | None]) -> func.HttpResponse:
    try:
        found = find()
    except (InvalidName, _BadRequest) as error:
        return _problem(HTTPStatus.BAD_REQUEST, str(error))
    except InvalidSettings as error:
        return _problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
    except StewardError as error:
        logger.exception("cannot answer")
        return _problem(HTTPStatus.BAD_GATEWAY, str(error))
    return _problem(HTTPStatus.NOT_FOUND, "there is nothing of that name") if found is None else _json(found)


def _json(body: object, status: HTTPStatus = HTTPStatus.OK) -> func.HttpResponse:
    return func.HttpResponse(
        json.dumps(body, ensure_ascii=False), status_code=status, mimetype="application/json"
    )


def _problem(status: HTTPStatus, detail: str) -> func.HttpResponse:
    """Answer with problem details (RFC 9457)."""
    body = {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail}
    return func.HttpResponse(
        json.dumps(body, ensure_ascii=False), status_code=status, mimetype="application/problem+json"
    )
