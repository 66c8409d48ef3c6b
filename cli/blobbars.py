"""A source and a target of copies that show and remember which blobs pass."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from threading import Lock
from typing import Final

from cli.progress import Bar, Progress
from cli.words import short
from shared.oci.manifest import Descriptor
from shared.oci.names import Digest, RepositoryName, TagName
from shared.registry.content import ContentTarget, FetchedManifest, OpenBlob
from shared.registry.referrers import fallback_tag
from shared.registry.repository import RepositoryClient

_WORTH_A_BAR: Final = 1_000_000
_WORTH_ASKING_FOR: Final = 256 * 1024
"""Bytes of a blob that is sooner sent than looked for, where it probably is not."""


class Moved:
    """How many bytes went over the wire, counted by many threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.bytes = 0

    def add(self, amount: int) -> None:
        """Count."""
        with self._lock:
            self.bytes += amount


class WatchedSource:
    """A source with a bar for each large blob that is read.

    ``tags`` are all its tags, where they were listed: then nobody is asked for the tags of signatures that
    are not there.
    """

    def __init__(
        self,
        source: RepositoryClient,
        progress: Progress,
        moved: Moved,
        tags: Collection[TagName] | None = None,
    ) -> None:
        self._source = source
        self._progress = progress
        self._moved = moved
        self._tags = tags

    @property
    def place(self) -> str:
        """What people call it."""
        return self._source.place

    def resolve(self, reference: TagName | Digest) -> Descriptor | None:
        """Return what the reference is now."""
        bound = self._tags is not None and reference.startswith("sha256-")
        if bound and reference not in (self._tags or ()):
            return None
        return self._source.resolve(reference)

    def fetch_manifest(self, reference: TagName | Digest) -> FetchedManifest:
        """Return the manifest."""
        return self._source.fetch_manifest(reference)

    def referrers(self, subject: Digest) -> tuple[Descriptor, ...]:
        """Return what points at the subject."""
        tagged = self._tags is None or fallback_tag(subject) in self._tags
        return self._source.referrers(subject, tagged=tagged)

    def open_blob(self, descriptor: Descriptor) -> AbstractContextManager[Iterator[bytes]]:
        """Open the blob, with a bar while it is read."""
        return self._counted(descriptor)

    @contextmanager
    def _counted(self, descriptor: Descriptor) -> Iterator[Iterator[bytes]]:
        large = descriptor.size >= _WORTH_A_BAR
        bar = self._progress.bytes(short(descriptor.digest), descriptor.size) if large else Bar(None, None)
        try:
            with self._source.open_blob(descriptor) as pieces:
                yield _shown(pieces, bar)
                self._moved.add(descriptor.size)
        finally:
            bar.remove()


class WatchedTarget:
    """A target that is asked for a blob once, and remembers what it holds.

    ``held`` are the digests that earlier copies found or left in it; it grows. ``tags`` are all its tags,
    where they were listed: what they lack is not asked for, and where there is none at all, neither are
    manifests and small blobs. To store once more what turns out to be there does no harm.
    """

    def __init__(
        self, target: ContentTarget, held: set[Digest], tags: Collection[TagName] | None = None
    ) -> None:
        self._target = target
        self._held = held
        self._tags = tags
        self._stored = False

    @property
    def place(self) -> str:
        """What people call it."""
        return self._target.place

    def resolve(self, reference: TagName | Digest) -> Descriptor | None:
        """Return what the reference is now."""
        if not self._stored and self._tags is not None:
            absent = reference not in self._tags if ":" not in reference else not self._tags
            if absent:
                return None
        return self._target.resolve(reference)

    def blob_exists(self, descriptor: Descriptor) -> bool:
        """Tell whether the blob is there."""
        if descriptor.digest in self._held:
            return True
        if self._tags is not None and not self._tags and descriptor.size < _WORTH_ASKING_FOR:
            return False
        found = self._target.blob_exists(descriptor)
        if found:
            self._held.add(descriptor.digest)
        return found

    def mount_blob(self, descriptor: Descriptor, source: RepositoryName) -> bool:
        """Take the blob from another repository."""
        mounted = self._target.mount_blob(descriptor, source)
        if mounted:
            self._held.add(descriptor.digest)
        return mounted

    def push_blob(self, descriptor: Descriptor, source: bytes | Iterable[bytes] | OpenBlob) -> None:
        """Store the blob."""
        self._target.push_blob(descriptor, source)
        self._held.add(descriptor.digest)

    def push_manifest(self, content: bytes, media_type: str, *, tag: TagName | None = None) -> Descriptor:
        """Store the manifest."""
        self._stored = True
        return self._target.push_manifest(content, media_type, tag=tag)


def _shown(pieces: Iterator[bytes], bar: Bar) -> Iterator[bytes]:
    for piece in pieces:
        bar.advance(len(piece))
        yield piece
