"""Moving one graph: what it consists of, what is missing, and in which order it goes.

Blobs before the manifest that names them, children before their index, each as soon as what it needs is in.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Final

from shared.errors import (
    AccessDenied,
    ContentRejected,
    CopyFailed,
    DigestMismatch,
    InvalidManifest,
    ManifestBlobUnknown,
    Origin,
    RegistryError,
    StewardError,
)
from shared.oci.manifest import Descriptor, parse_manifest
from shared.oci.names import Digest, RepositoryName, TagName
from shared.registry.content import ContentSource, ContentTarget
from shared.registry.copy_plan import Graph, Node, Order
from shared.registry.copy_report import Tally

_MAX_DEPTH: Final = 10
_CHECK_EVERY: Final = 1.0

type Siblings = Callable[[Digest], RepositoryName | None]


class Overtaken(Exception):
    """The copy is pointless by now; never leaves :mod:`shared.registry.copy`."""


@contextmanager
def blamed_on(origin: Origin, what: str) -> Iterator[None]:
    """Turn an error of one side into one that says which side it was."""
    try:
        yield
    except CopyFailed:
        raise
    except StewardError as error:
        raise CopyFailed(what, origin=origin, cause=error) from error


def _twice_if_corrupt[Result](read: Callable[[], Result]) -> Result:
    """Read once more after wrong bytes; the same wrong bytes a second time are no accident."""
    try:
        return read()
    except DigestMismatch:
        return read()
    except CopyFailed as error:
        if not isinstance(error.cause, DigestMismatch):
            raise
        return read()


def _check_algorithm(digest: Digest, place: str) -> None:
    """Refuse a manifest that is addressed by anything but sha256.

    A push under a tag leaves the algorithm to the registry, which takes sha256: the target's tag would show
    another digest than the source's, and who refers to the manifest by its own would not find it there.
    Registries need not take another algorithm either (image-spec, descriptor.md, "Registered algorithms").

    :raises ContentRejected: then.
    """
    algorithm = digest.partition(":")[0]
    if algorithm != "sha256":
        raise ContentRejected(
            f"{digest}: manifests addressed by {algorithm} are not copied, since a target may keep them "
            "under another digest; push it again with sha256",
            registry=place,
        )


class Transfer:
    """Copies graphs from one place to another with one pool of threads."""

    def __init__(
        self,
        source: ContentSource,
        target: ContentTarget,
        *,
        pool: ThreadPoolExecutor,
        siblings: Siblings,
        superseded: Callable[[], bool],
    ) -> None:
        self.source = source
        self.target = target
        self.tally = Tally()
        self.pool = pool
        self.stop = threading.Event()
        self._siblings = siblings
        self._superseded = superseded
        self._checked_at = time.monotonic()
        self._moved: set[Digest] = set()
        self.healed = False

    def checkpoint(self, *, final: bool = False) -> None:
        """Go on only if the copy still makes sense; asked about once a second, and always before the tag.

        :raises Overtaken: when it does not.
        """
        if self.stop.is_set():
            raise Overtaken
        now = time.monotonic()
        if final or now - self._checked_at >= _CHECK_EVERY:
            self._checked_at = now
            if self._superseded():
                self.stop.set()
                raise Overtaken

    def discover(self, root: Descriptor) -> Graph:
        """Read the graph from the source, level by level, leaving out what the target has."""
        graph = Graph(root=self._read_root(root))
        graph.nodes[root.digest] = graph.root
        level = [] if graph.root.present else list(graph.root.children)
        for _ in range(_MAX_DEPTH):
            fresh = {
                each.digest: each
                for each in level
                if each.digest not in graph.nodes and each.digest not in graph.present
            }
            if not fresh:
                return graph
            level = []
            for digest, node in zip(fresh, self.pool.map(self._read_child, fresh.values()), strict=True):
                if node is None:
                    graph.present.add(digest)
                else:
                    graph.nodes[digest] = node
                    level.extend(node.children)
        raise CopyFailed(
            self.source.place,
            origin="source",
            cause=InvalidManifest(f"{root.digest}: indexes nested deeper than {_MAX_DEPTH}"),
        )

    def _read_root(self, root: Descriptor) -> Node:
        asked = self.pool.submit(self.at_target, root.digest)
        return self._read(root, present=asked.result() is not None)

    def _read_child(self, child: Descriptor) -> Node | None:
        if self.at_target(child.digest) is not None:
            self.tally.add("manifests_skipped")
            return None
        return self._read(child, present=False)

    def _read(self, descriptor: Descriptor, *, present: bool) -> Node:
        with blamed_on("source", f"{self.source.place}@{descriptor.digest}"):
            _check_algorithm(descriptor.digest, self.source.place)
            fetched = _twice_if_corrupt(lambda: self.source.fetch_manifest(descriptor.digest))
            manifest = parse_manifest(fetched.content, fetched.descriptor.media_type or descriptor.media_type)
            stated = Descriptor(
                media_type=manifest.media_type,
                digest=descriptor.digest,
                size=len(fetched.content),
            )
            return Node(descriptor=stated, content=fetched.content, manifest=manifest, present=present)

    def at_target(self, reference: TagName | Digest) -> Descriptor | None:
        """Return what the target has; some registries say 403 of a repository that is not there yet."""
        with blamed_on("target", f"{self.target.place} {reference}"):
            try:
                return self.target.resolve(reference)
            except AccessDenied:
                return None

    def move(self, graph: Graph, *, root_too: bool) -> None:
        """Copy everything that is missing, the root itself only if asked to.

        All blobs are asked for before any is sent: what is there costs a request, and no upload may keep
        that waiting.
        """
        order = Order(graph)
        asked: dict[Future[Any], Descriptor] = {
            self.pool.submit(self._is_settled, blob): blob for blob in order.blobs
        }
        running: dict[Future[Any], Digest] = {}
        free = order.free()
        try:
            while asked or running or free:
                for node in free:
                    if node is not graph.root or root_too:
                        running[self.pool.submit(self._push, graph, node)] = node.descriptor.digest
                done, _ = wait([*asked, *running], return_when=FIRST_COMPLETED)
                free = []
                for answer in [each for each in asked if each in done]:  # in their order: largest first
                    blob = asked.pop(answer)
                    if answer.result():
                        free.extend(order.finished(blob.digest))
                    else:
                        running[self.pool.submit(self._send_blob, blob)] = blob.digest
                for future in [each for each in running if each in done]:
                    future.result()
                    free.extend(order.finished(running.pop(future)))
        except BaseException:
            self.stop.set()
            left = [*asked, *running]
            for each in left:
                each.cancel()
            wait(left)
            raise

    def _is_settled(self, blob: Descriptor) -> bool:
        """Tell whether the target has the blob, or took it from a sibling."""
        self.checkpoint()
        with blamed_on("target", f"{self.target.place}@{blob.digest}"):
            if blob.digest in self._moved or self.target.blob_exists(blob):
                self.tally.add("blobs_skipped")
                return True
            sibling = self._siblings(blob.digest)
            if sibling is None or not self.target.mount_blob(blob, sibling):
                return False
            self.tally.add("blobs_mounted")
            return True

    def _send_blob(self, blob: Descriptor) -> None:
        """Send the blob, and count it where it was this copy that sent it, and not another one at once."""
        self.checkpoint()
        sent = False

        def opened() -> AbstractContextManager[Iterator[bytes]]:
            nonlocal sent
            sent = True
            return self._open(blob)

        with blamed_on("target", f"{self.target.place}@{blob.digest}"):
            _twice_if_corrupt(lambda: self.target.push_blob(blob, opened))
        self._moved.add(blob.digest)
        if sent:
            self.tally.add("blobs_copied")
            self.tally.add("bytes_copied", blob.size)
        else:
            self.tally.add("blobs_skipped")

    @contextmanager
    def _open(self, blob: Descriptor) -> Iterator[Iterator[bytes]]:
        what = f"{self.source.place}@{blob.digest}"
        with ExitStack() as stack:
            with blamed_on("source", what):
                pieces = stack.enter_context(self.source.open_blob(blob))
            yield self._read_pieces(pieces, what)

    def _read_pieces(self, pieces: Iterator[bytes], what: str) -> Iterator[bytes]:
        with blamed_on("source", what):
            for piece in pieces:
                if self.stop.is_set():
                    raise Overtaken
                yield piece

    def _push(self, graph: Graph, node: Node) -> None:
        self.push(graph, node, tag=None)

    def push(self, graph: Graph, node: Node, *, tag: TagName | None) -> None:
        """Push one manifest whose successors are there; if the target denies that they are, once by force.

        Docker Hub may say of a blob that it exists and refuse the manifest because it does not
        (a partial upload that was cancelled), every time until the blob is sent again. A tag that is refused
        and holds the manifest all the same is right: Docker Hub refuses any push to an immutable tag, the
        identical one, too (docker/hub-feedback #2466), and another copy may have been first.
        """
        self.checkpoint(final=tag is not None)
        digest = node.descriptor.digest
        with blamed_on("target", f"{self.target.place}:{tag}" if tag else f"{self.target.place}@{digest}"):
            try:
                self._push_or_heal(graph, node, tag)
            except RegistryError as error:
                if tag is None or error.temporary or not self._shows(tag, digest):
                    raise
                return
        self.tally.add("manifests_copied")

    def _push_or_heal(self, graph: Graph, node: Node, tag: TagName | None) -> None:
        try:
            self.target.push_manifest(node.content, node.descriptor.media_type, tag=tag)
        except ManifestBlobUnknown:
            self._heal(graph, node)
            self.target.push_manifest(node.content, node.descriptor.media_type, tag=tag)

    def _shows(self, tag: TagName, digest: Digest) -> bool:
        found = self.at_target(tag)
        return found is not None and found.digest == digest

    def _heal(self, graph: Graph, node: Node) -> None:
        self.healed = True
        for child in node.children:
            below = graph.nodes.get(child.digest) or self._read(child, present=True)
            self._heal(graph, below)
            self.target.push_manifest(below.content, below.descriptor.media_type)
        for blob in node.blobs:
            self._send_blob(blob)
