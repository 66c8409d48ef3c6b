"""What the HTTP API answers with, as JSON Schemas: the components of its OpenAPI document."""

from typing import Any, Final

type Schema = dict[str, Any]

TEXT: Final[Schema] = {"type": "string"}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
_LENGTH: Final[Schema] = {"type": "number", "minimum": 0}
_COUNTS: Final[Schema] = {"type": "object", "additionalProperties": {"type": "integer"}}
FREE: Final[Schema] = {"type": "object"}


def list_of(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def object_of(optional: Schema | None = None, **required: Schema) -> Schema:
    return {"type": "object", "required": list(required), "properties": {**required, **(optional or {})}}


def or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


_PLACE: Final = object_of(registry=TEXT, repository=TEXT)
_REFUSED: Final = or_null(object_of(message=TEXT))
_POSTPONED: Final = or_null(
    object_of(cap={"enum": ["repository", "run"]}, most=COUNT, tags=COUNT, manifests=COUNT, message=TEXT)
)
_PLAN: Final = object_of(
    {"counts": _COUNTS, "postponed": _POSTPONED},
    registry=TEXT,
    repository=TEXT,
    at={"type": "string", "format": "date-time"},
    policy_digest=TEXT,
    untag=list_of(object_of({"subject": TEXT}, tag=TEXT, digest=TEXT, rule=TEXT, reason=TEXT)),
    delete=list_of(
        object_of({"held_by": list_of(TEXT)}, digest=TEXT, size=COUNT, rule=TEXT, reason=TEXT),
    ),
    keep=list_of(
        object_of(
            {"tag": TEXT, "digest": TEXT},
            rule=or_null(TEXT),
            reason=TEXT,
        )
    ),
    warnings=list_of(TEXT),
    refused=_REFUSED,
    closed={"type": "boolean"},
    rules_matched=list_of(TEXT),
)
_RUN: Final = object_of(
    run=TEXT,
    kind=TEXT,
    started={"type": "string", "format": "date-time"},
    mode={"enum": ["plan", "apply"]},
    policy_digest=TEXT,
    repositories=list_of(_PLACE),
    problems=list_of(TEXT),
    opened={"type": "boolean"},
)

SCHEMAS: Final[dict[str, Schema]] = {
    "Problem": object_of(
        {"problems": list_of(object_of(path=TEXT, line=or_null(COUNT), message=TEXT))},
        type=TEXT,
        title=TEXT,
        status={"type": "integer", "minimum": 400, "maximum": 599},
        detail=TEXT,
    ),
    "Health": object_of(status={"const": "ok"}),
    "Readiness": object_of(
        status={"enum": ["ready", "not ready"]},
        checks={"type": "object", "additionalProperties": or_null(TEXT)},
    ),
    "Runs": object_of(runs=list_of(TEXT)),
    "RunSummary": object_of(
        {
            "state": TEXT,
            "missing": list_of(_PLACE),
            "planned": _COUNTS,
            "drift": _COUNTS,
            "refused": _REFUSED,
            "finished": or_null(TEXT),
            "seconds": or_null(_LENGTH),
            "warnings": list_of(TEXT),
            "traffic": object_of(requests=COUNT, throttled=COUNT, waited_seconds=COUNT),
            "postponed": object_of(repositories=COUNT, tags=COUNT, manifests=COUNT),
            "lag": or_null(object_of(tags=COUNT, median_seconds=_LENGTH, max_seconds=_LENGTH)),
        },
        run=TEXT,
        kind=TEXT,
        done=_COUNTS,
    ),
    "OpenedRun": _RUN,
    "Replications": object_of(
        replications=list_of(
            object_of(
                {"pushed": or_null(TEXT), "lag_seconds": or_null(_LENGTH)},
                route=TEXT,
                source=TEXT,
                target=TEXT,
                result=TEXT,
                detail=TEXT,
            )
        )
    ),
    "Repositories": object_of(
        repositories=list_of(
            object_of(
                registry=TEXT,
                repository=TEXT,
                state={"enum": ["waiting", "planned", "finished"]},
                counts=_COUNTS,
            )
        )
    ),
    "Report": object_of(
        {
            "plan": or_null(_PLAN),
            "outcomes": list_of(FREE),
            "seconds": _LENGTH,
            "traffic": object_of(requests=_COUNTS, throttled=COUNT, waited_seconds=_LENGTH),
        },
        finished=or_null(TEXT),
    ),
    "Plan": _PLAN,
    "Policy": object_of(version=COUNT, digest=TEXT, retention=FREE, replication=FREE),
    "Poison": object_of(count=COUNT, poison=list_of(TEXT)),
    "Replayed": object_of(name=TEXT, origin=TEXT, queue=TEXT),
}
