"""A source and a target of copies that show and remember which blobs pass."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from cli.progress import Bar, Progress
from cli.words import short
from shared.oci.manifest import Descriptor
from shared.oci.names import Digest, RepositoryName, TagName
from shared.registry.content import ContentSource, ContentTarget, FetchedManifest, OpenBlob

_WORTH_A_BAR: Final = 1_000_000


class WatchedSource:
    """A source with a bar for each large blob that is read."""

    def __init__(self, source: ContentSource, progress: Progress) -> None:
        self._source = source
        self._progress = progress

    @property
    def place(self) -> str:
        """What people call it."""
        return self._source.place

    def resolve(self, reference: TagName | Digest) -> Descriptor | None:
        """Return what the reference is now."""
        return self._source.resolve(reference)

    def fetch_manifest(self, reference: TagName | Digest) -> FetchedManifest:
        """Return the manifest."""
        return self._source.fetch_manifest(reference)

    def referrers(self, subject: Digest) -> tuple[Descriptor, ...]:
        """Return what points at the subject."""
        return self._source.referrers(subject)

    def open_blob(self, descriptor: Descriptor) -> AbstractContextManager[Iterator[bytes]]:
        """Open the blob, with a bar while it is read."""
        if descriptor.size < _WORTH_A_BAR or not self._progress.visible:
            return self._source.open_blob(descriptor)
        return self._with_bar(descriptor)

    @contextmanager
    def _with_bar(self, descriptor: Descriptor) -> Iterator[Iterator[bytes]]:
        bar = self._progress.bytes(short(descriptor.digest), descriptor.size)
        try:
            with self._source.open_blob(descriptor) as pieces:
                yield _counted(pieces, bar)
        finally:
            bar.remove()


class WatchedTarget:
    """A target that tells of every blob that it turns out to hold."""

    def __init__(self, target: ContentTarget, holds: Callable[[Digest], None]) -> None:
        self._target = target
        self._holds = holds

    @property
    def place(self) -> str:
        """What people call it."""
        return self._target.place

    def resolve(self, reference: TagName | Digest) -> Descriptor | None:
        """Return what the reference is now."""
        return self._target.resolve(reference)

    def blob_exists(self, descriptor: Descriptor) -> bool:
        """Tell whether the blob is there."""
        found = self._target.blob_exists(descriptor)
        if found:
            self._holds(descriptor.digest)
        return found

    def mount_blob(self, descriptor: Descriptor, source: RepositoryName) -> bool:
        """Take the blob from another repository."""
        return self._target.mount_blob(descriptor, source)

    def push_blob(self, descriptor: Descriptor, source: bytes | Iterable[bytes] | OpenBlob) -> None:
        """Store the blob."""
        self._target.push_blob(descriptor, source)
        self._holds(descriptor.digest)

    def push_manifest(self, content: bytes, media_type: str, *, tag: TagName | None = None) -> Descriptor:
        """Store the manifest."""
        return self._target.push_manifest(content, media_type, tag=tag)


def _counted(pieces: Iterator[bytes], bar: Bar) -> Iterator[bytes]:
    for piece in pieces:
        bar.advance(len(piece))
        yield piece
