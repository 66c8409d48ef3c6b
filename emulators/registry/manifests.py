"""Manifests: pull, push, delete (distribution-spec end-2, end-7, end-9)."""

from __future__ import annotations

import json

from starlette.requests import Request
from starlette.responses import Response

from emulators.registry.host import RegistryHost
from emulators.registry.records import DIGEST, TAG, Manifest, parse_manifest
from emulators.registry.repository import Repository
from emulators.registry.wire import WireError


class Manifests:
    """Serves ``/v2/<name>/manifests/<reference>``."""

    def __init__(self, host: RegistryHost) -> None:
        self._host = host

    def get(self, request: Request, name: str, reference: str) -> Response:
        host = self._host
        repository = host.state.view().repository(name)
        manifest = repository.resolve(reference) if repository is not None else None
        if manifest is None:
            raise host.unknown_manifest(reference)
        refused = host.refuse_pull(request, name, reference)
        if refused is not None:
            return refused
        _negotiate(",".join(request.headers.getlist("accept")), manifest.media_type)
        headers = {
            "Content-Type": manifest.media_type,
            "Content-Length": str(len(manifest.content)),
            "Docker-Content-Digest": manifest.digest,
            "ETag": f'"{manifest.digest}"',
        }
        return Response(None if request.method == "HEAD" else manifest.content, headers=headers)

    async def put(self, request: Request, name: str, reference: str) -> Response:
        host = self._host
        content = await self._body(request)
        manifest = self._parsed(content, request.headers.get("content-type"))
        tag = None
        if DIGEST.fullmatch(reference):
            if reference != manifest.digest:
                raise WireError(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        elif TAG.fullmatch(reference):
            tag = reference
        else:
            raise WireError(400, "TAG_INVALID", "manifest tag did not match URI", {"Tag": reference})
        with host.state.lock:
            if host.validate_references:
                _check_references(host.state.repository(name), manifest)
            refused = host.refuse_push(request, name, manifest, tag)
            if refused is not None:
                return refused
            kept = host.state.put_manifest(name, content, manifest.media_type, tag=tag)
        host.pushed(request, name, kept, tag)
        path = f"/v2/{name}/manifests/{kept.digest}"
        headers = {"Docker-Content-Digest": kept.digest, "Location": host.location(request, path)}
        if kept.subject is not None and host.referrers != "none":
            headers["OCI-Subject"] = kept.subject
        return Response(status_code=201, headers=headers)

    def delete(self, request: Request, name: str, reference: str) -> Response:
        host = self._host
        with host.state.lock:
            if ":" not in reference:
                refused = host.refuse_delete_by_tag(request, name, reference)
                if refused is not None:
                    return refused
            repository = host.state.repository(name)
            manifest = repository.resolve(reference) if repository is not None else None
            if manifest is None:
                raise host.unknown_manifest(reference)
            refused = host.refuse_delete(request, name, manifest)
            if refused is not None:
                return refused
            host.state.delete_manifest(name, manifest.digest)
        host.deleted(request, name, manifest)
        return Response(status_code=202)

    async def _body(self, request: Request) -> bytes:
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > self._host.manifest_limit:
                raise WireError(413, "MANIFEST_INVALID", "the manifest is larger than 4 MiB")
        return bytes(body)

    def _parsed(self, content: bytes, content_type: str | None) -> Manifest:
        media_type = (content_type or "").split(";")[0].strip() or _declared_type(content)
        if media_type not in self._host.media_types:
            raise WireError(400, "MANIFEST_INVALID", "manifest invalid", f"media type {media_type!r}")
        try:
            return parse_manifest(content, media_type, at=self._host.state.clock())
        except ValueError as error:
            raise WireError(400, "MANIFEST_INVALID", "manifest invalid", str(error)) from error


def _declared_type(content: bytes) -> str:
    try:
        return str(json.loads(content).get("mediaType", ""))
    except (ValueError, AttributeError):
        return ""


def _negotiate(accept: str, media_type: str) -> None:
    """Answer 404 to a client that names what it accepts and not this, as CNCF distribution does for OCI."""
    if accept and media_type not in accept and "*/*" not in accept and "application/*" not in accept:
        raise WireError(404, "MANIFEST_UNKNOWN", f"{media_type} found, but accept header does not support it")


def _check_references(repository: Repository | None, manifest: Manifest) -> None:
    for digest in manifest.references:
        known = repository is not None and (digest in repository.blobs or digest in repository.manifests)
        if not known:
            raise WireError(400, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry", {"digest": digest})
