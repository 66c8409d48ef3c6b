"""HTTP: reports as pages for people. They have no script, and need nothing from anywhere else."""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import azure.functions as func

from functions.application import services
from functions.http import HEADERS, Refused, as_refusal, nothing
from shared.errors import StewardError
from shared.messages import parse_run
from shared.oci.names import parse_login_server, parse_repository

if TYPE_CHECKING:
    from shared.pages.page import Page

blueprint = func.Blueprint()

_ROWS: Final = 500


@dataclass(frozen=True, slots=True)
class _Shown:
    """A template with what it shows."""

    template: str
    values: dict[str, Any]


@blueprint.function_name("overview_page")
@blueprint.route(route="{page:alpha?}", methods=["GET"])
def overview_page(req: func.HttpRequest) -> func.HttpResponse:
    """Show the state of the app and its latest runs.

    A route without text would become the function's name, so it has a parameter that is not there.
    """

    def find() -> _Shown | None:
        if req.route_params.get("page"):
            return None
        from shared.jobs.overview import overview

        return _Shown("overview.html", {"found": overview(services())})

    return _page(req, find)


@blueprint.function_name("run_page")
@blueprint.route(route="reports/{run}", methods=["GET"])
def run_page(req: func.HttpRequest) -> func.HttpResponse:
    """Show one run: what went and why, what was replicated, and what needs a hand."""

    def find() -> _Shown | None:
        from shared.jobs.overview import run_view

        view = run_view(services(), parse_run(req.route_params["run"]))
        return None if view is None else _Shown("run.html", {"view": view, "shown": view.parts[:_ROWS]})

    return _page(req, find)


@blueprint.function_name("repository_page")
@blueprint.route(route="reports/{run}/{registry}/{*repository}", methods=["GET"])
def repository_page(req: func.HttpRequest) -> func.HttpResponse:
    """Show every verdict of one repository, and what came of it."""

    def find() -> _Shown | None:
        from shared.jobs.status import repository_report

        run = parse_run(req.route_params["run"])
        registry = parse_login_server(req.route_params["registry"])
        repository = parse_repository(req.route_params["repository"])
        report = repository_report(services(), run, registry, repository)
        if report is None:
            return None
        values = {
            "run": run,
            "registry": registry,
            "repository": repository,
            "report": report,
            "done": {each.get("target"): each for each in report.get("outcomes") or ()},
            "most": _ROWS,
        }
        return _Shown("repository.html", values)

    return _page(req, find)


def _page(req: func.HttpRequest, find: Callable[[], _Shown | None]) -> func.HttpResponse:
    from shared.pages.page import render

    code = req.params.get("code")
    status = HTTPStatus.OK
    headers: dict[str, str] = {}
    try:
        shown = find()
        if shown is None:
            raise nothing()
        page = render(shown.template, code=code, **shown.values)
    except (Refused, StewardError) as error:
        refused = as_refusal(error)
        status, headers = refused.status, refused.headers
        page = render("problem.html", code=code, title=status.phrase, detail=refused.detail)
    return _html(page, status, headers)


def _html(page: "Page", status: HTTPStatus, headers: dict[str, str]) -> func.HttpResponse:
    return func.HttpResponse(
        page.html,
        status_code=status,
        mimetype="text/html",
        charset="utf-8",
        headers={**HEADERS, "Content-Security-Policy": page.policy, **headers},
    )
