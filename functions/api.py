"""HTTP: is the app well, what did its runs do, what would the policy do. Nothing is changed here."""

from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import azure.functions as func

from functions.application import now, services
from functions.http import Refused, answer, content, json_response, limit
from shared.errors import InvalidPolicy, InvalidSettings
from shared.messages import parse_run
from shared.oci.names import parse_login_server, parse_repository

if TYPE_CHECKING:
    from shared.policy import Policy

blueprint = func.Blueprint()

POLICY_TYPES: Final = ("application/yaml", "application/json")
LARGEST_POLICY: Final = 1024 * 1024


@blueprint.function_name("health")
@blueprint.route(route="health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def health(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 (the binding's name)
    """Say that the app runs; nothing outside it is asked."""
    return json_response({"status": "ok"})


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
    return json_response({"status": "ready" if well else "not ready", "checks": checks}, status)


@blueprint.function_name("openapi")
@blueprint.route(route="openapi.json", methods=["GET"])
def openapi(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001
    """Describe this API (OpenAPI 3.1)."""
    from functions.openapi import DOCUMENT

    return json_response(DOCUMENT)


@blueprint.function_name("list_runs")
@blueprint.route(route="runs", methods=["GET"])
def list_runs(req: func.HttpRequest) -> func.HttpResponse:
    """Name the newest runs; ``limit`` says how many."""
    from shared.jobs import status

    return answer(lambda: {"runs": status.list_runs(services(), limit=limit(req))})


@blueprint.function_name("show_run")
@blueprint.route(route="runs/{run}", methods=["GET"])
def show_run(req: func.HttpRequest) -> func.HttpResponse:
    """Sum up one run."""
    from shared.jobs import status

    return answer(lambda: status.run_summary(services(), parse_run(req.route_params["run"])))


@blueprint.function_name("list_replications")
@blueprint.route(route="runs/{run}/replications", methods=["GET"])
def list_replications(req: func.HttpRequest) -> func.HttpResponse:
    """List the tags that a run replicated last, and what became of each."""
    from shared.jobs import status

    return answer(
        lambda: {
            "replications": status.replications(
                services(), parse_run(req.route_params["run"]), limit=limit(req)
            )
        }
    )


@blueprint.function_name("list_reports")
@blueprint.route(route="runs/{run}/repositories", methods=["GET"])
def list_reports(req: func.HttpRequest) -> func.HttpResponse:
    """List the repositories of a run with their counts."""
    from shared.jobs import status

    return answer(
        lambda: {
            "repositories": [
                part.to_json()
                for part in status.parts(services(), parse_run(req.route_params["run"]))[: limit(req)]
            ]
        }
    )


@blueprint.function_name("show_report")
@blueprint.route(route="runs/{run}/repositories/{registry}/{*repository}", methods=["GET"])
def show_report(req: func.HttpRequest) -> func.HttpResponse:
    """Show what was planned and done in one repository, with the reason of every verdict."""
    from shared.jobs import status

    return answer(
        lambda: status.repository_report(
            services(),
            parse_run(req.route_params["run"]),
            parse_login_server(req.route_params["registry"]),
            parse_repository(req.route_params["repository"]),
        )
    )


@blueprint.function_name("show_policy")
@blueprint.route(route="policy", methods=["GET"])
def show_policy(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001
    """Show the policy in force, as it was understood, with the digest that plans name."""
    from shared.jobs.previewing import policy_to_json

    return answer(lambda: policy_to_json(services().policy.current()))


@blueprint.function_name("preview_plan")
@blueprint.route(route="plans/{registry}/{*repository}", methods=["GET"])
def preview_plan(req: func.HttpRequest) -> func.HttpResponse:
    """Say what the policy in force would remove from one repository now; nothing is stored or removed."""
    return _preview(req, _policy_in_force)


@blueprint.function_name("try_policy")
@blueprint.route(route="plans/{registry}/{*repository}", methods=["POST"])
def try_policy(req: func.HttpRequest) -> func.HttpResponse:
    """Say what the policy in the body would remove from one repository now; it is used for nothing else."""

    def read() -> "Policy":
        from shared.policy import parse_policy

        document = content(req, POLICY_TYPES, largest=LARGEST_POLICY)
        try:
            return parse_policy(document, source="body")
        except InvalidPolicy as error:
            raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), error.problems) from error

    return _preview(req, read)


@blueprint.function_name("list_poison")
@blueprint.route(route="poison", methods=["GET"])
def list_poison(req: func.HttpRequest) -> func.HttpResponse:
    """Count the messages that failed too often, and name the first of them."""

    def find() -> dict[str, Any]:
        most = limit(req)
        names = list(services().poison.names())
        return {"count": len(names), "poison": names[:most]}

    return answer(find)


def _policy_in_force() -> "Policy":
    return services().policy.current()


def _preview(req: func.HttpRequest, policy: "Callable[[], Policy]") -> func.HttpResponse:
    from shared.jobs.previewing import preview_plan as preview
    from shared.render import plan_to_json

    def find() -> dict[str, Any] | None:
        registry = parse_login_server(req.route_params["registry"])
        repository = parse_repository(req.route_params["repository"])
        plan = preview(services(), policy(), registry, repository, now=now())
        return None if plan is None else {**plan_to_json(plan), "counts": plan.counts}

    return answer(find)
