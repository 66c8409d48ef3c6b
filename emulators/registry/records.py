"""What a registry keeps: frozen records, replaced whole when they change."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

NAME = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
"""Repository names, distribution-spec "Pulling manifests"."""
TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
DIGEST = re.compile(r"sha256:[a-f0-9]{64}")

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_ARTIFACT = "application/vnd.oci.artifact.manifest.v1+json"
INDEX_TYPES = frozenset({DOCKER_INDEX, OCI_INDEX})
MANIFEST_TYPES = INDEX_TYPES | {DOCKER_MANIFEST, OCI_MANIFEST, OCI_ARTIFACT}


def digest_of(content: bytes) -> str:
    """Name bytes by their sha256."""
    return f"sha256:{sha256(content).hexdigest()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Locks:
    """The four switches of ACR's changeable attributes; all on by default."""

    delete: bool = True
    write: bool = True
    read: bool = True
    list: bool = True


UNLOCKED = Locks()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    name: str
    digest: str
    created: datetime
    updated: datetime
    locks: Locks = UNLOCKED


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A manifest's bytes and what they say, read once."""

    digest: str
    content: bytes
    media_type: str
    created: datetime
    updated: datetime
    tags: tuple[str, ...] = ()
    locks: Locks = UNLOCKED
    config_media_type: str | None = None
    artifact_type: str | None = None
    subject: str | None = None
    annotations: Mapping[str, str]
    references: tuple[str, ...]
    """Digests of the blobs and manifests that must be there; foreign layers are not."""
    image_size: int
    architecture: str | None = None
    os: str | None = None
    quarantine_state: str | None = None
    quarantine_details: str | None = None

    @property
    def is_index(self) -> bool:
        return self.media_type in INDEX_TYPES

    def document(self) -> dict[str, Any]:
        """Return the content as JSON."""
        document: dict[str, Any] = json.loads(self.content)
        return document


def parse_manifest(content: bytes, media_type: str, *, at: datetime) -> Manifest:
    """Read a manifest's bytes; raises ValueError with the reason when they are not one."""
    try:
        document = json.loads(content)
    except ValueError:
        raise ValueError("the manifest is not JSON") from None
    if not isinstance(document, dict):
        raise ValueError("the manifest is not a JSON object")  # noqa: TRY004 - the content is wrong, not the type
    declared = document.get("mediaType")
    if declared is not None and declared != media_type:
        raise ValueError(f"the manifest says {declared!r}, its Content-Type {media_type!r}")
    if document.get("schemaVersion", 2) != 2:  # noqa: PLR2004 - the only version left
        raise ValueError("schema 1 manifests are not supported")
    children = _descriptors(document, "manifests")
    layers = _descriptors(document, "layers") + _descriptors(document, "blobs")
    config = _descriptors(document, "config")
    if media_type in INDEX_TYPES and "manifests" not in document:
        raise ValueError("an index has a list of manifests")
    if media_type in {OCI_MANIFEST, DOCKER_MANIFEST} and not config:
        raise ValueError("an image manifest has a config")
    subjects = _descriptors(document, "subject")
    config_type = config[0].get("mediaType") if config else None
    return Manifest(
        digest=digest_of(content),
        content=content,
        media_type=media_type,
        created=at,
        updated=at,
        config_media_type=config_type,
        artifact_type=document.get("artifactType") or config_type,
        subject=subjects[0]["digest"] if subjects else None,
        annotations=document.get("annotations") or {},
        references=tuple(each["digest"] for each in config + layers + children if not each.get("urls")),
        image_size=sum(each.get("size", 0) for each in config + layers),
    )


def _descriptors(document: dict[str, Any], field: str) -> list[dict[str, Any]]:
    found = document.get(field)
    if found is None:
        return []
    listed = found if isinstance(found, list) else [found]
    for each in listed:
        if not isinstance(each, dict) or not DIGEST.fullmatch(str(each.get("digest"))):
            raise ValueError(f"{field!r} holds something that is not a descriptor")
    return listed
