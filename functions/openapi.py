"""The description of the HTTP API (OpenAPI 3.1): what the app answers, held to it by tests."""

from typing import Any, Final

from functions.actions import KINDS, POISON_NAME
from functions.http import DEFAULT_LIMIT, LARGEST_LIMIT
from functions.schemas import FREE, SCHEMAS, TEXT, Schema, object_of

_JSON: Final = "application/json"
_PROBLEM_TYPE: Final = "application/problem+json"

_LABEL: Final = "[a-z0-9]([a-z0-9-]*[a-z0-9])?"
_COMPONENT: Final = "[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*"
_PATH: Final[dict[str, Schema]] = {
    "run": {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,99}$"},
    "registry": {
        "type": "string",
        "pattern": f"^{_LABEL}(\\.{_LABEL})*(:[1-9][0-9]{{0,4}})?$",
        "maxLength": 255,
        "description": "A login server of ACR_LOGIN_SERVERS, or docker.io.",
    },
    "repository": {
        "type": "string",
        "pattern": f"^{_COMPONENT}(/{_COMPONENT})*$",
        "maxLength": 255,
        "description": "Its slashes may be written as they are.",
    },
}
_LIMIT: Final[Schema] = {
    "name": "limit",
    "in": "query",
    "description": "How many entries to return.",
    "schema": {"type": "integer", "minimum": 1, "maximum": LARGEST_LIMIT, "default": DEFAULT_LIMIT},
}
_REASONS: Final = {
    400: "The request cannot be understood.",
    404: "There is nothing of that name.",
    409: "The record cannot be sent again.",
    413: "The body is too large.",
    415: "The body is of another media type.",
    422: "The policy in the body cannot be used.",
    502: "A registry or storage refused.",
    503: "Settings, policy, a registry or storage cannot be used now.",
}


def _operation(
    name: str,
    summary: str,
    schema: str,
    *refusals: int,
    status: int = 200,
    path: tuple[str, ...] = (),
    limited: bool = False,
    body: Schema | None = None,
) -> Schema:
    """Return one operation; ``body`` is the content by media type."""
    responses: Schema = {
        str(status): {"description": "Done." if status == 200 else "Queued.", **_content(_JSON, schema)},  # noqa: PLR2004
        "401": {"description": "The function key is missing or wrong."},
    }
    for code in sorted({*refusals, *((400,) if limited or path else ())}):
        responses[str(code)] = {"description": _REASONS[code], **_content(_PROBLEM_TYPE, "Problem")}
    operation: Schema = {"operationId": name, "summary": summary, "responses": responses}
    parameters = [
        *({"name": each, "in": "path", "required": True, "schema": _PATH[each]} for each in path),
        *([_LIMIT] if limited else []),
    ]
    if parameters:
        operation["parameters"] = parameters
    if body is not None:
        operation["requestBody"] = {"required": True, "content": body}
    return operation


def _content(media_type: str, schema: str) -> Schema:
    return {"content": {media_type: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}}


def _member(name: str, schema: Schema) -> Schema:
    return {_JSON: {"schema": {**object_of(**{name: schema}), "additionalProperties": False}}}


def _page(name: str, summary: str, path: tuple[str, ...] = ()) -> Schema:
    html = {"text/html": {"schema": TEXT}}
    operation = _operation(name, summary, "Problem", path=path)
    codes = {"200": "The page.", "502": _REASONS[502], "503": _REASONS[503]}
    if path:
        codes |= {"400": _REASONS[400], "404": _REASONS[404]}
    operation["responses"] = {
        "401": operation["responses"]["401"],
        **{code: {"description": reason, "content": html} for code, reason in codes.items()},
    }
    return operation


_POLICY: Final = {"type": "string", "maxLength": 1024 * 1024}
_HEALTH: Final = _operation("health", "Is the app running?", "Health") | {"security": []}
_HEALTH["responses"].pop("401")
_READINESS: Final = _operation("readiness", "Can settings, policy and storage be used?", "Readiness")
_READINESS["responses"]["503"] = {"description": "Not ready.", **_content(_JSON, "Readiness")}

