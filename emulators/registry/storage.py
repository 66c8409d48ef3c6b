"""The other host that serves blobs: a storage account behind ACR, a CDN behind Docker Hub.

storage = BlobStorage(state.content, clock=state.clock)
server = Server(Edge(storage), ca=ca)
storage.base_url = server.url
storage.url_for(digest)                  # signed, good for a while
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from datetime import datetime
from urllib.parse import quote
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from emulators.registry.wire import BytesResponse, WireError, decoded_path

_PREFIX = "/content/"


class BlobStorage:
    """Serves bytes to whoever holds a signed URL, and to nobody who also sends credentials."""

    def __init__(
        self,
        content: Callable[[str], bytes | None],
        *,
        clock: Callable[[], datetime],
        lifetime: float = 1200.0,
        base_url: str = "",
    ) -> None:
        self._content = content
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self.lifetime = lifetime
        self.base_url = base_url

    def url_for(self, digest: str) -> str:
        """Sign a URL that serves the blob for ``lifetime`` seconds."""
        expiry = str(self._clock().timestamp() + self.lifetime)
        signature = self._signature(digest, expiry)
        path = f"{_PREFIX}{digest.replace(':', '-')}"
        return f"{self.base_url}{path}?se={quote(expiry)}&sp=r&sr=b&sv=2021-12-02&sig={signature}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = self._respond(request)
        except WireError as error:
            response = _xml(error.status, "InvalidRange", error.message)
        response.headers["Server"] = "Windows-Azure-Blob/1.0 Microsoft-HTTPAPI/2.0"
        response.headers["x-ms-request-id"] = str(uuid4())
        await response(scope, receive, send)

    def _respond(self, request: Request) -> Response:
        if "authorization" in request.headers:
            text = "Authentication information is not given in the correct format."
            return _xml(400, "InvalidAuthenticationInfo", text)
        if request.method not in {"GET", "HEAD"}:
            return _xml(405, "UnsupportedHttpVerb", "The resource doesn't support specified Http Verb.")
        digest = decoded_path(request).removeprefix(_PREFIX).replace("-", ":", 1)
        query = request.query_params
        expiry = query.get("se", "")
        signature = self._signature(digest, expiry).encode()
        good = hmac.compare_digest(query.get("sig", "").encode(), signature)
        if not good or float(expiry) <= self._clock().timestamp():
            return _xml(403, "AuthenticationFailed", "Server failed to authenticate the request.")
        content = self._content(digest)
        if content is None:
            return _xml(404, "BlobNotFound", "The specified blob does not exist.")
        headers = {
            "Content-Type": "application/octet-stream",
            "ETag": f'"{digest[-16:]}"',
            "x-ms-blob-type": "AppendBlob",
        }
        return BytesResponse(content, request=request, headers=headers)

    def _signature(self, digest: str, expiry: str) -> str:
        return hmac.digest(self._key, f"{digest}\n{expiry}".encode(), "sha256").hex()


def _xml(status: int, code: str, message: str) -> Response:
    error = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    body = f'<?xml version="1.0" encoding="utf-8"?>{error}'
    return Response(body, status, headers={"x-ms-error-code": code}, media_type="application/xml")
