"""Manifests as values, parsed from the bytes that a registry serves."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from shared.errors import InvalidManifest, InvalidName
from shared.oci import media_types
from shared.oci.names import Digest, parse_digest

MAX_MANIFEST_BYTES: Final = 4 * 1024 * 1024
"""Registries must take manifests of 4 MiB and refuse larger ones (distribution-spec, "Pushing manifests")."""

MAX_INDEX_ENTRIES: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """What a child of an index runs on (image-spec, image-index.md)."""

    os: str
    architecture: str
    variant: str | None = None

    def __str__(self) -> str:
        """Read as ``os/architecture/variant``."""
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """A pointer to content: what it is, its digest, and its size in bytes (image-spec, descriptor.md)."""

    media_type: str
    digest: Digest
    size: int
    artifact_type: str | None = None
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    urls: tuple[str, ...] = ()
    platform: Platform | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageManifest:
    """One platform's config and layers; also how OCI artifacts are packed."""

    media_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]
    subject: Descriptor | None = None
    artifact_type: str | None = None
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageIndex:
    """A list of manifests, nested indexes among them."""

    media_type: str
    manifests: tuple[Descriptor, ...]
    subject: Descriptor | None = None
    artifact_type: str | None = None
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactManifest:
    """The artifact manifest of image-spec 1.1-rc and its ORAS forerunner: blobs and a subject."""

    media_type: str
    blobs: tuple[Descriptor, ...]
    subject: Descriptor | None = None
    artifact_type: str | None = None
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)


type Manifest = ImageManifest | ImageIndex | ArtifactManifest


def successors(manifest: Manifest) -> tuple[Descriptor, ...]:
    """Return what the manifest points at: config and layers, or child manifests, or blobs.

    The subject is not among them: a manifest does not need its subject to be complete, so copying a
    signature must not drag the image along.
    """
    match manifest:
        case ImageManifest():
            return (manifest.config, *manifest.layers)
        case ImageIndex():
            return manifest.manifests
        case ArtifactManifest():
            return manifest.blobs


def digest_of(content: bytes) -> Digest:
    """Return the sha256 digest of the bytes."""
    return Digest(f"sha256:{hashlib.sha256(content).hexdigest()}")


