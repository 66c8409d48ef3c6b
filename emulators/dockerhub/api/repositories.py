"""Repositories in the Hub API: list, look, create, delete, and their immutable tags."""

import re
from datetime import datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from emulators.dockerhub.accounts import Scope
from emulators.dockerhub.api.access import Caller
from emulators.dockerhub.api.body import read_object, text_field
from emulators.dockerhub.api.errors import field_error, schema_error
from emulators.dockerhub.api.paging import answer_page, ordered
from emulators.dockerhub.catalogue import HubRepository, ImmutableTags, RepositoryExistsError
from emulators.dockerhub.hub import Hub, timestamp

_NAME = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")
_NAME_LENGTHS = range(2, 256)
_DESCRIPTION_CAP = 100
_LIST = "/v2/namespaces/{namespace}/repositories"
_ONE = "/v2/namespaces/{namespace}/repositories/{repository}"
_LEGACY_ONE = "/v2/repositories/{namespace}/{repository}"


class Repositories:
    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def routes(self) -> list[Route]:
        return [
            Route(_LIST, self.list_all, methods=["GET"]),
            Route("/v2/repositories/{namespace}", self.list_all, methods=["GET"]),
            Route(_LIST, self.create, methods=["POST"]),
            Route(_ONE, self.show, methods=["GET"]),
            Route(_LEGACY_ONE, self.show, methods=["GET"]),
            Route(_LEGACY_ONE, self.delete, methods=["DELETE"]),
            Route(f"{_ONE}/immutabletags", self.set_immutable_tags, methods=["PATCH"]),
            Route(f"{_ONE}/immutabletags/verify", self.verify_immutable_tags, methods=["POST"]),
        ]

    async def list_all(self, request: Request) -> Response:
        caller = Caller.of(request, self._hub)
        wanted = request.query_params.get("name", "")
        rows = [
            repository
            for repository in self._hub.catalogue.repositories(request.path_params["namespace"])
            if caller.sees(repository) and wanted in repository.name
        ]
        rows = ordered(
            rows,
            request.query_params.get("ordering", "name"),
            {
                "name": lambda repository: repository.name,
                "last_updated": lambda repository: timestamp(self._last_updated(repository)) or "",
                "pull_count": lambda repository: repository.pull_count,
            },
        )
        return answer_page(request, rows, page_cap=self._hub.page_cap, render=self._summary)

    async def show(self, request: Request) -> Response:
        caller = Caller.of(request, self._hub)
        repository = caller.repository(request)
        if request.method == "HEAD":
            return Response(status_code=200)
        return JSONResponse(self._details(repository, caller))

    async def create(self, request: Request) -> Response:
        caller = Caller.of(request, self._hub)
        body = await read_object(request)
        name, namespace = text_field(body, "name"), text_field(body, "namespace")
        if namespace != request.path_params["namespace"]:
            raise field_error(namespace="does not match the path")
        if not _NAME.fullmatch(name) or len(name) not in _NAME_LENGTHS:
            raise field_error(name="must be 2 to 255 of a-z, 0-9 with single . _ - between")
        description = str(body.get("description") or "")
        if len(description) > _DESCRIPTION_CAP:
            raise field_error(description="is longer than 100 characters")
        private = body.get("is_private", False)
        if not isinstance(private, bool):
            raise field_error(is_private="must be a boolean")
        caller.require("repo:admin", namespace)
        try:
            repository = self._hub.catalogue.create(
                f"{namespace}/{name}",
                private=private,
                description=description,
                full_description=str(body.get("full_description") or ""),
            )
        except RepositoryExistsError as error:
            raise schema_error(409, "repository already exists") from error
        return JSONResponse(self._details(repository, caller), status_code=201)

    async def delete(self, request: Request) -> Response:
        caller = Caller.of(request, self._hub)
        caller.require("repo:admin", request.path_params["namespace"])
        self._hub.catalogue.delete(caller.repository(request).full_name)
        return Response(status_code=202)

    async def set_immutable_tags(self, request: Request) -> Response:
        caller = Caller.of(request, self._hub)
        caller.require("repo:admin", request.path_params["namespace"])
        repository = caller.repository(request)
        body = await read_object(request)
        rules = body.get("immutable_tags_rules", [])
        if not isinstance(rules, list) or not all(isinstance(rule, str) for rule in rules):
            raise field_error(immutable_tags_rules="must be a list of regular expressions")
        repository.immutable = ImmutableTags(
            enabled=body.get("immutable_tags") is True, rules=tuple(_compiled(rule) for rule in rules)
        )
        return JSONResponse(self._details(repository, caller))

    async def verify_immutable_tags(self, request: Request) -> Response:
        caller = Caller.of(request, self._hub)
        caller.require("repo:admin", request.path_params["namespace"])
        repository = caller.repository(request)
        rule = _compiled(text_field(await read_object(request), "regex"))
        tags = self._hub.catalogue.tags(repository)
        return JSONResponse({"tags": [tag.name for tag in tags if rule.fullmatch(tag.name)]})

    def _last_updated(self, repository: HubRepository) -> datetime | None:
        return max((tag.updated for tag in self._hub.catalogue.tags(repository)), default=None)

    def _summary(self, repository: HubRepository) -> dict[str, object]:
        media_types = sorted(
            {
                manifest.config_media_type
                for manifest in self._hub.catalogue.manifests(repository)
                if manifest.tags and manifest.config_media_type is not None
            }
        )
        updated = timestamp(self._last_updated(repository))
        return {
            "name": repository.name,
            "namespace": repository.namespace,
            "repository_type": "image" if media_types else None,
            "status": 1,
            "status_description": "active",
            "description": repository.description or None,
            "is_private": repository.private,
            "star_count": 0,
            "pull_count": repository.pull_count,
            "last_updated": updated,
            "last_modified": updated,
            "date_registered": timestamp(repository.registered),
            "affiliation": "",
            "media_types": media_types,
            "content_types": ["image"] if media_types else [],
            "categories": [],
            "storage_size": self._hub.catalogue.storage_size(repository),
        }

    def _details(self, repository: HubRepository, caller: Caller) -> dict[str, object]:
        def allowed(scope: Scope) -> bool:
            return caller.account is not None and caller.account.may(scope, repository.namespace)

        return self._summary(repository) | {
            "user": repository.namespace,
            "hub_user": repository.namespace,
            "is_automated": False,
            "collaborator_count": 0,
            "has_starred": False,
            "full_description": repository.full_description or None,
            "permissions": {
                "read": caller.sees(repository),
                "write": allowed("repo:write"),
                "admin": allowed("repo:admin"),
            },
            "immutable_tags_settings": {
                "enabled": repository.immutable.enabled,
                "rules": [rule.pattern for rule in repository.immutable.rules],
            },
            "source": None,
        }


def _compiled(rule: str) -> re.Pattern[str]:
    try:
        return re.compile(rule)
    except re.error as error:
        raise field_error(regex=f"is not a regular expression: {error}") from error
