"""What Docker Hub knows of its repositories beyond what a registry stores."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import takewhile
from weakref import WeakKeyDictionary

from emulators.registry.records import Manifest, Tag
from emulators.registry.repository import Repository
from emulators.registry.state import RegistryState


class RepositoryExistsError(Exception):
    """A repository of this name is already there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImmutableTags:
    """Which tags may not be pushed again: those a rule matches, or all when there are no rules."""

    enabled: bool = False
    rules: tuple[re.Pattern[str], ...] = ()

    def cover(self, tag: str) -> bool:
        return self.enabled and (not self.rules or any(rule.fullmatch(tag) for rule in self.rules))


@dataclass(kw_only=True, slots=True)
class HubRepository:
    """The settings and counters of one repository."""

    namespace: str
    name: str
    private: bool
    registered: datetime
    description: str = ""
    full_description: str = ""
    pull_count: int = 0
    immutable: ImmutableTags = ImmutableTags()
    pulled: dict[str, datetime] = field(default_factory=dict)

    @property
    def full_name(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, kw_only=True, slots=True)
class HubImage:
    """One platform of a tag, as the API lists it."""

    digest: str
    architecture: str
    os: str
    variant: str | None
    size: int


class HubCatalogue:
    """The repositories of Docker Hub, on top of the registry's content.

    A repository that appeared by a push is met here first with the default visibility, which is
    public unless the account changed it (docker/hub-feedback#2417).
    """

    def __init__(self, *, state: RegistryState, default_private: bool, clock: Callable[[], datetime]) -> None:
        self.state = state
        self._default_private = default_private
        self._clock = clock
        self._known: WeakKeyDictionary[Repository, HubRepository] = WeakKeyDictionary()

    def find(self, full_name: str) -> HubRepository | None:
        """Return the repository of this name, if it was created, pushed or seeded."""
        with self.state.lock:
            stored = self.state.repository(full_name)
            if stored is None:
                return None
            return self._known.get(stored) or self._meet(stored, private=self._default_private)

    def repositories(self, namespace: str) -> list[HubRepository]:
        """Return the repositories of a namespace by name."""
        with self.state.lock:
            prefix = f"{namespace}/"
            inside = takewhile(lambda name: name.startswith(prefix), self.state.repository_names(last=prefix))
            names = [name for name in inside if "/" not in name.removeprefix(prefix)]
            return [found for name in names if (found := self.find(name)) is not None]

    def create(
        self, full_name: str, *, private: bool, description: str = "", full_description: str = ""
    ) -> HubRepository:
        """Create an empty repository; raises RepositoryExistsError."""
        with self.state.lock:
            if self.find(full_name) is not None:
                raise RepositoryExistsError(full_name)
            repository = self._meet(self.state.create_repository(full_name), private=private)
            repository.description = description
            repository.full_description = full_description
            return repository

    def delete(self, full_name: str) -> None:
        """Forget a repository with all it holds."""
        self.state.delete_repository(full_name)

    def tags(self, repository: HubRepository) -> list[Tag]:
        """Return the tags that readers see, by name."""
        with self.state.lock:
            stored = self._seen(repository)
            return list(stored.tags.page()) if stored else []

    def manifests(self, repository: HubRepository) -> list[Manifest]:
        """Return the manifests that readers see, untagged ones too, by digest."""
        with self.state.lock:
            stored = self._seen(repository)
            return list(stored.manifests.page()) if stored else []

    def manifest(self, repository: HubRepository, digest: str) -> Manifest | None:
        stored = self._seen(repository)
        return stored.manifests.get(digest) if stored else None

    def images(self, repository: HubRepository, digest: str) -> list[HubImage]:
        """Return the platforms behind a digest: one for an image, one per child for an index."""
        manifest = self.manifest(repository, digest)
        if manifest is None:
            return []
        if not manifest.is_index:
            return [_image(manifest, {})]
        images = []
        for entry in manifest.document()["manifests"]:
            child = self.manifest(repository, entry["digest"])
            if child is not None:
                images.append(_image(child, entry.get("platform") or {}))
        return images

    def untag(self, repository: HubRepository, tag: str) -> bool:
        """Remove a tag's name; False when there is none."""
        repository.pulled.pop(tag, None)
        return self.state.delete_tag(repository.full_name, tag) is not None

    def storage_size(self, repository: HubRepository) -> int:
        """Count the bytes of all blobs of a repository."""
        with self.state.lock:
            stored = self.state.repository(repository.full_name)
            digests = list(stored.blobs) if stored else []
        return sum(len(self.state.content(digest) or b"") for digest in digests)

    def note_pull(self, full_name: str, reference: str) -> None:
        """Count a pull, and remember when the tag was last pulled."""
        with self.state.lock:
            repository = self.find(full_name)
            if repository is not None:
                repository.pull_count += 1
                repository.pulled[reference] = self._clock()

    def _meet(self, stored: Repository, *, private: bool) -> HubRepository:
        namespace, _, name = stored.name.partition("/")
        repository = HubRepository(namespace=namespace, name=name, private=private, registered=stored.created)
        self._known[stored] = repository
        return repository

    def _seen(self, repository: HubRepository) -> Repository | None:
        return self.state.view().repository(repository.full_name)


def _image(manifest: Manifest, platform: dict[str, str]) -> HubImage:
    return HubImage(
        digest=manifest.digest,
        architecture=platform.get("architecture") or manifest.architecture or "",
        os=platform.get("os") or manifest.os or "",
        variant=platform.get("variant"),
        size=manifest.image_size,
    )
