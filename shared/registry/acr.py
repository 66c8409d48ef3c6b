"""Azure Container Registry: the OCI API, and ACR's own for what OCI has no words for."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from itertools import chain
from typing import Any, Final
from urllib.parse import quote

from shared.errors import ProtocolViolation
from shared.oci.graph import Edges
from shared.oci.media_types import may_point_at_manifests
from shared.oci.names import Digest, LoginServer, RepositoryName, TagName
from shared.registry.acr_attributes import (
    ManifestAttributes,
    RepositoryAttributes,
    read_manifests,
    read_tags,
)
from shared.registry.acr_operations import AcrOperations
from shared.registry.addresses import Origin
from shared.registry.challenges import Challenge
from shared.registry.client import RegistryClient
from shared.registry.credentials import ANONYMOUS, Credential
from shared.registry.pacing import ACR_BASIC_PACES
from shared.registry.repository import PAGE_SIZE
from shared.registry.snapshot import read_edges, take_snapshot
from shared.registry.transport import TransportOptions
from shared.registry.wire import follow_pages, json_object, next_link
from shared.retention.snapshot import ManifestRecord, RepositorySnapshot, TagRecord

_SOURCE_HEADER: Final = {"X-Meta-Source-Client": "azure/functions"}
"""By which ACR asks its callers to say what they run on (Azure/acr, docs/http-headers.md)."""

NEWEST_PAGE_SIZE: Final = 25
_FOUND_OR_NOT: Final = frozenset({200, 404})
_DELETED_OR_GONE: Final = frozenset({200, 202, 204, 404})
_READING: Final = ("metadata_read", "pull")


class AcrClient(RegistryClient):
    """One Azure container registry.

    Signs in without being asked to: an Entra identity is exchanged, a user or token is taken as it is,
    and every token names its repositories, so that registries with ABAC permissions work. Single
    operations go through ``azure-containerregistry``, lists are read as raw pages.
    """

    def __init__(
        self,
        login_server: LoginServer,
        credential: Credential = ANONYMOUS,
        *,
        endpoint: str | None = None,
        options: TransportOptions | None = None,
    ) -> None:
        """Prepare the client; nothing is sent before the first request."""
        options = options or TransportOptions()
        super().__init__(
            login_server,
            credential,
            endpoint=endpoint,
            options=replace(
                options,
                paces=ACR_BASIC_PACES if options.paces is None else options.paces,
                headers={**_SOURCE_HEADER, **options.headers},
            ),
        )
        self._operations = AcrOperations(self._transport)

    def _known_challenge(self, home: Origin) -> Challenge:
        """Return ACR's token service: the login server itself, so that no answer can send us elsewhere."""
        return Challenge(
            scheme="bearer", parameters={"realm": f"{home}/oauth2/token", "service": self.login_server}
        )

    def list_repositories(self) -> Iterator[RepositoryName]:
        """Yield the names of all repositories; needs the right to list the catalog."""
        return self._names(f"/acr/v1/_catalog?n={PAGE_SIZE}")

    def repository_attributes(self, name: RepositoryName) -> RepositoryAttributes:
        """Return the repository's attributes.

        :raises NotFound: when it does not exist.
        """
        return self._operations.repository_attributes(name)

    def list_tag_records(self, name: RepositoryName) -> Iterator[TagRecord]:
        """Yield the tags, by name.

        :raises NotFound: when the repository does not exist.
        """
        return self._listed(name, "tags", lambda items: read_tags(items, registry=self.login_server))

    def list_manifest_records(
        self, name: RepositoryName, *, newest_first: bool = False
    ) -> Iterator[ManifestAttributes]:
        """Yield the manifests, each with the tags on it, by digest or else the latest update first.

        :raises NotFound: when the repository does not exist.
        """
        return self._listed(
            name,
            "manifests",
            lambda items: read_manifests(items, registry=self.login_server),
            query=f"n={NEWEST_PAGE_SIZE}&orderby=timedesc" if newest_first else f"n={PAGE_SIZE}",
        )

    def read_edges(self, name: RepositoryName, record: ManifestRecord) -> Edges:
        """Return what the body of one manifest points at.

        :raises InvalidManifest: when the body cannot be understood.
        :raises RegistryError: when it cannot be read.
        """
        if not may_point_at_manifests(record.media_type):
            return Edges()
        return read_edges(self.repository(name), record)

    def _listed[Item](
        self,
        name: RepositoryName,
        kind: str,
        read: Callable[[list[Any]], Iterator[Item]],
        *,
        query: str = f"n={PAGE_SIZE}",
    ) -> Iterator[Item]:
        def fetch(url: str) -> tuple[Iterator[Item], str | None]:
            response = self._transport.request("GET", url)
            items = json_object(response, registry=self.login_server).get(kind) or []
            if not isinstance(items, list):
                raise ProtocolViolation(f"{kind} is not a list", registry=self.login_server)
            return read(items), next_link(response)

        first = self._transport.url(f"{_place(name)}/_{kind}?{query}")
        pages = follow_pages(first, fetch, registry=self.login_server, home=self._transport.home)
        return chain.from_iterable(pages)

    def tag_attributes(self, name: RepositoryName, tag: TagName) -> TagRecord | None:
        """Return the tag as it is now, ``None`` when it does not exist."""
        item = self._single(f"{_place(name)}/_tags/{quote(tag, safe='')}", "tag")
        return None if item is None else next(read_tags([item], registry=self.login_server))

    def manifest_attributes(self, name: RepositoryName, digest: Digest) -> ManifestAttributes | None:
        """Return the manifest as it is now, with the tags on it, ``None`` when it does not exist.

        Read raw: the SDK's model has no media type.
        """
        item = self._single(f"{_place(name)}/_manifests/{quote(digest, safe=':')}", "manifest")
        return None if item is None else next(read_manifests([item], registry=self.login_server))

    def _single(self, url: str, kind: str) -> object | None:
        """Return what the registry says of one tag or manifest, ``None`` when it does not exist."""
        response = self._transport.request("GET", url, expect=_FOUND_OR_NOT)
        if response.status_code == HTTPStatus.NOT_FOUND:
            return None
        found: object = json_object(response, registry=self.login_server).get(kind)
        return found

    def snapshot(
        self,
        name: RepositoryName,
        *,
        edges_known: Mapping[Digest, Edges] | None = None,
        edges_read: dict[Digest, Edges] | None = None,
    ) -> RepositorySnapshot:
        """Return all that a plan needs to know of the repository; see :func:`take_snapshot`.

        ``edges_known`` are bodies that were read before and need not be read again: a digest never
        changes its meaning. ``edges_read`` is filled with those that had to be read.

        :raises NotFound: when the repository does not exist.
        """
        self.expect([name], *_READING)
        return take_snapshot(
            self,
            name,
            edges_known=edges_known or {},
            edges_read=edges_read,
            threads=self._transport.options.threads,
            at=datetime.now(UTC),
        )

    def untag(self, name: RepositoryName, tag: TagName) -> bool:
        """Remove the tag and leave the manifest; ``False`` when it was already gone.

        :raises OperationDisallowed: when it is locked.
        """
        return self._delete(f"{_place(name)}/_tags/{quote(tag, safe='')}")

    def delete_manifest(self, name: RepositoryName, digest: Digest) -> bool:
        """Delete the manifest and every tag on it; ``False`` when it was already gone.

        :raises OperationDisallowed: when it is locked.
        """
        return self._delete(f"/v2/{quote(name)}/manifests/{quote(digest, safe=':')}")

    def _delete(self, url: str) -> bool:
        response = self._transport.request("DELETE", url, expect=_DELETED_OR_GONE)
        return response.status_code != HTTPStatus.NOT_FOUND

    def delete_repository(self, name: RepositoryName) -> bool:
        """Delete the repository with all that is in it; ``False`` when it was already gone.

        :raises OperationDisallowed: when it is locked.
        """
        return self._operations.delete_repository(name)

    def set_lock(
        self,
        name: RepositoryName,
        target: TagName | Digest | None = None,
        *,
        delete_enabled: bool | None = None,
        write_enabled: bool | None = None,
    ) -> None:
        """Change what may be done to a tag, a manifest or, without a target, the repository itself."""
        self._operations.set_lock(name, target, delete_enabled=delete_enabled, write_enabled=write_enabled)

    def lock(self, name: RepositoryName, target: TagName | Digest | None = None) -> None:
        """Protect a tag, a manifest or the repository from deleting and overwriting."""
        self.set_lock(name, target, delete_enabled=False, write_enabled=False)

    def unlock(self, name: RepositoryName, target: TagName | Digest | None = None) -> None:
        """Allow deleting and overwriting again."""
        self.set_lock(name, target, delete_enabled=True, write_enabled=True)


def _place(name: RepositoryName) -> str:
    return f"/acr/v1/{quote(name, safe='')}"
