"""What goes over the wire in either direction: error bodies, JSON, paging, byte ranges."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, cast
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

JSON_TYPE = "application/json; charset=utf-8"
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_CHUNK = 256 * 1024


class WireError(Exception):
    """A request that is answered with one entry in ``errors``, distribution-spec "Error Codes"."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        detail: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.detail = detail
        self.headers = headers

    def response(self) -> Response:
        entry: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.detail is not None:
            entry["detail"] = self.detail
        return json_response({"errors": [entry]}, self.status, headers=self.headers)


def json_response(
    document: object, status: int = 200, *, headers: Mapping[str, str] | None = None
) -> Response:
    """Answer with compact JSON."""
    content = json.dumps(document, separators=(",", ":"))
    return Response(content, status, headers=headers, media_type=JSON_TYPE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Paging:
    """What a client asked of a list: at most ``limit`` entries behind ``last``."""

    limit: int | None
    last: str | None
    orderby: str = ""

    @classmethod
    def of(cls, request: Request, *, default: int | None, cap: int | None) -> Paging:
        """Read ``n``, ``last`` and ``orderby``; a page is never larger than the cap."""
        query = request.query_params
        asked = query.get("n", "")
        if asked and not asked.isdecimal():
            raise WireError(
                400, "PAGINATION_NUMBER_INVALID", "invalid number of results requested", {"n": asked}
            )
        limit = int(asked) if asked else default
        if cap is not None:
            limit = cap if limit is None else min(limit, cap)
        return cls(limit=limit, last=query.get("last") or None, orderby=query.get("orderby", ""))

    def take[Entry](self, entries: Iterator[Entry]) -> tuple[list[Entry], bool]:
        """Return one page, and whether more entries follow it."""
        if self.limit is None:
            return list(entries), False
        page = list(islice(entries, self.limit))
        return page, bool(page) and next(entries, None) is not None

    def link(self, path: str, last: str, *, limit: int, order: bool, digest: str | None = None) -> str:
        """Write the relative Link to the page behind ``last``; ACR's names ``orderby`` even if empty."""
        suffix = f"&orderby={self.orderby}" if order else ""
        suffix += f"&digest={quote(digest, safe='')}" if digest else ""
        return f'<{path}?last={quote(last, safe="")}&n={limit}{suffix}>; rel="next"'


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Read a Range header as first and last byte; None without one, WireError when nothing is in it."""
    if header is None:
        return None
    found = _RANGE.fullmatch(header.strip())
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if not first:
        start, end = max(0, size - int(last)), size - 1
    else:
        start, end = int(first), min(int(last), size - 1) if last else size - 1
    if start > end:
        headers = {"Content-Range": f"bytes */{size}"}
        raise WireError(416, "RANGE_INVALID", "invalid content length", headers=headers)
    return start, end


class BytesResponse(Response):
    """Sends a large body in slices, so that neither the loop nor memory suffers."""

    def __init__(self, content: bytes, *, request: Request, headers: Mapping[str, str]) -> None:
        span = byte_range(request.headers.get("range"), len(content))
        self._content = memoryview(content)
        status = 200
        headers = {**headers, "Accept-Ranges": "bytes"}
        if span is not None:
            start, end = span
            status = 206
            headers["Content-Range"] = f"bytes {start}-{end}/{len(content)}"
            self._content = self._content[start : end + 1]
        headers["Content-Length"] = str(len(self._content))
        if request.method == "HEAD":
            self._content = self._content[:0]
        super().__init__(None, status, headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for start in range(0, len(self._content), _CHUNK):
            piece = bytes(self._content[start : start + _CHUNK])
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def decoded_path(request: Request) -> str:
    """Return the path with %2F and its like decoded, as ASGI servers do."""
    return cast("str", request.scope["path"])
