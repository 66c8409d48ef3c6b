"""Signatures and other manifests that belong to an image, pushed after it."""

from collections.abc import Sequence

from shared.errors import InvalidManifest, NotFound
from shared.jobs.services import Services
from shared.oci.manifest import parse_manifest
from shared.oci.media_types import may_point_at_manifests
from shared.oci.names import Digest, Reference, TagName
from shared.policy import Policy
from shared.replication.routes import routes_repository
from shared.retention.bound import bound_subject


def signed_tags(services: Services, policy: Policy, pushed: Reference) -> Sequence[TagName]:
    """Return the tags of the image that the pushed manifest belongs to, none when it belongs to none.

    It belongs to its ``subject``, or to the image that its tag names in the way of cosign and of the
    referrers fallback tag. Only what is routed is looked at; a push without a tag costs one read, since
    children of an index look the same from outside.

    :raises RegistryError: when the registry cannot be asked.
    """
    if not routes_repository(pushed.registry, pushed.repository, policy.replication):
        return ()
    subject = _subject(services, pushed)
    if subject is None:
        return ()
    acr = services.registries.acr(pushed.registry)
    image = acr.manifest_attributes(pushed.repository, subject)
    return () if image is None else image.tags


def _subject(services: Services, pushed: Reference) -> Digest | None:
    if pushed.tag is not None:
        return bound_subject(pushed.tag)
    if pushed.digest is None:
        return None
    repository = services.registries.acr(pushed.registry).repository(pushed.repository)
    try:
        fetched = repository.fetch_manifest(pushed.digest)
        if not may_point_at_manifests(fetched.descriptor.media_type):
            return None
        manifest = parse_manifest(fetched.content, fetched.descriptor.media_type)
    except (NotFound, InvalidManifest):
        return None
    return None if manifest.subject is None else manifest.subject.digest
