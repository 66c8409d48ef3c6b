"""Who points at a manifest: the referrers API, and the tag that stands in for it where there is none."""

import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import requests

from shared.errors import (
    ContentRejected,
    InvalidManifest,
    ManifestBlobUnknown,
    NotFound,
    ProtocolViolation,
    RegistryUnavailable,
)
from shared.oci import media_types
from shared.oci.manifest import Descriptor, ImageIndex, ImageManifest, Manifest, parse_manifest
from shared.oci.names import Digest, TagName
from shared.registry.content import FetchedManifest
from shared.registry.transport import Transport
from shared.registry.wire import follow_pages, next_link

_LISTED_OR_UNSUPPORTED: Final = frozenset({200, 400, 403, 404, 405, 406})
"""What registries without the API answer (go-containerregistry #2026); 401, 429 and 5xx are never read as
"no referrers" (dotnet/docker-tools #2137)."""

_ROUNDS: Final = 4
_MAX_PAGES: Final = 100


def fallback_tag(subject: Digest) -> TagName:
    """Return the tag that lists a subject's referrers (distribution-spec, "Referrers Tag Schema")."""
    algorithm, _, encoded = subject.partition(":")
    return TagName(f"{algorithm[:32]}-{encoded[:64]}")


def describe_referrer(manifest: Manifest, content: FetchedManifest) -> Descriptor:
    """Return the referrer as it is listed: its artifact type, or else its config's, and all annotations."""
    artifact_type = manifest.artifact_type
    if artifact_type is None and isinstance(manifest, ImageManifest):
        artifact_type = manifest.config.media_type
    return Descriptor(
        media_type=content.descriptor.media_type,
        digest=content.descriptor.digest,
        size=content.descriptor.size,
        artifact_type=artifact_type,
        annotations=manifest.annotations,
    )


