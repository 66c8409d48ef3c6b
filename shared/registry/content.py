"""The two small protocols between which content is copied, and what they pass to each other."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from shared.oci.manifest import Descriptor
from shared.oci.names import Digest, RepositoryName, TagName


class FetchedManifest(NamedTuple):
    """A manifest as it was served: what it is, and its verified bytes."""

    descriptor: Descriptor
    content: bytes


type OpenBlob = Callable[[], AbstractContextManager[Iterator[bytes]]]
"""Opens a blob from its start, each time it is called."""


class ContentSource(Protocol):
    """Where content comes from: a repository, or anything that answers like one."""

    @property
    def place(self) -> str:
        """What people call it: ``myreg.azurecr.io/team/app``."""

    def resolve(self, reference: TagName | Digest) -> Descriptor | None:
        """Return what the reference is now, ``None`` when it does not exist; costs no pull."""

    def fetch_manifest(self, reference: TagName | Digest) -> FetchedManifest:
        """Return the manifest, its digest verified.

        :raises NotFound: when it does not exist.
        """

    def open_blob(self, descriptor: Descriptor) -> AbstractContextManager[Iterator[bytes]]:
        """Open the blob; its last piece comes only if all pieces together have the announced digest.

        :raises NotFound: when it does not exist.
        :raises DigestMismatch: in place of the last piece.
        """

    def referrers(self, subject: Digest) -> tuple[Descriptor, ...]:
        """Return the manifests that point at the subject; an error is never read as "none"."""


class ContentTarget(Protocol):
    """Where content goes to. Pushing what is there already is a success."""

    @property
    def place(self) -> str:
        """What people call it: ``docker.io/acme/app``."""

    def resolve(self, reference: TagName | Digest) -> Descriptor | None:
        """Return what the reference is now, ``None`` when it does not exist; costs no pull."""

    def blob_exists(self, descriptor: Descriptor) -> bool:
        """Tell whether the blob is there. A registry's yes is a hint, not a promise."""

    def mount_blob(self, descriptor: Descriptor, source: RepositoryName) -> bool:
        """Take the blob from another repository of the same place; ``False`` when that did not work."""

    def push_blob(self, descriptor: Descriptor, source: bytes | Iterable[bytes] | OpenBlob) -> None:
        """Store the blob; bytes that are not what the descriptor says are never committed.

        :raises DigestMismatch: when they are not.
        """

    def push_manifest(self, content: bytes, media_type: str, *, tag: TagName | None = None) -> Descriptor:
        """Store exactly these bytes, by their digest, and under the tag where one is given.

        :raises ManifestBlobUnknown: when something that the manifest points at is missing.
        """
