"""A source that shows only some platforms of each index.

Registries refuse an index that lists manifests they do not have, so the others cannot just be left out: the
index is written anew without them, and is another index with another digest. The same bytes and platforms
always give the same one.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Final

from shared.errors import ContentRejected
from shared.oci.manifest import Descriptor, digest_of
from shared.oci.media_types import is_index
from shared.oci.names import Digest, TagName
from shared.registry.content import ContentSource, FetchedManifest

_ATTESTED: Final = "vnd.docker.reference.digest"
"""By which BuildKit's attestations say which child they belong to (moby/buildkit, attestation-storage.md)."""


class PlatformSource:
    """Shows another source's content, with indexes narrowed to the platforms (``os/architecture[/variant]``).

    Without any, everything is shown. Only what is resolved is narrowed, which is the root of a copy; what is
    no index is shown as it is. An index of which every child is wanted stays what it is, its digest and its
    signatures with it.
    """

    def __init__(self, source: ContentSource, platforms: Iterable[str] = ()) -> None:
        self._source = source
        self._platforms = frozenset(platforms)
        self._narrowed: dict[Digest, FetchedManifest] = {}
        self._shown_as: dict[Digest, Descriptor] = {}

    @property
    def place(self) -> str:
        """What people call it."""
        return self._source.place

    def resolve(self, reference: TagName | Digest) -> Descriptor | None:
        """Return what the reference is, narrowed.

        :raises ContentRejected: when the index has none of the platforms.
        """
        held = self._narrowed.get(Digest(reference))
        if held is not None:
            return held.descriptor
        found = self._source.resolve(reference)
        if found is None or not self._platforms or not is_index(found.media_type):
            return found
        if found.digest not in self._shown_as:
            self._shown_as[found.digest] = self._show(found)
        return self._shown_as[found.digest]

    def original(self, digest: Digest) -> Digest:
        """Return the digest that the source itself has for what is shown under this one."""
        return next((real for real, shown in self._shown_as.items() if shown.digest == digest), digest)

    def _show(self, index: Descriptor) -> Descriptor:
        fetched = self._source.fetch_manifest(index.digest)
        content = self._narrow(fetched)
        if content == fetched.content:
            return index
        narrowed = Descriptor(media_type=index.media_type, digest=digest_of(content), size=len(content))
        self._narrowed[narrowed.digest] = FetchedManifest(narrowed, content)
        return narrowed

    def fetch_manifest(self, reference: TagName | Digest) -> FetchedManifest:
        """Return the manifest; a narrowed one from memory."""
        held = self._narrowed.get(Digest(reference))
        return self._source.fetch_manifest(reference) if held is None else held

    def open_blob(self, descriptor: Descriptor) -> AbstractContextManager[Iterator[bytes]]:
        return self._source.open_blob(descriptor)

    def referrers(self, subject: Digest) -> tuple[Descriptor, ...]:
        """Return the manifests that point at the subject; nobody points at a narrowed index."""
        return () if subject in self._narrowed else self._source.referrers(subject)

    def _narrow(self, fetched: FetchedManifest) -> bytes:
        document: dict[str, Any] = json.loads(fetched.content)
        listed = document.get("manifests") or []
        wanted = {entry["digest"] for entry in listed if self._is_wanted(entry)}
        kept = [entry for entry in listed if entry["digest"] in wanted or _attests_to(entry) in wanted]
        if not wanted:
            raise ContentRejected(
                f"the index {fetched.descriptor.digest} has none of {', '.join(sorted(self._platforms))}",
                registry=self.place,
            )
        if len(kept) == len(listed):
            return fetched.content
        return json.dumps({**document, "manifests": kept}, separators=(",", ":")).encode()

    def _is_wanted(self, entry: dict[str, Any]) -> bool:
        platform = entry.get("platform") or {}
        pair = f"{platform.get('os')}/{platform.get('architecture')}"
        return pair in self._platforms or f"{pair}/{platform.get('variant')}" in self._platforms


def _attests_to(entry: dict[str, Any]) -> str | None:
    annotations = entry.get("annotations") or {}
    attested = annotations.get(_ATTESTED)
    return attested if isinstance(attested, str) else None
