"""The Hub API as one ASGI application."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from emulators.dockerhub.api.errors import HubError, answer_hub_error
from emulators.dockerhub.api.repositories import Repositories
from emulators.dockerhub.api.sign_in import SignIn
from emulators.dockerhub.api.tags import Tags
from emulators.dockerhub.hub import Hub


def build_api(hub: Hub) -> ASGIApp:
    """Return the application of hub.docker.com, without its limiters."""
    return _EitherSlash(
        Starlette(
            routes=[
                *SignIn(hub).routes(),
                *Repositories(hub).routes(),
                *Tags(hub).routes(),
                Route("/v2/namespaces/{namespace}/repositories/{repository}/images{rest:path}", _gone),
                Route("/v2/namespaces/{namespace}/delete-images", _gone, methods=["GET", "POST"]),
            ],
            exception_handlers={HubError: answer_hub_error, 404: _not_found},
        )
    )


async def _gone(request: Request) -> Response:
    """Image management was removed from the API on 2023-12-11."""
    return JSONResponse({"errinfo": None, "message": f"{request.method} is not allowed"}, status_code=405)


async def _not_found(_request: Request, _error: Exception) -> Response:
    return JSONResponse({"errinfo": None, "message": "not found"}, status_code=404)


class _EitherSlash:
    """Takes a path with and without its last slash: clients of the API write it both ways."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and len(scope["path"]) > 1:
            scope = {**scope, "path": scope["path"].rstrip("/")}
        await self._app(scope, receive, send)
