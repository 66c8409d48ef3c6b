"""The three families of error bodies that the Hub API answers with."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response


class HubError(Exception):
    """Ends a request with a status and a body of one of the families."""

    def __init__(self, status: int, body: Mapping[str, object]) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body


def schema_error(status: int, message: str) -> HubError:
    """Answer with the schema's Error."""
    return HubError(status, {"errinfo": None, "message": message})


def detail_error(status: int, detail: str) -> HubError:
    """Answer as sign-in and token checks do."""
    return HubError(status, {"detail": detail, "message": detail})


def field_error(**fields: str) -> HubError:
    """Refuse a request whose named fields are invalid."""
    return HubError(
        400,
        {
            "fields": {name: [text] for name, text in fields.items()},
            "text": "; ".join(f"{name}: {text}" for name, text in fields.items()),
        },
    )


def answer_hub_error(request: Request, error: Exception) -> Response:
    """Exception handler of the API application; HEAD gets no body."""
    if not isinstance(error, HubError):
        raise error
    if request.method == "HEAD":
        return Response(status_code=error.status)
    return JSONResponse(dict(error.body), status_code=error.status)
