"""One repository of a registry, over the OCI distribution API."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

import requests

from shared.errors import (
    AccessDenied,
    ContentRejected,
    DigestMismatch,
    InvalidManifest,
    InvalidName,
    ManifestBlobUnknown,
    NotFound,
    OperationDisallowed,
    ProtocolViolation,
    RegistryError,
)
from shared.oci.graph import Edges
from shared.oci.manifest import MAX_MANIFEST_BYTES, Descriptor, digest_of, parse_manifest
from shared.oci.media_types import ACCEPT_MANIFESTS, may_point_at_manifests
from shared.oci.names import Digest, LoginServer, RepositoryName, TagName, parse_digest, parse_tag
from shared.registry.blobs import digest_matches, open_blob
from shared.registry.content import FetchedManifest, OpenBlob
from shared.registry.flights import Flights
from shared.registry.pulls import Pulls
from shared.registry.redaction import redact
from shared.registry.referrers import Referrers
from shared.registry.transport import Transport
from shared.registry.uploads import Uploads
from shared.registry.wire import follow_pages, json_object, next_link

logger = logging.getLogger("steward.repository")

PAGE_SIZE: Final = 1000
_FOUND_OR_NOT: Final = frozenset({200, 404})
_DELETED_OR_GONE: Final = frozenset({200, 202, 204, 404})
_STORED: Final = frozenset({200, 201, 202})


class RepositoryClient:
    """Reads and writes one repository; a source and a target of :func:`shared.registry.copy.copy_graph`."""

    def __init__(
        self,
        transport: Transport,
        login_server: LoginServer,
        name: RepositoryName,
        *,
        pulls: Pulls,
        flights: Flights,
    ) -> None:
        self._transport = transport
        self.login_server = login_server
        self.name = name
        self.pulls = pulls
        """How many pulls the registry said are left."""
        self._flights = flights
        self._base = f"/v2/{name}"
        self._uploads = Uploads(transport, name, self.blob_exists, flights)
        self._referrers = Referrers(
            transport,
            f"{self._base}/referrers/",
            resolve=self._digest_of,
            fetch=self.fetch_manifest,
            push=lambda content, media_type, tag: self.push_manifest(content, media_type, tag=tag),
        )

    @property
    def place(self) -> str:
        """``login server/repository``."""
        return f"{self.login_server}/{self.name}"

    def resolve(self, reference: TagName | Digest) -> Descriptor | None:
        """Return what the reference is now, ``None`` when it does not exist.

        By HEAD, which Docker Hub does not count as a pull; by GET where a registry's HEAD says too little.
        """
        response = self._transport.request(
            "HEAD", self._manifest(reference), headers={"Accept": ACCEPT_MANIFESTS}, expect=_FOUND_OR_NOT
        )
        if response.status_code == HTTPStatus.NOT_FOUND:
            return None
        self.pulls.note(response.headers)
        stated, length = response.headers.get("Docker-Content-Digest"), response.headers.get("Content-Length")
        media_type = _media_type(response)
        if not stated or not length or not length.isdigit() or not media_type:
            return self.fetch_manifest(reference).descriptor
        digest = self._stated_digest(stated, response)
        if ":" in reference and digest != reference:
            raise DigestMismatch(f"asked for {reference}, got {digest}", **self._where(response))
        return Descriptor(media_type=media_type, digest=digest, size=int(length))

    def fetch_manifest(self, reference: TagName | Digest) -> FetchedManifest:
        """Return the manifest, verified against the digest asked for and the one announced.

        :raises NotFound: when it does not exist.
        :raises DigestMismatch: when the bytes are others.
        """
        response = self._transport.request(
            "GET", self._manifest(reference), headers={"Accept": ACCEPT_MANIFESTS}
        )
        self.pulls.note(response.headers)
        content = response.content
        if len(content) > MAX_MANIFEST_BYTES:
            raise ProtocolViolation(
                f"a manifest of {len(content)} bytes; the most that is read is {MAX_MANIFEST_BYTES}",
                **self._where(response),
            )
        stated = response.headers.get("Docker-Content-Digest")
        announced = self._stated_digest(stated, response) if stated else None
        wanted = Digest(reference) if ":" in reference else announced or digest_of(content)
        for digest in {wanted, announced or wanted}:
            if not digest_matches(content, digest):
                raise DigestMismatch(
                    f"the bytes served as {digest} are {digest_of(content)}", **self._where(response)
                )
        media_type = _media_type(response)
        return FetchedManifest(Descriptor(media_type=media_type, digest=wanted, size=len(content)), content)

    def push_manifest(self, content: bytes, media_type: str, *, tag: TagName | None = None) -> Descriptor:
        """Store exactly these bytes, by digest or under the tag, in one request.

        A manifest with a subject is afterwards listed among the referrers, by the registry or by us.

        :raises ManifestBlobUnknown: when something that the manifest points at is missing.
        """
        digest = digest_of(content)
        try:
            response = self._transport.request(
                "PUT",
                self._manifest(digest if tag is None else tag),
                headers={"Content-Type": media_type},
                body=content,
                expect=_STORED,
            )
        except ManifestBlobUnknown:
            self._flights.forget(self.name)
            raise
        stated = response.headers.get("Docker-Content-Digest")
        if stated is not None and stated != digest:
            raise DigestMismatch(f"{digest} was sent and stored as {stated}", **self._where(response))
        descriptor = Descriptor(media_type=media_type, digest=digest, size=len(content))
        if b'"subject"' in content:
            self._record_referrer(FetchedManifest(descriptor, content), response)
        return descriptor

    def _record_referrer(self, fetched: FetchedManifest, response: requests.Response) -> None:
        try:
            manifest = parse_manifest(fetched.content, fetched.descriptor.media_type)
        except InvalidManifest:
            return  # the registry took it, whatever it is; what cannot be read points at nothing
        self._referrers.record(manifest, fetched, acknowledged="OCI-Subject" in response.headers)

    def blob_exists(self, descriptor: Descriptor) -> bool:
        """Tell whether the registry says that it has the blob.

        A 403 counts as no: some registries answer so where they mean 404, and pushing settles it
        (go-containerregistry, pkg/v1/remote/pusher.go).
        """
        try:
            response = self._transport.request("HEAD", self._blob(descriptor), expect=_FOUND_OR_NOT)
        except AccessDenied:
            return False
        return response.status_code == HTTPStatus.OK

    def open_blob(self, descriptor: Descriptor) -> AbstractContextManager[Iterator[bytes]]:
        """Open the blob; see :func:`shared.registry.blobs.open_blob`."""
        return open_blob(self._transport, self._blob(descriptor), descriptor)

    def push_blob(self, descriptor: Descriptor, source: bytes | Iterable[bytes] | OpenBlob) -> None:
        """Store the blob; see :class:`shared.registry.content.ContentTarget`."""
        self._uploads.push(descriptor, source)

    def mount_blob(self, descriptor: Descriptor, source: RepositoryName) -> bool:
        """Take the blob from another repository of this registry; ``False`` when that did not work."""
        return self._uploads.mount(descriptor, source)

    def list_tags(self) -> Iterator[TagName]:
        """Yield the tags; none for a repository that does not exist."""

        def fetch(url: str) -> tuple[list[TagName], str | None]:
            response = self._transport.request("GET", url, expect=_FOUND_OR_NOT)
            if response.status_code == HTTPStatus.NOT_FOUND:
                return [], None
            tags = json_object(response, registry=self._transport.registry).get("tags") or []
            try:
                return [parse_tag(tag) for tag in tags], next_link(response)
            except (InvalidName, TypeError) as error:
                raise ProtocolViolation(f"in the list of tags: {error}", **self._where(response)) from error

        first = self._transport.url(f"{self._base}/tags/list?n={PAGE_SIZE}")
        pages = follow_pages(first, fetch, registry=self._transport.registry, home=self._transport.home)
        return (tag for page in pages for tag in page)

    def referrers(self, subject: Digest, *, tagged: bool = True) -> tuple[Descriptor, ...]:
        """Return the manifests that point at the subject, by the API or else by the fallback tag.

        Unless it is ``tagged``, because the fallback tag is known not to exist, nobody is asked for that.
        """
        return self._referrers.list(subject, tagged=tagged)

    def delete_manifest(
        self,
        digest: Digest,
        *,
        pointing: Edges | None = None,
        untag: Callable[[TagName], object] | None = None,
    ) -> bool:
        """Delete the manifest and every tag on it; ``False`` when it was already gone.

        Where a tag stands in for the referrers API, a referrer is taken out of the list that the tag holds
        (distribution-spec, "Deleting Manifests"): before it is deleted, because registries refuse to delete
        what a list names, and to store a list that names what is gone. ``pointing`` is what the body points
        at; unless that is known, the body is read, which Docker Hub counts as a pull. ``untag`` removes a tag
        alone, where the registry has a way to.

        :raises OperationDisallowed: when it is locked, or the registry does not delete.
        """
        subject = self._subject(digest) if pointing is None else pointing.subject
        entry = None if subject is None else self._unlist(subject, digest, untag)
        try:
            return self._delete(digest)
        except RegistryError:
            if subject is not None and entry is not None:
                self._referrers.relist(subject, entry)
            raise

    def _delete(self, digest: Digest) -> bool:
        response = self._transport.request("DELETE", self._manifest(digest), expect=_DELETED_OR_GONE)
        return response.status_code != HTTPStatus.NOT_FOUND

    def _subject(self, digest: Digest) -> Digest | None:
        described = self.resolve(digest)
        if described is None or not may_point_at_manifests(described.media_type):
            return None
        try:
            fetched = self.fetch_manifest(digest)
            manifest = parse_manifest(fetched.content, fetched.descriptor.media_type)
        except (NotFound, InvalidManifest):
            return None
        return None if manifest.subject is None else manifest.subject.digest

    def _unlist(
        self, subject: Digest, referrer: Digest, untag: Callable[[TagName], object] | None
    ) -> Mapping[str, Any] | None:
        """Take the referrer out of its subject's list; an entry that cannot be removed is logged."""

        def delete(index: Digest) -> bool:
            with suppress(OperationDisallowed, AccessDenied, ContentRejected):
                self._delete(index)
                return True
            return False

        try:
            return self._referrers.unlist(subject, referrer, delete=delete, untag=untag)
        except RegistryError:
            fields = {"registry": self.login_server, "repository": self.name, "subject": subject}
            logger.warning("a deleted referrer stays listed", extra=fields, exc_info=True)
            return None

    def _digest_of(self, reference: TagName | Digest) -> Digest | None:
        found = self.resolve(reference)
        return None if found is None else found.digest

    def _manifest(self, reference: TagName | Digest) -> str:
        return f"{self._base}/manifests/{quote(reference, safe=':')}"

    def _blob(self, descriptor: Descriptor) -> str:
        return f"{self._base}/blobs/{descriptor.digest}"

    def _stated_digest(self, text: str, response: requests.Response) -> Digest:
        try:
            return parse_digest(text)
        except InvalidName as error:
            raise ProtocolViolation(f"Docker-Content-Digest: {error}", **self._where(response)) from error

    def _where(self, response: requests.Response) -> dict[str, Any]:
        return {
            "registry": self._transport.registry,
            "method": response.request.method or "",
            "url": redact(response.url),
            "status": response.status_code,
        }


def _media_type(response: requests.Response) -> str:
    return response.headers.get("Content-Type", "").partition(";")[0].strip()
