"""The OCI distribution API (``/v2/``) over a RegistryState, shared by the ACR and Docker Hub emulators.

    class MyHost(RegistryHost):                       # see host.py: who may, what is refused, who hears of it
        def authorize(self, request, repository, actions): ...
    app = Distribution(MyHost(state))                 # an ASGI app for paths under /v2

Actions asked of ``authorize``: ``pull`` for manifests, blobs and referrers; ``pull, push`` for uploads and
manifest PUT; ``delete``; the host's ``tags_actions`` for tags/list; ``*`` without a repository for the
catalog.
"""

from __future__ import annotations

import re

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from emulators.registry.blobs import Blobs
from emulators.registry.host import RegistryHost
from emulators.registry.listings import Listings
from emulators.registry.manifests import Manifests
from emulators.registry.records import NAME
from emulators.registry.uploads import Uploads
from emulators.registry.wire import WireError, decoded_path, json_response

_MAX_NAME = 255
_ROUTE = re.compile(
    r"/v2/(?P<name>.+)/(?:"
    r"manifests/(?P<manifest>[^/]+)"
    r"|blobs/uploads/(?P<upload>[^/]*)"
    r"|blobs/(?P<blob>[^/]+)"
    r"|tags/(?P<tags>list)"
    r"|referrers/(?P<referrers>[^/]+))"
)
_PULL = ("pull",)
_PUSH = ("pull", "push")
_DELETE = ("delete",)
_READS = frozenset({"GET", "HEAD"})


class Distribution:
    """An ASGI app that speaks distribution-spec 1.1 for one host."""

    def __init__(self, host: RegistryHost) -> None:
        self.host = host
        self._manifests = Manifests(host)
        self._blobs = Blobs(host)
        self._uploads = Uploads(host)
        self._listings = Listings(host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self.respond(request)
        except ClientDisconnect:
            return
        self.host.finish(request, response)
        await response(scope, receive, send)

    async def respond(self, request: Request) -> Response:
        """Answer a request, errors included, without the host's finish."""
        try:
            return await self._route(request)
        except WireError as error:
            return error.response()

    async def _route(self, request: Request) -> Response:
        path = decoded_path(request)
        if path in {"/v2/", "/v2"}:
            return self._allowed(request, None, ()) or json_response({})
        if path == "/v2/_catalog":
            return self._allowed(request, None, ("*",)) or self._listings.catalog(request)
        found = _ROUTE.fullmatch(path)
        if found is None:
            return Response("404 page not found\n", 404, media_type="text/plain")
        name = found["name"]
        if not NAME.fullmatch(name) or len(name) > _MAX_NAME:
            raise WireError(400, "NAME_INVALID", "invalid repository name", {"name": name})
        return self.host.refuse_name(name) or await self._within(request, name, found)

    async def _within(self, request: Request, name: str, found: re.Match[str]) -> Response:
        match found.lastgroup:
            case "manifest":
                return await self._manifest(request, name, found["manifest"])
            case "upload":
                return await self._upload(request, name, found["upload"])
            case "blob":
                return self._blob(request, name, found["blob"])
        if request.method not in _READS:
            raise _unsupported()
        if found.lastgroup == "tags":
            refused = self._allowed(request, name, self.host.tags_actions)
            return refused or self._listings.tags(request, name)
        refused = self._allowed(request, name, _PULL)
        return refused or self._listings.referrers(request, name, found["referrers"])

    async def _manifest(self, request: Request, name: str, reference: str) -> Response:
        match request.method:
            case "GET" | "HEAD":
                return self._allowed(request, name, _PULL) or self._manifests.get(request, name, reference)
            case "PUT":
                refused = self._allowed(request, name, _PUSH)
                return refused or await self._manifests.put(request, name, reference)
            case "DELETE":
                refused = self._allowed(request, name, _DELETE)
                return refused or self._manifests.delete(request, name, reference)
        raise _unsupported()

    def _blob(self, request: Request, name: str, digest: str) -> Response:
        match request.method:
            case "GET" | "HEAD":
                return self._allowed(request, name, _PULL) or self._blobs.get(request, name, digest)
            case "DELETE":
                return self._allowed(request, name, _DELETE) or self._blobs.delete(request, name, digest)
        raise _unsupported()

    async def _upload(self, request: Request, name: str, identifier: str) -> Response:
        refused = self._allowed(request, name, _PUSH)
        if refused is not None:
            return refused
        match request.method, identifier:
            case "POST", "":
                return self._uploads.begin(request, name)
            case "GET", _:
                return self._uploads.status(request, name, identifier)
            case "PATCH", _:
                return await self._uploads.append(request, name, identifier)
            case "PUT", _:
                return await self._uploads.finish(request, name, identifier)
            case "DELETE", _:
                return self._uploads.cancel(request, name, identifier)
        raise _unsupported()

    def _allowed(self, request: Request, repository: str | None, actions: tuple[str, ...]) -> Response | None:
        return self.host.authorize(request, repository, actions)


def _unsupported() -> WireError:
    return WireError(405, "UNSUPPORTED", "The operation is unsupported.")
