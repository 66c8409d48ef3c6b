"""A target whose tags are noted in the ledger before they are written, and its blobs after."""

from collections.abc import Callable, Iterable

from shared.oci.manifest import Descriptor, digest_of
from shared.oci.names import Digest, RepositoryName, TagName
from shared.registry.content import ContentTarget, OpenBlob


class RecordedTarget:
    """Passes everything on to a target; ``record`` hears of each tag while there is still time to stop it.

    Written first, an entry of the ledger survives an app that dies between the two.
    """

    def __init__(self, target: ContentTarget, record: Callable[[TagName, Digest], None]) -> None:
        self._target = target
        self._record = record
        self.blobs: list[Digest] = []
        """What was uploaded, in no particular order."""

    @property
    def place(self) -> str:
        """What people call it."""
        return self._target.place

    def resolve(self, reference: TagName | Digest) -> Descriptor | None:
        return self._target.resolve(reference)

    def blob_exists(self, descriptor: Descriptor) -> bool:
        return self._target.blob_exists(descriptor)

    def mount_blob(self, descriptor: Descriptor, source: RepositoryName) -> bool:
        return self._target.mount_blob(descriptor, source)

    def push_blob(self, descriptor: Descriptor, source: bytes | Iterable[bytes] | OpenBlob) -> None:
        self._target.push_blob(descriptor, source)
        self.blobs.append(descriptor.digest)

    def push_manifest(self, content: bytes, media_type: str, *, tag: TagName | None = None) -> Descriptor:
        if tag is not None:
            self._record(tag, digest_of(content))
        return self._target.push_manifest(content, media_type, tag=tag)