def parse_manifest(content: bytes, media_type: str | None = None) -> Manifest:
    """Return the manifest that the bytes are.

    ``media_type`` is what the registry said (its parameters are ignored). The body's own ``mediaType``
    must agree where both are present: a body that two readers can read as two things is how CVE-2021-41190
    worked. Without either, the shape decides, as image-spec allows for OCI content.

    :raises InvalidManifest: naming the field, when the bytes are too many, not JSON, schema 1, or not
        of the shape that their media type asks for.
    """
    if len(content) > MAX_MANIFEST_BYTES:
        raise InvalidManifest(
            f"manifest of {len(content)} bytes; the most that is read is {MAX_MANIFEST_BYTES}"
        )
    try:
        body = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InvalidManifest(f"manifest is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise InvalidManifest(f"manifest is a JSON {type(body).__name__}, expected an object")
    kind = _kind(body, media_type)
    common: dict[str, Any] = {
        "media_type": kind,
        "subject": _descriptor(body["subject"], "subject") if body.get("subject") is not None else None,
        "artifact_type": _optional_string(body, "artifactType"),
        "annotations": _annotations(body, "annotations"),
    }
    if kind in media_types.INDEXES:
        return ImageIndex(manifests=_descriptors(body, "manifests"), **common)
    if kind in media_types.ARTIFACTS:
        return ArtifactManifest(blobs=_descriptors(body, "blobs"), **common)
    if "config" not in body:
        raise InvalidManifest("config: missing")
    return ImageManifest(
        config=_descriptor(body["config"], "config"), layers=_descriptors(body, "layers"), **common
    )


def _kind(body: dict[str, Any], announced: str | None) -> str:
    if body.get("schemaVersion") == 1:
        raise InvalidManifest(
            "schemaVersion: 1; Docker schema 1 images are not supported by any current registry"
        )
    announced = announced.partition(";")[0].strip() if announced else None
    stated = _optional_string(body, "mediaType")
    if announced in media_types.SCHEMA_1 or stated in media_types.SCHEMA_1:
        raise InvalidManifest("mediaType: Docker schema 1 images are not supported by any current registry")
    if stated and announced in media_types.MANIFESTS and stated != announced:
        raise InvalidManifest(f"mediaType: {stated!r}, but the registry serves it as {announced!r}")
    kind = stated or (announced if announced in media_types.MANIFESTS else None) or _guess(body)
    if kind not in media_types.MANIFESTS:
        raise InvalidManifest(f"mediaType: {kind!r} is no manifest that is understood here")
    if "manifests" in body and ("layers" in body or "config" in body):
        raise InvalidManifest(
            "manifests: stands beside config or layers, so the body can be read as two things"
        )
    return kind


def _guess(body: dict[str, Any]) -> str:
    if "manifests" in body:
        return media_types.OCI_INDEX
    if "config" in body:
        return media_types.OCI_MANIFEST
    raise InvalidManifest("mediaType: missing, and neither manifests nor config says what it is")


def _descriptors(body: dict[str, Any], key: str) -> tuple[Descriptor, ...]:
    entries = body.get(key)
    if entries is None:  # Go clients write null for an empty list
        return ()
    if not isinstance(entries, list):
        raise InvalidManifest(f"{key}: {type(entries).__name__}, expected a list")
    if len(entries) > MAX_INDEX_ENTRIES:
        raise InvalidManifest(f"{key}: {len(entries)} entries; the most that is read is {MAX_INDEX_ENTRIES}")
    return tuple(_descriptor(entry, f"{key}[{position}]") for position, entry in enumerate(entries))


def _descriptor(entry: object, path: str) -> Descriptor:
    if not isinstance(entry, dict):
        raise InvalidManifest(f"{path}: {type(entry).__name__}, expected an object")
    text, size = entry.get("digest"), entry.get("size")
    if not isinstance(text, str):
        raise InvalidManifest(f"{path}.digest: expected a string")
    try:
        digest = parse_digest(text)
    except InvalidName as error:
        raise InvalidManifest(f"{path}.digest: {error}") from error
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise InvalidManifest(f"{path}.size: {size!r}, expected a count of bytes")
    media_type = entry.get("mediaType")
    if not isinstance(media_type, str) or not media_type:
        raise InvalidManifest(f"{path}.mediaType: expected a string")
    urls = entry.get("urls") or ()
    if not isinstance(urls, list | tuple) or not all(isinstance(url, str) for url in urls):
        raise InvalidManifest(f"{path}.urls: expected a list of strings")
    return Descriptor(
        media_type=media_type,
        digest=digest,
        size=size,
        artifact_type=_optional_string(entry, "artifactType", path),
        annotations=_annotations(entry, f"{path}.annotations"),
        urls=tuple(urls),
        platform=_platform(entry.get("platform")),
    )


def _platform(entry: object) -> Platform | None:
    """Read a platform as far as it makes sense; it is for people to see, nothing is decided by it."""
    if not isinstance(entry, dict):
        return None
    os, architecture, variant = (entry.get(key) for key in ("os", "architecture", "variant"))
    if not isinstance(os, str) or not isinstance(architecture, str):
        return None
    return Platform(os=os, architecture=architecture, variant=variant if isinstance(variant, str) else None)


def _optional_string(body: dict[str, Any], key: str, path: str = "") -> str | None:
    value = body.get(key)
    if value is None or isinstance(value, str):
        return value or None
    raise InvalidManifest(f"{path}{'.' if path else ''}{key}: {type(value).__name__}, expected a string")


def _annotations(body: dict[str, Any], path: str) -> Mapping[str, str]:
    value = body.get("annotations")
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise InvalidManifest(f"{path}: expected an object of strings")
    return value
