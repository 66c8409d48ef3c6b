"""A graph that is being copied: its manifests, what it needs, and what waits for what."""

from collections import defaultdict
from dataclasses import dataclass, field

from shared.oci import media_types
from shared.oci.manifest import Descriptor, ImageIndex, Manifest, successors
from shared.oci.names import Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One manifest to be copied."""

    descriptor: Descriptor
    content: bytes
    manifest: Manifest
    present: bool

    @property
    def children(self) -> tuple[Descriptor, ...]:
        """The manifests among the successors; an index may list blobs, too (BuildKit caches do)."""
        if not isinstance(self.manifest, ImageIndex):
            return ()
        return tuple(each for each in self.manifest.manifests if media_types.is_manifest(each.media_type))

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """The blobs among the successors, but for those that are fetched from elsewhere by their URLs."""
        held = {each.digest for each in self.children}
        return tuple(
            each
            for each in successors(self.manifest)
            if each.digest not in held
            and not each.urls
            and not media_types.is_not_distributable(each.media_type)
        )


@dataclass(slots=True, kw_only=True)
class Graph:
    """A root and what has to be copied for it; ``present`` are the manifests that need nothing."""

    root: Node
    nodes: dict[Digest, Node] = field(default_factory=dict)
    present: set[Digest] = field(default_factory=set)

    @property
    def manifests(self) -> tuple[Digest, ...]:
        """Every manifest of the graph, the root first."""
        return (
            self.root.descriptor.digest,
            *(each for each in self.nodes if each != self.root.descriptor.digest),
            *self.present,
        )


class Order:
    """What waits for what in a graph that is being copied."""

    def __init__(self, graph: Graph) -> None:
        self._nodes = {digest: node for digest, node in graph.nodes.items() if not node.present}
        self._waiting: dict[Digest, set[Digest]] = {}
        self._holders: defaultdict[Digest, list[Digest]] = defaultdict(list)
        blobs: dict[Digest, Descriptor] = {}
        for digest, node in self._nodes.items():
            blobs.update((each.digest, each) for each in node.blobs)
            needs = {each.digest for each in node.blobs}
            needs.update(each.digest for each in node.children if each.digest in self._nodes)
            self._waiting[digest] = needs
            for need in needs:
                self._holders[need].append(digest)
        self.blobs = sorted(blobs.values(), key=lambda blob: blob.size, reverse=True)
        """Largest first, so that the last one running is a short one."""

    def free(self) -> list[Node]:
        """Return the manifests that wait for nothing."""
        return [self._nodes[digest] for digest, needs in self._waiting.items() if not needs]

    def finished(self, digest: Digest) -> list[Node]:
        """Return the manifests that waited for this last."""
        released = []
        for holder in self._holders[digest]:
            self._waiting[holder].discard(digest)
            if not self._waiting[holder]:
                released.append(self._nodes[holder])
        return released
