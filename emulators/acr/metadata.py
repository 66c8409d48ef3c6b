"""``/acr/v1``: the catalog, attributes and locks, untagging, deleting repositories."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from emulators.acr import errors
from emulators.acr.attributes import (
    manifest_json,
    manifest_with_references_json,
    read_switches,
    repository_json,
    tag_json,
)
from emulators.acr.host import AcrHost
from emulators.registry.listings import Listings
from emulators.registry.records import Manifest, Tag
from emulators.registry.repository import Order, Repository
from emulators.registry.wire import Paging, decoded_path, json_response

_CATALOG = "/acr/v1/_catalog"
_ROUTE = re.compile(r"/acr/v1/(?P<name>[^_].*?)(?:/(?P<kind>_tags|_manifests)(?:/(?P<item>[^/]+))?)?/?")
_READ = ("metadata_read",)
_WRITE = ("metadata_write",)
_DELETE = ("delete",)
_ORDERS: dict[str, Order] = {"timeasc": "timeasc", "timedesc": "timedesc"}


class Metadata:
    """Serves what Azure adds to the distribution API."""

    def __init__(self, host: AcrHost, *, login_server: str) -> None:
        self._host = host
        self._state = host.state
        self._listings = Listings(host)
        self._login_server = login_server

    async def respond(self, request: Request) -> Response:
        """Answer a request below ``/acr/v1/``."""
        path = decoded_path(request)
        if path == _CATALOG and request.method == "GET":
            self._host.authorize(request, None, ("*",))
            return self._listings.catalog(request, _CATALOG)
        found = _ROUTE.fullmatch(path)
        if found is None:
            return Response("404 page not found\n", 404, media_type="text/plain")
        name, kind, item = found["name"], found["kind"], found["item"]
        match request.method:
            case "GET":
                self._host.authorize(request, name, _READ)
                with self._state.lock:
                    return self._get(request, name, kind, item)
            case "PATCH":
                self._host.authorize(request, name, _WRITE)
                return self._patch(name, kind, item, await request.body())
            case "DELETE":
                self._host.authorize(request, name, _DELETE)
                return self._delete(request, name, kind, item)
        raise errors.unsupported()

    def _get(self, request: Request, name: str, kind: str | None, item: str | None) -> Response:
        home = self._found(self._state.view().repository(name), name)
        match kind, item:
            case None, _:
                return self._named(name, repository_json(home))
            case "_tags", None:
                return self._list_tags(request, home)
            case "_tags", tag:
                return self._tag(name, home.tags.get(tag or ""))
            case _, None:
                return self._page(
                    request, home, "manifests", page=home.manifests.page, render=manifest_json, key=_digest
                )
            case _, digest:
                return self._manifest(name, home, digest or "")

    def _list_tags(self, request: Request, home: Repository) -> Response:
        digest = request.query_params.get("digest")
        if digest is None:
            return self._page(request, home, "tags", page=home.tags.page, render=tag_json, key=_name)
        manifest = home.manifests.get(digest)
        names = manifest.tags if manifest is not None else ()
        last = request.query_params.get("last", "")
        chosen = (home.tags[each] for each in names if each > last)
        return self._page(request, home, "tags", page=lambda **_: chosen, render=tag_json, key=_name)

    def _page[Record: (Tag, Manifest)](
        self,
        request: Request,
        home: Repository,
        field: str,
        *,
        page: Callable[..., Iterator[Record]],
        render: Callable[[Record], dict[str, Any]],
        key: Callable[[Record], str],
    ) -> Response:
        paging = Paging.of(request, default=self._host.default_page, cap=self._host.page_cap)
        order = _ORDERS.get(paging.orderby, "none")
        visible = (each for each in page(last=paging.last, order=order) if each.locks.list)
        records, more = paging.take(visible)
        headers = {}
        if more:
            path = f"/acr/v1/{home.name}/_{field}"
            digest = request.query_params.get("digest")
            headers["Link"] = paging.link(
                path, key(records[-1]), limit=len(records), order=True, digest=digest
            )
        return self._named(home.name, {field: [render(each) for each in records]}, headers)

    def _patch(self, name: str, kind: str | None, item: str | None, body: bytes) -> Response:
        with self._state.lock:
            home = self._found(self._state.repository(name), name)
            if kind is None:
                locks, _ = read_switches(body, home.locks)
                self._state.set_repository_locks(name, locks)
                return self._named(name, repository_json(home))
            if kind == "_tags":
                tag = home.tags.get(item or "")
                if tag is None:
                    raise errors.unknown_tag()
                locks, _ = read_switches(body, tag.locks)
                return self._tag(name, self._state.set_tag_locks(name, tag.name, locks))
            manifest = home.manifests.get(item or "")
            if manifest is None:
                raise errors.unknown_manifest(item or "")
            locks, quarantine = read_switches(body, manifest.locks)
            self._state.change_manifest(name, manifest.digest, locks=locks, **quarantine)
            return self._manifest(name, home, manifest.digest)

    def _delete(self, request: Request, name: str, kind: str | None, item: str | None) -> Response:
        with self._state.lock:
            home = self._found(self._state.repository(name), name)
            if kind == "_tags" and item is not None:
                return self._untag(home, item)
            if kind is not None:
                raise errors.unsupported()
            self._host.refuse_repository_delete(home)
            manifests, tags = list(home.manifests.page()), list(home.tags)
            self._state.delete_repository(name)
        for manifest in manifests:
            self._host.deleted(request, name, manifest)
        deleted = {
            "manifestsDeleted": [each.digest for each in manifests],
            "tagsDeleted": tags or None,
        }
        return json_response(deleted, 202)

    def _untag(self, home: Repository, tag: str) -> Response:
        if tag not in home.tags:
            raise errors.unknown_tag()
        self._host.refuse_untag(home, tag)
        digest = home.tags[tag].digest
        self._state.delete_tag(home.name, tag)
        return Response(status_code=202, headers={"X-Ms-Int-Docker-Content-Digest": digest})

    def _tag(self, name: str, tag: Tag | None) -> Response:
        if tag is None:
            raise errors.unknown_tag()
        return self._named(name, {"tag": tag_json(tag)})

    def _manifest(self, name: str, home: Repository, digest: str) -> Response:
        manifest = home.manifests.get(digest)
        if manifest is None:
            raise errors.unknown_manifest(digest)
        return self._named(name, {"manifest": manifest_with_references_json(manifest)})

    def _named(self, name: str, fields: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
        return json_response({"registry": self._login_server, "imageName": name, **fields}, headers=headers)

    def _found(self, home: Repository | None, name: str) -> Repository:
        if home is None:
            raise errors.unknown_repository(name)
        return home


def _name(tag: Tag) -> str:
    return tag.name


def _digest(manifest: Manifest) -> str:
    return manifest.digest
