"""Images of a given shape: real gzipped layers of random bytes, some of them shared."""

import gzip
import io
import json
import random
import tarfile
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final

from emulators.registry.images import Artifact, build_index
from emulators.registry.records import OCI_MANIFEST

MIB: Final = 1024 * 1024
_LAYER: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
_ZEROS: Final = bytes(MIB)


def build_layer(size: int, seed: int) -> tuple[bytes, str]:
    """Return a gzipped tar of about so many bytes, and the digest of what is in the gzip."""
    chance = random.Random(seed)  # noqa: S311 - content, not secrets
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo(f"file-{seed}")
        member.size = size
        archive.addfile(member, io.BytesIO(chance.randbytes(size)))
    tar = packed.getvalue()
    return gzip.compress(tar, compresslevel=1, mtime=0), f"sha256:{sha256(tar).hexdigest()}"


def build_image(layers: Sequence[tuple[bytes, str]], *, platform: str = "linux/amd64") -> Artifact:
    """Return an image of these layers."""
    system, _, architecture = platform.partition("/")
    config = _encoded(
        {
            "architecture": architecture,
            "os": system,
            "rootfs": {"type": "layers", "diff_ids": [diff for _, diff in layers]},
        }
    )
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": _describe(config, _CONFIG),
        "layers": [_describe(content, _LAYER) for content, _ in layers],
    }
    blobs = {_digest(blob): blob for blob in (config, *(content for content, _ in layers))}
    return Artifact(content=_encoded(document), media_type=OCI_MANIFEST, blobs=blobs, platform=platform)


def build_platforms(platforms: Sequence[str], *, shared: int, own: int) -> Artifact:
    """Return an index of images that have one layer in common and one each of their own."""
    base = build_layer(shared, seed=0)
    return build_index(
        [
            build_image([base, build_layer(own, seed=number)], platform=platform)
            for number, platform in enumerate(platforms, start=1)
        ]
    )


def build_sparse_image(size: int) -> tuple[Artifact, str]:
    """Return an image with one layer of zeros that is not among its blobs, and the layer's digest."""
    hashed = sha256()
    for _ in range(size // MIB):
        hashed.update(_ZEROS)
    digest = f"sha256:{hashed.hexdigest()}"
    config = _encoded(
        {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [digest]}}
    )
    layer = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest, "size": size}
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": _describe(config, _CONFIG),
        "layers": [layer],
    }
    image = Artifact(content=_encoded(document), media_type=OCI_MANIFEST, blobs={_digest(config): config})
    return image, digest


def _describe(content: bytes, media_type: str) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": _digest(content), "size": len(content)}


def _digest(content: bytes) -> str:
    return f"sha256:{sha256(content).hexdigest()}"


def _encoded(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