class Referrers:
    """The referrers of one repository, read and kept."""

    def __init__(
        self,
        transport: Transport,
        base: str,
        *,
        resolve: Callable[[TagName | Digest], Digest | None],
        fetch: Callable[[TagName], FetchedManifest],
        push: Callable[[bytes, str, TagName], Descriptor],
    ) -> None:
        self._transport = transport
        self._base = base
        self._resolve = resolve
        self._fetch = fetch
        self._push = push
        self._api_lists = False
        self._guard = threading.Lock()

    def list(self, subject: Digest, *, tagged: bool = True) -> tuple[Descriptor, ...]:
        """Return the manifests that point at the subject, from the API or else from the fallback tag."""
        listed = self._from_api(subject)
        if listed is None:
            return self._from_tag(subject) if tagged else ()
        return listed

    def record(self, manifest: Manifest, content: FetchedManifest, *, acknowledged: bool) -> None:
        """See to it that a referrer that was pushed is listed.

        ``acknowledged`` is whether the registry answered the push with ``OCI-Subject``. That alone is not
        believed before the API has listed a referrer once: Docker Hub has acknowledged subjects without
        offering the API, and signatures were lost (docker/hub-feedback #2372).
        """
        subject = manifest.subject
        if subject is None:
            return
        if acknowledged:
            if self._api_lists:
                return
            listed = self._from_api(subject.digest)
            if listed is not None and any(each.digest == content.descriptor.digest for each in listed):
                self._api_lists = True
                return
        with self._guard:
            self._add(subject.digest, _to_json(describe_referrer(manifest, content)))

    def _from_api(self, subject: Digest) -> tuple[Descriptor, ...] | None:
        unsupported = False

        def fetch(url: str) -> tuple[tuple[Descriptor, ...], str | None]:
            nonlocal unsupported
            response = self._transport.request(
                "GET", url, headers={"Accept": media_types.OCI_INDEX}, expect=_LISTED_OR_UNSUPPORTED
            )
            if response.status_code != requests.codes.ok:
                unsupported = True
                return (), None
            return self._index(response.content, subject).manifests, next_link(response)

        pages: Iterator[tuple[Descriptor, ...]] = follow_pages(
            self._transport.url(f"{self._base}{subject}"),
            fetch,
            registry=self._transport.registry,
            home=self._transport.home,
            max_pages=_MAX_PAGES,
        )
        found = tuple(descriptor for page in pages for descriptor in page)
        return None if unsupported else found

    def _from_tag(self, subject: Digest) -> tuple[Descriptor, ...]:
        try:
            fetched = self._fetch(fallback_tag(subject))
        except NotFound:
            return ()
        return self._index(fetched.content, subject).manifests

    def _index(self, content: bytes, subject: Digest) -> ImageIndex:
        try:
            index = parse_manifest(content)
        except InvalidManifest as error:
            raise ProtocolViolation(
                f"the referrers of {subject} cannot be read: {error}", registry=self._transport.registry
            ) from error
        if not isinstance(index, ImageIndex):
            raise ContentRejected(
                f"the referrers of {subject} are not an index but {index.media_type}",
                registry=self._transport.registry,
            )
        return index

    def _add(self, subject: Digest, entry: Mapping[str, Any]) -> None:
        """Add the referrer to the fallback tag, and look again, because others may do the same at once.

        What others wrote there stays as it is, to the last key that is not known here.
        """
        for round_ in range(_ROUNDS):
            self._pause(round_)
            document = self._read_tag(subject) or {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX}
            listed = document.get("manifests") or []
            if any(each["digest"] == entry["digest"] for each in listed):
                return
            self._write_tag(subject, {**document, "manifests": [*listed, entry]})
        raise RegistryUnavailable(
            f"{entry['digest']} could not be added to {fallback_tag(subject)}: others keep overwriting it",
            registry=self._transport.registry,
        )

    def unlist(
        self,
        subject: Digest,
        referrer: Digest,
        *,
        delete: Callable[[Digest], bool],
        untag: Callable[[TagName], object] | None,
    ) -> Mapping[str, Any] | None:
        """Take a referrer out of the list that a tag holds and return its entry, ``None`` without one.

        The list that is replaced goes, because registries do not delete what any index names; so does one
        that became empty, unless it can neither be deleted nor lose its tag.
        """
        tag = fallback_tag(subject)
        found: Mapping[str, Any] | None = None
        with self._guard:
            for round_ in range(_ROUNDS):
                self._pause(round_)
                held = self._resolve(tag)
                document = None if held is None else self._read_tag(subject)
                listed = [] if document is None else document.get("manifests") or []
                left = [each for each in listed if each["digest"] != referrer]
                if held is None or document is None or len(left) == len(listed):
                    break
                found = next(each for each in listed if each["digest"] == referrer)
                if self._resolve(tag) != held:
                    continue  # somebody else has just written it
                if not left and untag is not None:
                    untag(tag)
                if left or not (delete(held) or untag is not None):
                    self._write_tag(subject, {**document, "manifests": left})
                    delete(held)
        return found

    def relist(self, subject: Digest, entry: Mapping[str, Any]) -> None:
        """Put back an entry that was taken out for nothing."""
        with self._guard:
            self._add(subject, entry)

    def _pause(self, round_: int) -> None:
        time.sleep(random.uniform(0, self._transport.options.backoff * round_))  # noqa: S311 - jitter

    def _read_tag(self, subject: Digest) -> dict[str, Any] | None:
        """Return the fallback tag's index as it was written, ``None`` when there is none."""
        try:
            fetched = self._fetch(fallback_tag(subject))
        except NotFound:
            return None
        self._index(fetched.content, subject)
        document: dict[str, Any] = json.loads(fetched.content)
        return document

    def _write_tag(self, subject: Digest, document: Mapping[str, Any]) -> None:
        """Write the list; without what is gone where the registry refuses to list that."""
        try:
            self._push_index(subject, document)
        except ManifestBlobUnknown:
            there = [each for each in document["manifests"] if self._resolve(each["digest"]) is not None]
            self._push_index(subject, {**document, "manifests": there})

    def _push_index(self, subject: Digest, document: Mapping[str, Any]) -> None:
        media_type = document.get("mediaType") or media_types.OCI_INDEX
        self._push(json.dumps(document).encode(), media_type, fallback_tag(subject))


def _to_json(descriptor: Descriptor) -> Mapping[str, Any]:
    document: dict[str, Any] = {
        "mediaType": descriptor.media_type,
        "digest": descriptor.digest,
        "size": descriptor.size,
    }
    if descriptor.artifact_type:
        document["artifactType"] = descriptor.artifact_type
    if descriptor.annotations:
        document["annotations"] = dict(descriptor.annotations)
    return document
