"""Uploads of blobs: sessions, chunks, mounts (distribution-spec end-4a, end-5, end-6, end-11, end-13).

Each Location carries a signed ``_state`` with the offset, and only the newest is good: an older one is
answered 404 BLOB_UPLOAD_UNKNOWN. A chunk is kept whole or not at all.
"""

from __future__ import annotations

import base64
import hmac
import json
import re
import secrets
from hashlib import sha256
from typing import Any
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import Response

from emulators.registry.host import RegistryHost
from emulators.registry.records import DIGEST, NAME
from emulators.registry.wire import WireError

_CONTENT_RANGE = re.compile(r"(\d+)-(\d+)")


class _Session:
    def __init__(self, repository: str) -> None:
        self.repository = repository
        self.identifier = str(uuid4())
        self.pieces: list[bytes] = []
        self.size = 0
        self.hash = sha256()
        self.turn = 0

    @property
    def span(self) -> str:
        return f"0-{max(0, self.size - 1)}"


class Uploads:
    """Serves ``/v2/<name>/blobs/uploads/``."""

    def __init__(self, host: RegistryHost) -> None:
        self._host = host
        self._sessions: dict[str, _Session] = {}
        self._key = secrets.token_bytes(32)

    def begin(self, request: Request, name: str) -> Response:
        """Open a session, or mount the blob from another repository at once."""
        refused = self._host.refuse_upload(request, name)
        if refused is not None:
            return refused
        query = request.query_params
        digest, source = query.get("mount"), query.get("from")
        if digest and source and self._mount(request, name, digest, source):
            return self._created(request, name, digest)
        session = _Session(name)
        self._sessions[session.identifier] = session
        return self._accepted(request, session, 202)

    def status(self, request: Request, name: str, identifier: str) -> Response:
        return self._accepted(request, self._session(request, name, identifier), 204)

    async def append(self, request: Request, name: str, identifier: str) -> Response:
        session = self._session(request, name, identifier)
        await self._take(request, session)
        return self._accepted(request, session, 202)

    async def finish(self, request: Request, name: str, identifier: str) -> Response:
        """Keep the blob if it is what its digest says; the session is over either way."""
        session = self._session(request, name, identifier)
        digest = request.query_params.get("digest", "")
        if not DIGEST.fullmatch(digest):
            raise WireError(400, "DIGEST_INVALID", "provided digest is not valid", {"digest": digest})
        await self._take(request, session)
        del self._sessions[identifier]
        if f"sha256:{session.hash.hexdigest()}" != digest:
            raise WireError(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        self._host.state.put_blob(name, b"".join(session.pieces), digest=digest)
        return self._created(request, name, digest)

    def cancel(self, request: Request, name: str, identifier: str) -> Response:
        del self._sessions[self._session(request, name, identifier).identifier]
        return Response(status_code=204)

    def _mount(self, request: Request, name: str, digest: str, source: str) -> bool:
        if not NAME.fullmatch(source):
            raise WireError(400, "NAME_INVALID", "invalid repository name", {"name": source})
        content = self._host.state.blob(source, digest)
        if content is None or not self._host.may_mount(request, source):
            return False
        self._host.state.put_blob(name, content, digest=digest)
        return True

    async def _take(self, request: Request, session: _Session) -> None:
        self._check_range(request, session)
        turn, pieces, running = session.turn, [], session.hash.copy()
        async for piece in request.stream():
            if piece:
                pieces.append(piece)
                running.update(piece)
        if session.turn != turn or session.identifier not in self._sessions:
            raise _unknown_upload(session.identifier)
        session.pieces += pieces
        session.size += sum(map(len, pieces))
        session.hash = running
        session.turn += 1

    def _check_range(self, request: Request, session: _Session) -> None:
        header = request.headers.get("content-range")
        if header is None:
            return
        found = _CONTENT_RANGE.fullmatch(header)
        if found is None:
            raise WireError(400, "BLOB_UPLOAD_INVALID", "Content-Range is <start>-<end>, without a unit")
        start, end = int(found[1]), int(found[2])
        if start != session.size:
            headers = {"Location": self._location(request, session), "Range": session.span}
            raise WireError(416, "BLOB_UPLOAD_INVALID", "invalid content range", headers=headers)
        length = request.headers.get("content-length")
        if length is not None and int(length) != end - start + 1:
            raise WireError(400, "SIZE_INVALID", "Content-Range does not fit Content-Length")

    def _session(self, request: Request, name: str, identifier: str) -> _Session:
        session = self._sessions.get(identifier)
        if session is None or session.repository != name:
            raise _unknown_upload(identifier)
        given = request.query_params.get("_state", "")
        if not hmac.compare_digest(given.encode(), self._state(session).encode()):
            raise _unknown_upload(identifier)
        return session

    def _state(self, session: _Session) -> str:
        fields: dict[str, Any] = {
            "Name": session.repository,
            "UUID": session.identifier,
            "Offset": session.size,
            "Turn": session.turn,
        }
        content = json.dumps(fields, separators=(",", ":")).encode()
        signature = hmac.digest(self._key, content, "sha256")
        return base64.urlsafe_b64encode(signature + content).decode("ascii")

    def _location(self, request: Request, session: _Session) -> str:
        path = f"/v2/{session.repository}/blobs/uploads/{session.identifier}"
        return self._host.location(request, f"{path}?_nouploadcache=false&_state={self._state(session)}")

    def _accepted(self, request: Request, session: _Session, status: int) -> Response:
        headers = {
            "Location": self._location(request, session),
            "Docker-Upload-UUID": session.identifier,
            "Range": session.span,
        }
        return Response(status_code=status, headers=headers)

    def _created(self, request: Request, name: str, digest: str) -> Response:
        location = self._host.location(request, f"/v2/{name}/blobs/{digest}")
        return Response(status_code=201, headers={"Location": location, "Docker-Content-Digest": digest})


def _unknown_upload(identifier: str) -> WireError:
    return WireError(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry", {"uuid": identifier})
