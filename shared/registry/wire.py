"""What registries say when they do not say yes, and how their long answers continue."""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urljoin

import requests

from shared.errors import (
    AccessDenied,
    AuthenticationFailed,
    ContentRejected,
    ManifestBlobUnknown,
    NotFound,
    OperationDisallowed,
    ProtocolViolation,
    RateLimited,
    RegistryError,
    RegistryUnavailable,
)
from shared.registry.addresses import Origin, origin_of
from shared.registry.redaction import redact

MAX_ERROR_BODY: Final = 64 * 1024
MAX_PAGES: Final = 20_000
_READABLE: Final = 300
_CODES: Final = 5
_CODE: Final = 64
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]+")
"""What breaks a line, moves a terminal's cursor, or makes a text read otherwise than it is (UAX #9)."""

_BY_STATUS: Final[Mapping[int, type[RegistryError]]] = {
    HTTPStatus.UNAUTHORIZED: AuthenticationFailed,
    HTTPStatus.FORBIDDEN: AccessDenied,
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.METHOD_NOT_ALLOWED: OperationDisallowed,
    HTTPStatus.REQUEST_TIMEOUT: RegistryUnavailable,
    HTTPStatus.TOO_MANY_REQUESTS: RateLimited,
    HTTPStatus.NOT_IMPLEMENTED: OperationDisallowed,
}

_BY_CODE: Final[Mapping[str, type[RegistryError]]] = {
    "MANIFEST_BLOB_UNKNOWN": ManifestBlobUnknown,
    "TOOMANYREQUESTS": RateLimited,
    "UNSUPPORTED": OperationDisallowed,
}
"""Codes that say more than the status they come with (distribution-spec, "Error Codes")."""


def error_of(
    *, registry: str, method: str, url: str, status: int, headers: Mapping[str, str], body: bytes
) -> RegistryError:
    """Return the error that the answer is; every field is what the answer says, bounded and redacted."""
    codes, message = _read_error(body[:MAX_ERROR_BODY])
    kind = _kind(method, url, status, codes)
    where: dict[str, Any] = {
        "registry": registry,
        "method": method,
        "url": redact(url),
        "status": status,
        "codes": codes,
    }
    wait = retry_after(headers)
    text = message or _phrase(status)
    if kind is RateLimited or (kind is RegistryUnavailable and wait is not None):
        return RateLimited(text, retry_after=wait, **where)
    return kind(text, **where)


def _kind(method: str, url: str, status: int, codes: tuple[str, ...]) -> type[RegistryError]:
    by_code = next((_BY_CODE[code] for code in codes if code in _BY_CODE), None)
    if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        if by_code is not None and status != HTTPStatus.UNAUTHORIZED:
            return by_code
        if method == "PUT" and "/manifests/" in url and "BLOB_UNKNOWN" in codes:
            return ManifestBlobUnknown  # what registries older than the specification say
        return _BY_STATUS.get(status, ContentRejected)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _BY_STATUS.get(status, RegistryUnavailable)
    return ProtocolViolation


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "no explanation"


def _read_error(body: bytes) -> tuple[tuple[str, ...], str]:
    """Return codes and message of an error body: the specification's, Docker Hub's three, Azure's, or text.

    Bodies may be empty, HTML of a proxy or XML of a storage service; none of them is trusted to be short.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return (), _readable(body.decode("utf-8", "replace"))
    if not isinstance(document, dict):
        return (), _readable(str(document))
    if isinstance(document.get("error"), dict):  # Azure Resource Manager, "OData error response"
        document = document["error"]
    entries = document.get("errors")
    if isinstance(entries, list):
        found = [entry for entry in entries if isinstance(entry, dict)]
        codes = tuple(_readable(str(entry["code"]))[:_CODE] for entry in found[:_CODES] if entry.get("code"))
        return codes, _readable("; ".join(str(entry["message"]) for entry in found if entry.get("message")))
    for key in ("detail", "message", "text", "error_description", "error"):
        if isinstance(document.get(key), str) and document[key]:
            return (), _readable(document[key])
    return (), ""


def _readable(text: str) -> str:
    plain = _CONTROL.sub(" ", text).strip()
    return plain if len(plain) <= _READABLE else f"{plain[:_READABLE]}..."


def retry_after(headers: Mapping[str, str], *, now: float | None = None) -> float | None:
    """Return the seconds that the answer asks us to wait, ``None`` when it does not say.

    ``Retry-After`` is seconds or a date (RFC 9110, section 10.2.3); Docker Hub's API sends
    ``X-Retry-After`` as Unix time instead.
    """
    moment = time.time() if now is None else now
    stated, unix = headers.get("Retry-After"), headers.get("X-Retry-After")
    try:
        if stated is not None and stated.strip().isdigit():
            return float(stated)
        if stated is not None:
            date = parsedate_to_datetime(stated)
            aware = date if date.tzinfo else date.replace(tzinfo=UTC)
            return max(0.0, aware.timestamp() - moment)
        if unix is not None:
            return max(0.0, float(unix) - moment)
    except (ValueError, OverflowError):
        return None
    return None


def check(response: requests.Response, *, registry: str, expect: frozenset[int]) -> requests.Response:
    """Return the response if its status is expected.

    :raises RegistryError: of the kind that its status and codes say, if it is not.
    """
    if response.status_code in expect:
        return response
    body = response.content
    response.close()
    request = response.request
    raise error_of(
        registry=registry,
        method=request.method or "",
        url=response.url or request.url or "",
        status=response.status_code,
        headers=response.headers,
        body=body,
    )


def json_object(response: requests.Response, *, registry: str) -> dict[str, Any]:
    """Return the JSON object that the body is.

    :raises ProtocolViolation: when it is anything else.
    """
    try:
        document = json.loads(response.content)
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict):
        return document
    raise ProtocolViolation(
        "the answer is not a JSON object",
        registry=registry,
        method=response.request.method or "",
        url=redact(response.url),
        status=response.status_code,
    )


def next_link(response: requests.Response) -> str | None:
    """Return where the list continues (RFC 8288), resolved against the request, ``None`` on the last page."""
    target = response.links.get("next", {}).get("url")
    return urljoin(response.url, target) if target else None


def follow_pages[Page](
    first: str,
    fetch: Callable[[str], tuple[Page, str | None]],
    *,
    registry: str,
    home: Origin,
    max_pages: int = MAX_PAGES,
) -> Iterator[Page]:
    """Yield the pages of a list, each fetched by its URL, until one says that nothing follows.

    The registry says where its list continues, and our token goes there: so only to the same scheme, host
    and port, never twice to one page, and not for ever.

    :raises ProtocolViolation: when a link breaks one of these rules.
    """
    seen: set[str] = set()
    url: str | None = first
    while url is not None:
        if url in seen:
            raise ProtocolViolation("the list runs in a circle", registry=registry, url=redact(url))
        if len(seen) >= max_pages:
            raise ProtocolViolation(f"the list has more than {max_pages} pages", registry=registry)
        try:
            origin: Origin | None = origin_of(url)
        except ValueError:
            origin = None
        if origin != home:
            raise ProtocolViolation(
                f"the list continues at {redact(url)}, which is not {home}", registry=registry
            )
        seen.add(url)
        page, url = fetch(url)
        yield page
