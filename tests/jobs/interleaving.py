"""Another client that acts between the requests of an application, and a watch over every delete."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from starlette.types import ASGIApp, Receive, Scope, Send

from emulators.acr import AcrEmulator
from emulators.registry.records import Manifest
from emulators.registry.repository import Repository
from shared.oci.names import RepositoryName, TagName
from shared.retention.bound import bound_subject

type Act = Callable[[], None]


class Watch:
    """Checks, before a delete is carried out, that nothing which is there at that moment needs its target.

    The other client acts at ``moments``: before a request that begins the looks at one thing. What comes
    between these looks and the delete comes too late, since registries have no conditional delete; that is
    why an application watched here has one thread.
    """

    def __init__(self, app: ASGIApp, acr: AcrEmulator, repository: RepositoryName) -> None:
        self.app = app
        self._acr = acr
        self._repository = repository
        self._acts: dict[int, list[Act]] = {}
        self._listed = False
        self.moments = 0
        self.harm: list[str] = []

    def plan(self, moment: int, act: Act) -> None:
        self._acts.setdefault(moment, []).append(act)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method, path = scope["method"], scope["path"]
        if path.startswith(f"/acr/v1/{self._repository}/") and self._begins_a_look(scope):
            for act in self._acts.get(self.moments, ()):
                act()
            self.moments += 1
        home = self._acr.state.repository(self._repository)
        if method == "DELETE" and f"/{self._repository}/" in path and home is not None:
            self.harm.extend(_harm(home, path.rpartition("/")[2]))
        await self.app(scope, receive, send)

    def _begins_a_look(self, scope: Scope) -> bool:
        """Tell so of the list of newcomers, and of a manifest's attributes that are not asked after it."""
        if b"orderby" in scope["query_string"]:
            self._listed = True
            return True
        if scope["method"] != "GET" or "/_manifests/" not in scope["path"]:
            return False
        listed, self._listed = self._listed, False
        return not listed


def _harm(home: Repository, target: str) -> Iterator[str]:
    """Yield why the tag or manifest may not be removed now."""
    tag, manifest = home.tags.get(target), home.manifests.get(target)
    if tag is not None:
        if not (tag.locks.delete and tag.locks.write):
            yield f"{target} is locked"
        subject = bound_subject(TagName(target))
        if subject is not None and subject != tag.digest and subject in home.manifests:
            yield f"{target} is the signature of {subject}"
    if manifest is not None:
        yield from _harm_of(home, manifest)


def _harm_of(home: Repository, manifest: Manifest) -> Iterator[str]:
    if manifest.tags:
        yield f"{manifest.digest} has the tag {manifest.tags[0]}"
    if not (manifest.locks.delete and manifest.locks.write):
        yield f"{manifest.digest} is locked"
    if manifest.subject in home.manifests:
        yield f"{manifest.digest} refers to {manifest.subject}"
    for digest in home.manifests:
        index = home.manifests[digest]
        if index.is_index and manifest.digest in index.references:
            yield f"{manifest.digest} is listed by {digest}"


@contextmanager
def watched(acr: AcrEmulator, repository: RepositoryName) -> Iterator[Watch]:
    edge = acr._edge
    watch = Watch(edge.app, acr, repository)
    edge.app = watch
    try:
        yield watch
    finally:
        edge.app = watch.app


def incomplete(home: Repository) -> list[str]:
    """Return the indexes that list what is not there."""
    indexes = [home.manifests[digest] for digest in home.manifests if home.manifests[digest].is_index]
    return [index.digest for index in indexes if not all(each in home.manifests for each in index.references)]
