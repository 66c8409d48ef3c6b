"""A place for content in memory, both source and target, with the failures that tests ask for."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from shared.errors import DigestMismatch, ManifestBlobUnknown, NotFound, StewardError
from shared.oci.manifest import Descriptor, digest_of, parse_manifest, successors
from shared.oci.names import Digest, RepositoryName, TagName
from shared.registry.blobs import digest_matches
from shared.registry.content import FetchedManifest, OpenBlob


class MemoryPlace:
    """Refuses manifests whose successors are missing, and remembers the order in which things came."""

    def __init__(self, place: str = "memory.example/app") -> None:
        self.place = place
        self.blobs: dict[Digest, bytes] = {}
        self.manifests: dict[Digest, tuple[bytes, str]] = {}
        self.tags: dict[TagName, Digest] = {}
        self.siblings: dict[RepositoryName, dict[Digest, bytes]] = {}
        self.log: list[tuple[str, str]] = []
        self.before: Callable[[str, str], None] = lambda _operation, _subject: None
        self._guard = threading.Lock()

    def _did(self, operation: str, subject: str) -> None:
        with self._guard:
            self.log.append((operation, subject))
        self.before(operation, subject)

    def did(self, operation: str) -> list[str]:
        return [subject for done, subject in self.log if done == operation]

    def resolve(self, reference: TagName | Digest) -> Descriptor | None:
        self._did("resolve", reference)
        digest = Digest(reference) if ":" in reference else self.tags.get(TagName(reference))
        held = self.manifests.get(digest) if digest else None
        if digest is None or held is None:
            return None
        return Descriptor(media_type=held[1], digest=digest, size=len(held[0]))

    def fetch_manifest(self, reference: TagName | Digest) -> FetchedManifest:
        self._did("fetch", reference)
        digest = Digest(reference) if ":" in reference else self.tags[TagName(reference)]
        if digest not in self.manifests:
            raise NotFound("no such manifest", registry=self.place)
        content, media_type = self.manifests[digest]
        return FetchedManifest(Descriptor(media_type=media_type, digest=digest, size=len(content)), content)

    @contextmanager
    def open_blob(self, descriptor: Descriptor) -> Iterator[Iterator[bytes]]:
        self._did("open", descriptor.digest)
        if descriptor.digest not in self.blobs:
            raise NotFound("no such blob", registry=self.place)
        content = self.blobs[descriptor.digest]
        yield iter([content[start : start + 512] for start in range(0, len(content), 512)])

    def referrers(self, subject: Digest) -> tuple[Descriptor, ...]:
        self._did("referrers", subject)
        found = []
        for digest, (content, media_type) in self.manifests.items():
            pointed_at = parse_manifest(content, media_type).subject
            if pointed_at is not None and pointed_at.digest == subject:
                found.append(Descriptor(media_type=media_type, digest=digest, size=len(content)))
        return tuple(found)

    def blob_exists(self, descriptor: Descriptor) -> bool:
        self._did("exists", descriptor.digest)
        return descriptor.digest in self.blobs

    def mount_blob(self, descriptor: Descriptor, source: RepositoryName) -> bool:
        self._did("mount", descriptor.digest)
        content = self.siblings.get(source, {}).get(descriptor.digest)
        if content is None:
            return False
        self.blobs[descriptor.digest] = content
        return True

    def push_blob(self, descriptor: Descriptor, source: bytes | Iterable[bytes] | OpenBlob) -> None:
        self._did("push_blob", descriptor.digest)
        if callable(source):
            with source() as pieces:
                content = b"".join(pieces)
        else:
            content = source if isinstance(source, bytes) else b"".join(source)
        if not digest_matches(content, descriptor.digest):
            raise DigestMismatch("wrong bytes", registry=self.place)
        self.blobs[descriptor.digest] = content

    def push_manifest(self, content: bytes, media_type: str, *, tag: TagName | None = None) -> Descriptor:
        digest = digest_of(content)
        self._did("push_manifest", f"{tag or ''}@{digest}")
        for each in successors(parse_manifest(content, media_type)):
            if not each.urls and each.digest not in self.blobs and each.digest not in self.manifests:
                raise ManifestBlobUnknown(f"{each.digest} is missing", registry=self.place)
        self.manifests[digest] = (content, media_type)
        if tag is not None:
            self.tags[tag] = digest
        return Descriptor(media_type=media_type, digest=digest, size=len(content))


def failing(times: int, error: StewardError, *, at: str) -> Callable[[str, str], None]:
    """Fail the first so many operations of one kind."""
    left = [times]

    def before(operation: str, _: str) -> None:
        if operation == at and left[0]:
            left[0] -= 1
            raise error

    return before
