"""Tags and manifests in the Hub API."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from emulators.dockerhub.api.access import Caller
from emulators.dockerhub.api.errors import HubError, schema_error
from emulators.dockerhub.api.paging import answer_page, ordered
from emulators.dockerhub.catalogue import HubRepository
from emulators.dockerhub.hub import Hub, timestamp, user_id
from emulators.registry.records import Manifest, Tag

_REPOSITORY = "/v2/namespaces/{namespace}/repositories/{repository}"
_LEGACY = "/v2/repositories/{namespace}/{repository}"
_MANIFESTS_PER_CALL = 100


class Tags:
    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def routes(self) -> list[Route]:
        return [
            Route(f"{_REPOSITORY}/tags", self.list_all, methods=["GET"]),
            Route(f"{_LEGACY}/tags", self.list_all, methods=["GET"]),
            Route(f"{_REPOSITORY}/tags/{{tag}}", self.show, methods=["GET"]),
            Route(f"{_LEGACY}/tags/{{tag}}", self.show, methods=["GET"]),
            Route(f"{_REPOSITORY}/tags/{{tag}}", self.delete, methods=["DELETE"]),
            Route(f"{_LEGACY}/tags/{{tag}}", self.delete, methods=["DELETE"]),
            Route(f"{_REPOSITORY}/manifests", self.list_manifests, methods=["GET"]),
        ]

    async def list_all(self, request: Request) -> Response:
        repository = Caller.of(request, self._hub).repository(request)
        wanted = request.query_params.get("name", "")
        tags = [tag for tag in self._hub.catalogue.tags(repository) if wanted in tag.name]
        tags = ordered(
            tags,
            request.query_params.get("ordering", "-last_updated"),
            {"name": lambda tag: tag.name, "last_updated": lambda tag: tag.updated},
        )
        return answer_page(
            request, tags, page_cap=self._hub.page_cap, render=lambda tag: self._tag(repository, tag)
        )

    async def show(self, request: Request) -> Response:
        repository = Caller.of(request, self._hub).repository(request)
        for tag in self._hub.catalogue.tags(repository):
            if tag.name == request.path_params["tag"]:
                if request.method == "HEAD":
                    return Response(status_code=200)
                return JSONResponse(self._tag(repository, tag))
        raise _no_such_tag(request)

    async def delete(self, request: Request) -> Response:
        """Remove the name only: the manifest stays, untagged, until it is deleted by digest."""
        caller = Caller.of(request, self._hub)
        caller.require("repo:admin", request.path_params["namespace"])
        repository = caller.repository(request)
        if not self._hub.catalogue.untag(repository, request.path_params["tag"]):
            raise _no_such_tag(request)
        return Response(status_code=204)

    async def list_manifests(self, request: Request) -> Response:
        """All manifests, the untagged too, by cursor; undocumented (docker/roadmap#795)."""
        caller = Caller.of(request, self._hub)
        caller.require("repo:read", request.path_params["namespace"])
        repository = caller.repository(request)
        last = request.query_params.get("last_evaluated_key", "")
        rest = [row for row in self._hub.catalogue.manifests(repository) if row.digest > last]
        page = rest[: min(_MANIFESTS_PER_CALL, self._hub.page_cap)]
        return JSONResponse(
            {
                "manifests": [_manifest(row) for row in page],
                "last_evaluated_key": page[-1].digest if len(rest) > len(page) else None,
            }
        )

    def _tag(self, repository: HubRepository, tag: Tag) -> dict[str, object]:
        manifest = self._hub.catalogue.manifest(repository, tag.digest)
        images = self._hub.catalogue.images(repository, tag.digest)
        pushed = timestamp(tag.updated)
        pulled = timestamp(repository.pulled.get(tag.name))
        owner = user_id(repository.namespace)
        return {
            "creator": owner,
            "id": user_id(f"{repository.full_name}:{tag.name}"),
            "images": [
                {
                    "architecture": image.architecture,
                    "features": "",
                    "variant": image.variant,
                    "digest": image.digest,
                    "os": image.os,
                    "os_features": "",
                    "os_version": None,
                    "size": image.size,
                    "status": "active",
                    "last_pulled": pulled,
                    "last_pushed": pushed,
                }
                for image in images
            ],
            "last_updated": pushed,
            "last_updater": owner,
            "last_updater_username": repository.namespace,
            "name": tag.name,
            "repository": user_id(repository.full_name),
            "full_size": images[0].size if images else 0,
            "v2": True,
            "tag_status": "active",
            "tag_last_pulled": pulled,
            "tag_last_pushed": pushed,
            "media_type": manifest.media_type if manifest else None,
            "content_type": "image",
            "digest": tag.digest,
        }


def _manifest(row: Manifest) -> dict[str, object]:
    return {
        "manifest_digest": row.digest,
        "media_type": row.media_type,
        "size": len(row.content),
        "tags": list(row.tags),
        "last_pushed": timestamp(row.updated),
        "last_pulled": None,
    }


def _no_such_tag(request: Request) -> HubError:
    return schema_error(404, f"tag '{request.path_params['tag']}' not found")