DOCUMENT: Final[dict[str, Any]] = {
    "openapi": "3.1.0",
    "info": {
        "title": "Registry Steward",
        "version": "1",
        "description": "Reads what runs did, previews plans, and sets runs going. Nothing is removed by a "
        "request: that is up to the run's mode, which follows the app setting CLEANUP_MODE.",
    },
    "servers": [{"url": "/api"}],
    "security": [{"header": []}, {"query": []}],
    "paths": {
        "/health": {"get": _HEALTH},
        "/health/ready": {"get": _READINESS},
        "/openapi.json": {
            "get": {
                "operationId": "openapi",
                "summary": "This document.",
                "responses": {
                    "200": {"description": "Done.", "content": {_JSON: {"schema": FREE}}},
                    "401": {"description": "The function key is missing or wrong."},
                },
            }
        },
        "/runs": {
            "get": _operation("list_runs", "Names of the newest runs.", "Runs", 502, 503, limited=True),
            "post": _operation(
                "start_run",
                "Open a run, as its timer would.",
                "OpenedRun",
                *(400, 413, 415, 502, 503),
                status=202,
                body=_member("kind", {"enum": list(KINDS)}),
            ),
        },
        "/runs/{run}": {
            "get": _operation("show_run", "One run, summed up.", "RunSummary", 404, 502, 503, path=("run",))
        },
        "/runs/{run}/replications": {
            "get": _operation(
                "list_replications",
                "What became of the tags that a run replicated, the latest first.",
                "Replications",
                *(502, 503),
                path=("run",),
                limited=True,
            )
        },
        "/runs/{run}/repositories": {
            "get": _operation(
                "list_reports",
                "The repositories of a run, with counts.",
                "Repositories",
                *(502, 503),
                path=("run",),
                limited=True,
            )
        },
        "/runs/{run}/repositories/{registry}/{repository}": {
            "get": _operation(
                "show_report",
                "What was planned and done in one repository.",
                "Report",
                *(404, 502, 503),
                path=("run", "registry", "repository"),
            )
        },
        "/plans/{registry}/{repository}": {
            "get": _operation(
                "preview_plan",
                "What the policy in force would remove now.",
                "Plan",
                *(404, 502, 503),
                path=("registry", "repository"),
            ),
            "post": _operation(
                "try_policy",
                "What the policy in the body would remove now.",
                "Plan",
                *(404, 413, 415, 422, 502, 503),
                path=("registry", "repository"),
                body={"application/yaml": {"schema": _POLICY}, _JSON: {"schema": FREE}},
            ),
        },
        "/policy": {"get": _operation("show_policy", "The policy in force.", "Policy", 502, 503)},
        "/poison": {
            "get": _operation(
                "list_poison", "Messages that failed too often.", "Poison", 502, 503, limited=True
            )
        },
        "/poison/replay": {
            "post": _operation(
                "replay_poison",
                "Send one of them again.",
                "Replayed",
                *(400, 404, 409, 413, 415, 502, 503),
                status=202,
                body=_member("name", {"type": "string", "pattern": f"^{POISON_NAME}$"}),
            )
        },
        "/": {"get": _page("overview_page", "The overview, for people.")},
        "/reports/{run}": {"get": _page("run_page", "One run, for people.", ("run",))},
        "/reports/{run}/{registry}/{repository}": {
            "get": _page("repository_page", "One repository, for people.", ("run", "registry", "repository"))
        },
    },
    "components": {
        "schemas": SCHEMAS,
        "securitySchemes": {
            "header": {"type": "apiKey", "in": "header", "name": "x-functions-key"},
            "query": {"type": "apiKey", "in": "query", "name": "code"},
        },
    },
}
