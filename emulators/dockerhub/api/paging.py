"""Offset paging of the Hub API: absolute links, a cap on the page size, 404 past the end."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from emulators.dockerhub.api.errors import field_error, schema_error

_DEFAULT_PAGE_SIZE = 10


def _positive(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, str(default))
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise field_error(**{name: "must be a positive number"})
    return int(text)


def answer_page[Row](
    request: Request,
    rows: Sequence[Row],
    *,
    page_cap: int,
    render: Callable[[Row], Mapping[str, object]],
) -> Response:
    """Answer one page of rows, by the request's ``page`` and ``page_size``.

    The page is an offset into the rows as they are now, so pages shift when rows are deleted
    between two requests. A size above the cap is lowered without a word.
    """
    page = _positive(request, "page", 1)
    size = min(_positive(request, "page_size", _DEFAULT_PAGE_SIZE), page_cap)
    start = (page - 1) * size
    if start >= len(rows) and page > 1:
        raise schema_error(404, "page not found")
    if request.method == "HEAD":
        return Response(status_code=200)

    def link(number: int) -> str:
        return str(request.url.include_query_params(page=number, page_size=size))

    return JSONResponse(
        {
            "count": len(rows),
            "next": link(page + 1) if start + size < len(rows) else None,
            "previous": link(page - 1) if page > 1 else None,
            "results": [dict(render(row)) for row in rows[start : start + size]],
        }
    )


def ordered[Row](rows: Sequence[Row], ordering: str, keys: Mapping[str, Callable[[Row], Any]]) -> list[Row]:
    """Return rows in the order a request names, ``-`` first for descending; 400 for an unknown order."""
    key = keys.get(ordering.removeprefix("-"))
    if key is None:
        raise schema_error(400, f"invalid ordering: {ordering}")
    return sorted(rows, key=key, reverse=ordering.startswith("-"))
