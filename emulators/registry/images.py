"""Small real images: random layers, a config, a manifest, an index over several, things that refer to them.

image = build_image(layers=2, layer_size=1024, platform="linux/arm64", docker=False)
index = build_index([image, build_image(platform="linux/amd64")])          # nests: an index of indexes
signature = build_referrer(image, artifact_type="application/vnd.cncf.notary.signature")
cosign = build_cosign_signature(image)                      # pushed under cosign_tag(image.digest)
index.push_to(state, "team/app", tag="v1", at=None)          # blobs, children, then itself; returns a digest
index.write_layout(Path("layout"), tag="v1")                 # an OCI image layout, for skopeo and others
"""

from __future__ import annotations

import gzip
import io
import json
import random
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from emulators.registry.records import (
    DOCKER_INDEX,
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    digest_of,
)
from emulators.registry.state import RegistryState

_COSIGN_LAYER = "application/vnd.dev.cosign.simplesigning.v1+json"
_EMPTY = "application/vnd.oci.empty.v1+json"
_DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
_DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
_OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_OCI_CONFIG = "application/vnd.oci.image.config.v1+json"

type Descriptor = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A manifest with all it needs: blobs, and for an index its children."""

    content: bytes
    media_type: str
    blobs: Mapping[str, bytes] = field(default_factory=dict)
    children: tuple[Artifact, ...] = ()
    platform: str | None = None

    @property
    def digest(self) -> str:
        return digest_of(self.content)

    def descriptor(self) -> Descriptor:
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.content)}

    def walk(self) -> Iterator[Artifact]:
        """Yield children before their parents, this artifact last."""
        for child in self.children:
            yield from child.walk()
        yield self

    def push_to(
        self, state: RegistryState, repository: str, *, tag: str | None = None, at: datetime | None = None
    ) -> str:
        """Put everything into a state without HTTP, so no event is raised; return the digest."""
        state.create_repository(repository, at=at)
        for node in self.walk():
            for digest, blob in node.blobs.items():
                state.put_blob(repository, blob, digest=digest)
            state.put_manifest(
                repository, node.content, node.media_type, tag=tag if node is self else None, at=at
            )
        return self.digest

    def write_layout(self, directory: Path, *, tag: str) -> None:
        """Write an OCI image layout (image-spec "Image Layout") with this artifact under a tag."""
        blobs = directory / "blobs" / "sha256"
        blobs.mkdir(parents=True, exist_ok=True)
        for node in self.walk():
            for digest, blob in {**node.blobs, node.digest: node.content}.items():
                (blobs / digest.partition(":")[2]).write_bytes(blob)
        (directory / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        entry = self.descriptor() | {"annotations": {"org.opencontainers.image.ref.name": tag}}
        (directory / "index.json").write_bytes(
            _encoded({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]})
        )


def build_image(
    *,
    layers: int = 1,
    layer_size: int = 1024,
    platform: str = "linux/amd64",
    docker: bool = False,
    seed: int | None = None,
    subject: Artifact | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Artifact:
    """Build an image of random content; the same seed builds the same image."""
    source = _chance(seed)
    bodies = [_layer(source, layer_size) for _ in range(layers)]
    system, _, rest = platform.partition("/")
    architecture, _, variant = rest.partition("/")
    config: dict[str, Any] = {
        "created": "2024-01-01T00:00:00Z",
        "architecture": architecture,
        "os": system,
        "config": {"Labels": {"nonce": source.randbytes(8).hex()}},
        "rootfs": {"type": "layers", "diff_ids": [digest_of(gzip.decompress(body)) for body in bodies]},
        "history": [{"created": "2024-01-01T00:00:00Z", "created_by": "emulators"} for _ in bodies],
    }
    if variant:
        config["variant"] = variant
    media_type = DOCKER_MANIFEST if docker else OCI_MANIFEST
    encoded = _encoded(config)
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": _describe(encoded, _DOCKER_CONFIG if docker else _OCI_CONFIG),
        "layers": [_describe(body, _DOCKER_LAYER if docker else _OCI_LAYER) for body in bodies],
    }
    if subject is not None:
        document["subject"] = subject.descriptor()
    if annotations:
        document["annotations"] = dict(annotations)
    blobs = {digest_of(blob): blob for blob in (encoded, *bodies)}
    return Artifact(content=_encoded(document), media_type=media_type, blobs=blobs, platform=platform)


def build_index(
    children: Sequence[Artifact],
    *,
    docker: bool = False,
    subject: Artifact | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Artifact:
    """Build an index (Docker: a manifest list) over images or other indexes."""
    media_type = DOCKER_INDEX if docker else OCI_INDEX
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "manifests": [child.descriptor() | _platform(child) for child in children],
    }
    if subject is not None:
        document["subject"] = subject.descriptor()
    if annotations:
        document["annotations"] = dict(annotations)
    return Artifact(content=_encoded(document), media_type=media_type, children=tuple(children))


def build_referrer(
    subject: Artifact,
    *,
    artifact_type: str = "application/vnd.cncf.notary.signature",
    body: bytes | None = None,
    annotations: Mapping[str, str] | None = None,
    seed: int | None = None,
) -> Artifact:
    """Build an artifact that points at another by ``subject``, as notation and oras attach do."""
    payload = body if body is not None else _chance(seed).randbytes(64)
    empty = b"{}"
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": artifact_type,
        "config": _describe(empty, _EMPTY),
        "layers": [_describe(payload, artifact_type)],
        "subject": subject.descriptor(),
    }
    if annotations:
        document["annotations"] = dict(annotations)
    blobs = {digest_of(empty): empty, digest_of(payload): payload}
    return Artifact(content=_encoded(document), media_type=OCI_MANIFEST, blobs=blobs)


def build_cosign_signature(subject: Artifact, *, seed: int | None = None) -> Artifact:
    """Build what cosign pushes under a ``sha256-<hex>.sig`` tag: it has no ``subject``."""
    source = _chance(seed)
    image = {"docker-manifest-digest": subject.digest}
    critical = {"image": image, "type": "cosign container image signature"}
    payload = _encoded({"critical": critical, "optional": {"nonce": source.randbytes(8).hex()}})
    config = _encoded({"architecture": "", "os": "", "rootfs": {"type": "layers", "diff_ids": []}})
    layer = _describe(payload, _COSIGN_LAYER)
    layer["annotations"] = {"dev.cosignproject.cosign/signature": source.randbytes(48).hex()}
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": _describe(config, _OCI_CONFIG),
        "layers": [layer],
    }
    blobs = {digest_of(config): config, digest_of(payload): payload}
    return Artifact(content=_encoded(document), media_type=OCI_MANIFEST, blobs=blobs)


def cosign_tag(digest: str, suffix: str = "sig") -> str:
    """Name the tag by which cosign finds what belongs to a digest."""
    return f"{digest.replace(':', '-')}.{suffix}"


def _chance(seed: int | None) -> random.Random:
    return random.Random(seed)  # noqa: S311 - content, not secrets


def _layer(source: random.Random, size: int) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo(f"content-{source.randbytes(6).hex()}")
        member.size = size
        archive.addfile(member, io.BytesIO(source.randbytes(size)))
    return gzip.compress(packed.getvalue(), compresslevel=1, mtime=0)


def _describe(content: bytes, media_type: str) -> Descriptor:
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}


def _platform(child: Artifact) -> dict[str, Any]:
    if child.platform is None:
        return {}
    system, _, rest = child.platform.partition("/")
    architecture, _, variant = rest.partition("/")
    platform = {"architecture": architecture, "os": system}
    return {"platform": platform | ({"variant": variant} if variant else {})}


def _encoded(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
