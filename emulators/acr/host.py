"""ACR's decisions about the common engine: the gate, locks, redirects, events."""

from __future__ import annotations

from uuid import uuid4

from starlette.requests import Request
from starlette.responses import Response

from emulators.acr import errors
from emulators.acr.access import Gate
from emulators.acr.events import Notifications
from emulators.acr.quotas import Quotas
from emulators.registry.host import RegistryHost
from emulators.registry.records import Manifest
from emulators.registry.repository import Repository
from emulators.registry.state import RegistryState
from emulators.registry.storage import BlobStorage
from emulators.registry.wire import WireError

_EXPOSED = ("Docker-Content-Digest", "WWW-Authenticate", "Link", "X-Ms-Correlation-Request-Id")
_ALWAYS = [
    *((b"access-control-expose-headers", name.encode()) for name in _EXPOSED),
    (b"docker-distribution-api-version", b"registry/2.0"),
    (b"server", b"AzureContainerRegistry"),
    (b"strict-transport-security", b"max-age=31536000; includeSubDomains"),
    (b"strict-transport-security", b"max-age=31536000; includeSubDomains"),
    (b"x-content-type-options", b"nosniff"),
]


class AcrHost(RegistryHost):
    """A registry of Azure."""

    link_order = True
    null_catalog = True
    default_page = 100
    tags_actions = ("metadata_read",)

    def __init__(
        self,
        state: RegistryState,
        *,
        gate: Gate,
        storage: BlobStorage,
        notifications: Notifications,
        quotas: Quotas,
    ) -> None:
        super().__init__(state)
        self.gate = gate
        self._storage = storage
        self._notifications = notifications
        self._quotas = quotas

    def authorize(self, request: Request, repository: str | None, actions: tuple[str, ...]) -> None:
        self.gate.admit(request, repository, actions)

    def may_mount(self, request: Request, source: str) -> bool:
        return self.gate.may_pull(request, source)

    def refuse_pull(self, request: Request, repository: str, reference: str) -> None:
        """Honour ``readEnabled`` of the repository, the tag and the manifest."""
        del request
        home = self.state.view().repository(repository)
        if home is None:
            return
        tag, manifest = home.tags.get(reference), home.resolve(reference)
        readable = home.locks.read and (tag is None or tag.locks.read)
        if not readable or (manifest is not None and not manifest.locks.read):
            raise errors.locked()

    def refuse_upload(self, request: Request, repository: str) -> None:
        del request
        home = self.state.repository(repository)
        if home is not None and not home.locks.write:
            raise errors.locked()

    def refuse_push(self, request: Request, repository: str, manifest: Manifest, tag: str | None) -> None:
        """Protect a locked tag from moving and a locked manifest from being written again."""
        self.refuse_upload(request, repository)
        home = self.state.repository(repository)
        if home is None:
            return
        before = home.manifests.get(manifest.digest)
        pointed = None if tag is None else home.tags.get(tag)
        if any(each is not None and not each.locks.write for each in (before, pointed)):
            raise errors.locked()

    def refuse_delete(self, request: Request, repository: str, manifest: Manifest) -> None:
        """Honour the manifest's own lock; the lock of a tag does not protect what it points at."""
        self.refuse_upload(request, repository)
        if not (manifest.locks.delete and manifest.locks.write):
            raise errors.locked()

    def refuse_untag(self, repository: Repository, tag: str) -> None:
        """Honour the tag's lock and the repository's write lock."""
        locks = repository.tags[tag].locks
        if not (locks.delete and locks.write and repository.locks.write):
            raise errors.locked()

    def refuse_repository_delete(self, repository: Repository) -> None:
        """Honour the repository's lock and that of anything in it."""
        everything = [repository.locks]
        everything += [each.locks for each in repository.manifests.page()]
        everything += [each.locks for each in repository.tags.page()]
        if not all(locks.delete and locks.write for locks in everything):
            raise errors.locked()

    def redirect_blob(self, request: Request, repository: str, digest: str) -> str:
        del request, repository
        return self._storage.url_for(digest)

    def pushed(self, request: Request, repository: str, manifest: Manifest, tag: str | None) -> None:
        self._notifications.pushed(request, repository, manifest, tag)

    def deleted(self, request: Request, repository: str, manifest: Manifest) -> None:
        self._notifications.deleted(request, repository, manifest)

    def finish(self, request: Request, response: Response) -> None:
        response.raw_headers += _ALWAYS
        response.raw_headers.append((b"x-ms-correlation-request-id", str(uuid4()).encode()))
        if request.method == "DELETE" and response.status_code < 400:  # noqa: PLR2004 - not an error
            left = f"{int(self._quotas.per_second('delete'))}.000000"
            response.headers["X-Ms-Ratelimit-Remaining-Calls-Per-Second"] = left

    def unknown_repository(self, name: str) -> WireError:
        return errors.unknown_repository(name)

    def unknown_manifest(self, reference: str) -> WireError:
        return errors.unknown_manifest(reference)
