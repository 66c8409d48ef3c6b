"""Media types that manifests go by, and what each kind may point at."""

from typing import Final

OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
OCI_EMPTY: Final = "application/vnd.oci.empty.v1+json"
OCI_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"

DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG: Final = "application/vnd.docker.container.image.v1+json"

ARTIFACT_MANIFEST: Final = "application/vnd.oci.artifact.manifest.v1+json"
"""Released in image-spec 1.1-rc and dropped before 1.1; ACR still serves those that were pushed."""

ORAS_ARTIFACT_MANIFEST: Final = "application/vnd.cncf.oras.artifact.manifest.v1+json"
"""Its forerunner, which early Notation and ORAS releases pushed to ACR."""

HELM_CONFIG: Final = "application/vnd.cncf.helm.config.v1+json"
COSIGN_SIGNATURE_LAYER: Final = "application/vnd.dev.cosign.simplesigning.v1+json"

DOCKER_SCHEMA_1: Final = "application/vnd.docker.distribution.manifest.v1+json"
DOCKER_SCHEMA_1_SIGNED: Final = "application/vnd.docker.distribution.manifest.v1+prettyjws"

INDEXES: Final = frozenset({OCI_INDEX, DOCKER_INDEX})
IMAGES: Final = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
ARTIFACTS: Final = frozenset({ARTIFACT_MANIFEST, ORAS_ARTIFACT_MANIFEST})
SCHEMA_1: Final = frozenset({DOCKER_SCHEMA_1, DOCKER_SCHEMA_1_SIGNED})
MANIFESTS: Final = INDEXES | IMAGES | ARTIFACTS

ACCEPT_MANIFESTS: Final = ", ".join(sorted(MANIFESTS))
"""The Accept header of every manifest request; a registry that is not told converts, or answers 404."""


def is_index(media_type: str | None) -> bool:
    """Tell whether it is a list of manifests."""
    return media_type in INDEXES


def is_image(media_type: str | None) -> bool:
    """Tell whether it is a manifest with a config and layers."""
    return media_type in IMAGES


def is_manifest(media_type: str | None) -> bool:
    """Tell whether it is any kind of manifest that this project understands."""
    return media_type in MANIFESTS


def may_point_at_manifests(media_type: str | None) -> bool:
    """Tell whether the body must be read to know which *manifests* it points at.

    Docker schema 2 images have no ``subject`` and no children, schema 1 neither; an OCI image may
    have a subject. A media type that is missing or unknown may do anything.
    """
    return media_type != DOCKER_MANIFEST and media_type not in SCHEMA_1


def is_not_distributable(media_type: str | None) -> bool:
    """Tell whether clients leave this layer out of a push (image-spec, layer.md; Docker's foreign layers)."""
    return media_type is not None and (
        "nondistributable" in media_type
        or media_type == "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    )
