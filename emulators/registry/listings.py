"""Lists: the catalog, tags and referrers (distribution-spec end-8a, end-12a)."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from emulators.registry.host import RegistryHost
from emulators.registry.records import DIGEST, OCI_INDEX, Manifest
from emulators.registry.wire import Paging, WireError, json_response


class Listings:
    """Serves what can be paged."""

    def __init__(self, host: RegistryHost) -> None:
        self._host = host

    def catalog(self, request: Request, path: str = "/v2/_catalog") -> Response:
        host = self._host
        paging = self._paging(request)
        state = host.state.view()
        with host.state.lock:
            listed = (
                name
                for name in state.repository_names(last=paging.last)
                if (found := state.repository(name)) is not None and found.locks.list
            )
            names, more = paging.take(listed)
        headers = self._link(path, paging, names[-1:], more=more)
        return json_response({"repositories": names or (None if host.null_catalog else [])}, headers=headers)

    def tags(self, request: Request, name: str) -> Response:
        host = self._host
        paging = self._paging(request)
        with host.state.lock:
            repository = host.state.view().repository(name)
            if repository is None:
                raise host.unknown_repository(name)
            visible = (tag.name for tag in repository.tags.page(last=paging.last) if tag.locks.list)
            names, more = paging.take(visible)
        headers = self._link(f"/v2/{name}/tags/list", paging, names[-1:], more=more)
        return json_response({"name": name, "tags": names}, headers=headers)

    def referrers(self, request: Request, name: str, digest: str) -> Response:
        host = self._host
        if host.referrers != "full":
            return Response("404 page not found\n", 404, media_type="text/plain")
        if not DIGEST.fullmatch(digest):
            raise WireError(400, "DIGEST_INVALID", "provided digest is not valid", {"digest": digest})
        paging = self._paging(request)
        kind = request.query_params.get("artifactType")
        with host.state.lock:
            repository = host.state.view().repository(name)
            if repository is None:
                raise host.unknown_repository(name)
            found = [repository.manifests[each] for each in sorted(repository.referrers.get(digest, ()))]
        wanted = (
            each
            for each in found
            if (kind is None or each.artifact_type == kind)
            and (paging.last is None or each.digest > paging.last)
        )
        page, more = paging.take(wanted)
        last = [each.digest for each in page[-1:]]
        headers = self._link(f"/v2/{name}/referrers/{digest}", paging, last, more=more)
        if kind is not None:
            headers["OCI-Filters-Applied"] = "artifactType"
        headers["Content-Type"] = OCI_INDEX
        descriptors = [_descriptor(each) for each in page]
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": descriptors}
        return json_response(index, headers=headers)

    def _paging(self, request: Request) -> Paging:
        return Paging.of(request, default=self._host.default_page, cap=self._host.page_cap)

    def _link(self, path: str, paging: Paging, last: list[str], *, more: bool) -> dict[str, str]:
        if not more or paging.limit is None:
            return {}
        link = paging.link(path, last[0], limit=paging.limit, order=self._host.link_order)
        return {"Link": link}


def _descriptor(manifest: Manifest) -> dict[str, Any]:
    descriptor: dict[str, Any] = {
        "mediaType": manifest.media_type,
        "digest": manifest.digest,
        "size": len(manifest.content),
    }
    if manifest.artifact_type:
        descriptor["artifactType"] = manifest.artifact_type
    if manifest.annotations:
        descriptor["annotations"] = dict(manifest.annotations)
    return descriptor
