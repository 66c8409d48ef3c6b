"""One repository on a target: what its tags hold, and how one of them is taken away."""

from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final

from shared.errors import NotFound, OperationDisallowed
from shared.jobs.services import Services
from shared.oci.manifest import ImageIndex, parse_manifest
from shared.oci.media_types import INDEXES
from shared.oci.names import DOCKER_HUB, Digest, LoginServer, RepositoryName, TagName
from shared.registry.acr import AcrClient

_DEEPEST: Final = 10


class TargetRepository:
    """A repository that tags are replicated to, read by the cheapest way that its registry has."""

    def __init__(self, services: Services, registry: LoginServer, repository: RepositoryName) -> None:
        self._client = services.registries.target(registry)
        self._hub = services.registries.docker_hub() if registry == DOCKER_HUB else None
        self._threads = services.settings.registry_threads
        self.registry = registry
        self.name = repository
        self.content = self._client.repository(repository)

    def digests(self, wanted: Collection[TagName]) -> dict[TagName, Digest | None]:
        """Return all tags; the digest of each that is wanted, and of others where it costs nothing.

        Docker Hub's own API and ACR's list digests; elsewhere each tag is asked for by HEAD, which no
        registry counts as a pull.
        """
        listed = self._listed()
        unknown = [tag for tag, digest in listed.items() if digest is None and tag in wanted]
        with ThreadPoolExecutor(self._threads, thread_name_prefix="targets") as pool:
            for tag, digest in zip(unknown, pool.map(self.digest, unknown), strict=True):
                if digest is None:
                    del listed[tag]
                else:
                    listed[tag] = digest
        return listed

    def digest(self, tag: TagName) -> Digest | None:
        """Return what the tag holds now, asked of the registry itself, not of a listing."""
        found = self.content.resolve(tag)
        return None if found is None else found.digest

    def untag(self, tag: TagName, digest: Digest) -> None:
        """Take the tag away, which must hold the digest.

        Docker Hub and ACR remove a name and leave the rest. Elsewhere there is no such request that
        every registry understands in the same way, so the manifest goes, and only when nothing else
        that has a name there needs it.

        :raises OperationDisallowed: when it is locked, or cannot go without taking more with it.
        """
        if self._hub is not None:
            self._hub.delete_tag(self.name, tag)
        elif isinstance(self._client, AcrClient):
            self._client.untag(self.name, tag)
        else:
            self._delete_alone(tag, digest)

    def _listed(self) -> dict[TagName, Digest | None]:
        if self._hub is not None:
            return {tag.name: tag.digest for tag in self._hub.list_tags(self.name)}
        if isinstance(self._client, AcrClient):
            with suppress(NotFound):
                return {tag.name: tag.digest for tag in self._client.list_tag_records(self.name)}
        return dict.fromkeys(self.content.list_tags())

    def _delete_alone(self, tag: TagName, digest: Digest) -> None:
        if self.registry == DOCKER_HUB:
            raise OperationDisallowed("without credentials no tag can be removed", registry=self.registry)
        names = list(self._listed())
        held = {other: found for other, found in self.digests(names).items() if found is not None}
        holder = next((other for other, found in held.items() if found == digest and other != tag), None)
        if holder is None:
            holder = self._lister_of(digest, {o: d for o, d in held.items() if o != tag})
        if holder is not None:
            raise OperationDisallowed(
                f"{tag} cannot be removed alone: the tag {holder} needs the same manifest",
                registry=self.registry,
            )
        self.content.delete_manifest(digest)

    def _lister_of(self, digest: Digest, tags: Mapping[TagName, Digest]) -> TagName | None:
        """Return a tag below which the manifest is listed, ``None`` when there is none."""
        return next((tag for tag, root in tags.items() if digest in self._below([root])), None)

    def _below(self, roots: Iterable[Digest]) -> set[Digest]:
        found: set[Digest] = set()
        level = set(roots)
        for _ in range(_DEEPEST):
            level = {child for parent in level for child in self._children(parent)} - found
            found |= level
        return found

    def _children(self, digest: Digest) -> tuple[Digest, ...]:
        described = self.content.resolve(digest)
        if described is None or described.media_type not in INDEXES:
            return ()
        fetched = self.content.fetch_manifest(digest)
        manifest = parse_manifest(fetched.content, fetched.descriptor.media_type)
        return tuple(each.digest for each in manifest.manifests) if isinstance(manifest, ImageIndex) else ()
