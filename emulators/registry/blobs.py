"""Blobs: pull and delete (distribution-spec end-2, end-10)."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from emulators.registry.host import RegistryHost
from emulators.registry.wire import BytesResponse, WireError


class Blobs:
    """Serves ``/v2/<name>/blobs/<digest>``, inline or by sending clients to another host."""

    def __init__(self, host: RegistryHost) -> None:
        self._host = host

    def get(self, request: Request, name: str, digest: str) -> Response:
        host = self._host
        content = host.state.view().blob(name, digest)
        if content is None:
            raise _unknown(digest)
        refused = host.refuse_pull(request, name, digest)
        if refused is not None:
            return refused
        headers = {"Content-Type": "application/octet-stream", "Docker-Content-Digest": digest}
        if request.method == "HEAD":
            headers |= {"Content-Length": str(len(content)), "Accept-Ranges": "bytes"}
            return Response(headers=headers)
        url = host.redirect_blob(request, name, digest)
        if url is not None:
            return Response(status_code=307, headers={"Location": url, "Docker-Content-Digest": digest})
        return BytesResponse(content, request=request, headers={**headers, "ETag": f'"{digest}"'})

    def delete(self, request: Request, name: str, digest: str) -> Response:
        refused = self._host.refuse_upload(request, name)
        if refused is not None:
            return refused
        if not self._host.state.delete_blob(name, digest):
            raise _unknown(digest)
        return Response(status_code=202, headers={"Docker-Content-Digest": digest})


def _unknown(digest: str) -> WireError:
    return WireError(404, "BLOB_UNKNOWN", "blob unknown to registry", {"digest": digest})
