"""What all HTTP doors share: bounded bodies, checked parameters, problem details (RFC 9457)."""

import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from math import ceil
from typing import Any, Final

import azure.functions as func

from shared.errors import (
    InvalidMessage,
    InvalidName,
    InvalidPolicy,
    InvalidSettings,
    Problem,
    RateLimited,
    StewardError,
)

logger = logging.getLogger("steward.http")

DEFAULT_LIMIT: Final = 50
LARGEST_LIMIT: Final = 1000
LARGEST_BODY: Final = 4096

HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""On every answer: addresses may carry a key, and nothing here is for other sites."""


class Refused(Exception):
    """The request is answered with a problem; ``problems`` are the places that are wrong.

    ``retry_after`` is in how many seconds to ask again, where that is known.
    """

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        problems: Sequence[Problem] = (),
        *,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.problems = tuple(problems)
        self.retry_after = retry_after

    @property
    def headers(self) -> dict[str, str]:
        """Return what the answer says beside its body (RFC 9110, section 10.2.3)."""
        return {} if self.retry_after is None else {"Retry-After": str(max(1, ceil(self.retry_after)))}


def limit(req: func.HttpRequest) -> int:
    """Return how many entries the request asks for.

    :raises Refused: unless it is 1 to 1000.
    """
    text = req.params.get("limit", str(DEFAULT_LIMIT))
    if not re.fullmatch(r"[1-9][0-9]{0,3}", text, re.ASCII) or int(text) > LARGEST_LIMIT:
        raise Refused(HTTPStatus.BAD_REQUEST, f"limit: {text[:20]!r}, expected 1 to {LARGEST_LIMIT}")
    return int(text)


def content(req: func.HttpRequest, media_types: Sequence[str], *, largest: int = LARGEST_BODY) -> bytes:
    """Return the body.

    The media types are such as no form on another site can send, so that a browser that is signed in
    (Easy Auth) asks us first, and gets no permission.

    :raises Refused: when it is of another type, or too large.
    """
    found = (req.headers.get("content-type") or "").partition(";")[0].strip().lower()
    if found not in media_types:
        raise Refused(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"Content-Type: {found[:80]!r}, expected {' or '.join(media_types)}",
        )
    body: bytes = req.get_body()
    if len(body) > largest:
        raise Refused(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"a body of {len(body)} bytes, more than the {largest} that are read",
        )
    return body


def text_member(req: func.HttpRequest, name: str) -> str:
    """Return the one member that the body, a JSON object, has to have, and which is a text.

    :raises Refused: when the body is anything else.
    """
    try:
        body = json.loads(content(req, ("application/json",)))
    except (ValueError, RecursionError) as error:
        raise Refused(HTTPStatus.BAD_REQUEST, "the body is not JSON") from error
    if not isinstance(body, dict) or set(body) != {name} or not isinstance(body[name], str):
        raise Refused(HTTPStatus.BAD_REQUEST, f'expected {{"{name}": "..."}} and nothing else')
    return str(body[name])


def answer(
    find: Callable[[], dict[str, Any] | None],
    status: HTTPStatus = HTTPStatus.OK,
    *,
    location: Callable[[dict[str, Any]], str] | None = None,
) -> func.HttpResponse:
    """Answer with what is found; with a problem when that is nothing, or when it fails."""
    try:
        found = find()
    except (Refused, StewardError) as error:
        return problem(as_refusal(error))
    if found is None:
        return problem(nothing())
    headers = {} if location is None else {"Location": location(found)}
    return json_response(found, status, headers=headers)


def nothing() -> Refused:
    """Return the refusal of what does not exist."""
    return Refused(HTTPStatus.NOT_FOUND, "there is nothing of that name")


def as_refusal(error: Refused | StewardError) -> Refused:
    """Return what to tell the caller about an error; one that is no fault of theirs is logged."""
    match error:
        case Refused():
            return error
        case InvalidName():
            return Refused(HTTPStatus.BAD_REQUEST, str(error))
        case InvalidMessage():
            return Refused(HTTPStatus.CONFLICT, str(error))
        case InvalidSettings() | InvalidPolicy():
            return Refused(HTTPStatus.SERVICE_UNAVAILABLE, str(error), error.problems)
    logger.error("cannot answer", exc_info=error)
    status = HTTPStatus.SERVICE_UNAVAILABLE if error.temporary else HTTPStatus.BAD_GATEWAY
    return Refused(
        status, str(error), retry_after=error.retry_after if isinstance(error, RateLimited) else None
    )


def json_response(
    body: object,
    status: HTTPStatus = HTTPStatus.OK,
    *,
    media_type: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> func.HttpResponse:
    """Return the values as an answer."""
    return func.HttpResponse(
        json.dumps(body, ensure_ascii=False),
        status_code=status,
        mimetype=media_type,
        headers={**HEADERS, **(headers or {})},
    )


def problem(refused: Refused) -> func.HttpResponse:
    """Answer with problem details; ``problems`` is our extension of them."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": refused.status.phrase,
        "status": refused.status.value,
        "detail": refused.detail,
    }
    if refused.problems:
        body["problems"] = [
            {"path": each.path, "line": each.line, "message": each.message} for each in refused.problems
        ]
    return json_response(body, refused.status, media_type="application/problem+json", headers=refused.headers)
