"""What is behind one reference: its index, children, and everything that refers to them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from cli.exits import FAILED, Failure
from cli.output import Output
from cli.places import parse_item
from cli.registries import Registries
from cli.words import cut, short, size
from shared.errors import InvalidManifest, NotFound
from shared.oci import media_types
from shared.oci.manifest import Descriptor, ImageIndex, Manifest, parse_manifest, successors
from shared.oci.names import Digest, TagName
from shared.registry.repository import RepositoryClient

_DEEPEST: Final = 8
_COSIGN: Final = ("sig", "att", "sbom")


@dataclass(slots=True, kw_only=True)
class Node:
    """One manifest; ``missing`` when it is listed and not there."""

    digest: Digest
    media_type: str
    label: str = ""
    artifact_type: str | None = None
    size: int | None = None
    missing: bool = False
    children: list["Node"] = field(default_factory=list)
    referrers: list["Node"] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the whole tree as JSON values."""
        return {
            "digest": self.digest,
            "media_type": self.media_type,
            "label": self.label,
            "artifact_type": self.artifact_type,
            "size": self.size,
            "missing": self.missing,
            "children": [child.to_json() for child in self.children],
            "referrers": [referrer.to_json() for referrer in self.referrers],
        }


def show(output: Output, registries: Registries, place: str) -> int:
    """Print the tree below a reference."""
    reference = parse_item(place)
    repository = registries.client(reference.registry).repository(reference.repository)
    try:
        root = _Walk(repository).root(reference.digest or reference.tag or TagName(""))
    except NotFound:
        hint = f"steward tags {reference.registry}/{reference.repository} lists what does"
        raise Failure(f"{reference} does not exist", hint=hint, code=FAILED) from None
    if output.json:
        output.document(
            {
                "registry": reference.registry,
                "repository": reference.repository,
                "tag": reference.tag,
                "root": root.to_json(),
            }
        )
        return 0
    output.say(str(reference), bold=True)
    for line in _lines(root, "", short if output.terminal and not output.verbose else str):
        output.say(line if output.width is None else cut(line, output.width))
    return 0


class _Walk:
    def __init__(self, repository: RepositoryClient) -> None:
        self._repository = repository

    def root(self, reference: TagName | Digest) -> Node:
        fetched = self._repository.fetch_manifest(reference)
        manifest = parse_manifest(fetched.content, fetched.descriptor.media_type)
        return self._node(fetched.descriptor, manifest, label="", depth=0)

    def _node(self, descriptor: Descriptor, manifest: Manifest | None, *, label: str, depth: int) -> Node:
        node = Node(
            digest=descriptor.digest,
            media_type=descriptor.media_type,
            label=label or ("" if descriptor.platform is None else str(descriptor.platform)),
            artifact_type=descriptor.artifact_type,
            missing=manifest is None,
        )
        if manifest is None or depth > _DEEPEST:
            return node
        node.artifact_type = manifest.artifact_type or descriptor.artifact_type
        if isinstance(manifest, ImageIndex):
            node.children = [
                self._read(child, label="", depth=depth + 1)
                for child in manifest.manifests
                if media_types.is_manifest(child.media_type)
            ]
            node.size = sum(child.size or 0 for child in node.children)
        else:
            node.size = sum(part.size for part in successors(manifest))
        node.referrers = list(self._referrers(descriptor.digest, depth=depth + 1))
        return node

    def _read(self, descriptor: Descriptor, *, label: str, depth: int) -> Node:
        try:
            fetched = self._repository.fetch_manifest(descriptor.digest)
            manifest: Manifest | None = parse_manifest(fetched.content, fetched.descriptor.media_type)
        except (NotFound, InvalidManifest):
            manifest = None
        return self._node(descriptor, manifest, label=label, depth=depth)

    def _referrers(self, subject: Digest, *, depth: int) -> Iterator[Node]:
        for listed in self._repository.referrers(subject):
            yield self._read(listed, label="", depth=depth)
        if not subject.startswith("sha256:") or depth > 2:  # noqa: PLR2004 - signatures are not signed so
            return
        for suffix in _COSIGN:
            tag = TagName(f"{subject.replace(':', '-')}.{suffix}")
            found = self._repository.resolve(tag)
            if found is not None:
                yield self._read(found, label=f"cosign .{suffix}", depth=depth + 1)


def _lines(node: Node, lead: str, words: Any) -> Iterator[str]:
    yield lead_of(lead) + _line(node, words)
    below = [*node.children, *node.referrers]
    for place, child in enumerate(below):
        last = place == len(below) - 1
        yield from _lines(child, lead + ("└" if last else "├"), words)


def lead_of(lead: str) -> str:
    """Turn ``├└`` into the lines that lead to a node: a bar where a parent goes on, then its own branch."""
    if not lead:
        return ""
    bars = "".join("│   " if each == "├" else "    " for each in lead[:-1])
    return f"{bars}{lead[-1]}── "


def _line(node: Node, words: Any) -> str:
    kind = "index" if media_types.is_index(node.media_type) else node.label or node.artifact_type or "image"
    parts = [words(node.digest), kind]
    if node.label and kind != node.label:
        parts.append(node.label)
    parts.append("missing" if node.missing else size(node.size))
    return "  ".join(parts)
