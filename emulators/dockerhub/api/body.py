"""JSON request bodies of the Hub API."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from emulators.dockerhub.api.errors import field_error, schema_error


async def read_object(request: Request) -> dict[str, Any]:
    """Read the request's body as a JSON object; raises 400 for anything else."""
    try:
        body = json.loads(await request.body())
    except ValueError as error:
        raise schema_error(400, "invalid JSON body") from error
    if not isinstance(body, dict):
        raise schema_error(400, "the body must be an object")
    return body


def text_field(body: Mapping[str, Any], name: str) -> str:
    """Return a required, non-empty text of the body; raises 400 naming the field otherwise."""
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise field_error(**{name: "this field is required"})
    return value
