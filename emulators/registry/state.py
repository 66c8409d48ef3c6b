"""The content of one registry in memory, safe to use from any thread.

    state = RegistryState(clock=lambda: datetime.now(UTC), read_lag=0.0)
    digest = state.put_blob("team/app", b"...")
    manifest = state.put_manifest("team/app", content, OCI_MANIFEST, tag="v1", at=None)
    state.view().repository("team/app").tags["v1"].digest      # what readers see, `read_lag` seconds late

Writers change `state`; readers over HTTP are given `state.view()`, which is `state` itself, or with a lag a
replica to which each change is applied when it is due. `Repository` objects are live: read them, change them
through the state only. Nothing here knows of HTTP, names' validity or locks' meaning.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from emulators.registry.ordering import SortedKeys
from emulators.registry.records import (
    OCI_ARTIFACT,
    Locks,
    Manifest,
    Tag,
    digest_of,
    parse_manifest,
)
from emulators.registry.repository import Repository, untie

type Clock = Callable[[], datetime]
type _Change = Callable[["RegistryState"], object]


def utc_now() -> datetime:
    return datetime.now(UTC)


class RegistryState:
    """Everything one registry holds."""

    def __init__(
        self, *, clock: Clock = utc_now, read_lag: float = 0.0, contents: dict[str, bytes] | None = None
    ) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self.read_lag = read_lag
        self._repositories: dict[str, Repository] = {}
        self._names = SortedKeys[str]()
        self._contents = {} if contents is None else contents
        self._pending: deque[tuple[datetime, _Change]] = deque()
        self._replica: RegistryState | None = None
        if read_lag:
            self._replica = RegistryState(clock=clock, contents=self._contents)

    def view(self) -> RegistryState:
        """Return what readers see now."""
        replica = self._replica
        if replica is None:
            return self
        with self.lock:
            now = self.clock()
            while self._pending and self._pending[0][0] <= now:
                self._pending.popleft()[1](replica)
        return replica

    def settle(self) -> None:
        """Let readers see every change at once."""
        with self.lock:
            while self._pending and self._replica is not None:
                self._pending.popleft()[1](self._replica)

    def repository(self, name: str) -> Repository | None:
        return self._repositories.get(name)

    def repository_names(self, *, last: str | None = None) -> Iterator[str]:
        """Yield names in order, those behind ``last``."""
        return self._names.after(last)

    def content(self, digest: str) -> bytes | None:
        """Return the bytes of a blob, whichever repository has it."""
        return self._contents.get(digest)

    def blob(self, repository: str, digest: str) -> bytes | None:
        """Return the bytes of a blob that the repository has."""
        found = self._repositories.get(repository)
        return self._contents[digest] if found is not None and digest in found.blobs else None

    def create_repository(self, name: str, *, at: datetime | None = None) -> Repository:
        """Return the repository, made if it is missing."""
        with self.lock:
            found = self._repositories.get(name)
            if found is None:
                moment = at or self.clock()
                found = self._repositories[name] = Repository(name, at=moment)
                self._names.add(name)
                self._later(lambda replica: replica.create_repository(name, at=moment))
            return found

    def put_blob(self, repository: str, content: bytes, *, digest: str | None = None) -> str:
        """Keep a blob and return its digest; a digest that is given is believed."""
        digest = digest or digest_of(content)
        with self.lock:
            self.create_repository(repository).blobs.add(digest)
            self._contents.setdefault(digest, content)
            self._later(lambda replica: replica.put_blob(repository, content, digest=digest))
        return digest

    def delete_blob(self, repository: str, digest: str) -> bool:
        with self.lock:
            found = self._repositories.get(repository)
            if found is None or digest not in found.blobs:
                return False
            found.blobs.discard(digest)
            self._later(lambda replica: replica.delete_blob(repository, digest))
            return True

    def put_manifest(
        self,
        repository: str,
        content: bytes,
        media_type: str,
        *,
        tag: str | None = None,
        at: datetime | None = None,
    ) -> Manifest:
        """Keep a manifest, and let the tag point at it; raises ValueError if it is malformed."""
        moment = at or self.clock()
        parsed = parse_manifest(content, media_type, at=moment)
        with self.lock:
            home = self.create_repository(repository, at=moment)
            before = home.manifests.get(parsed.digest)
            if before is None:
                architecture, system = self._platform(parsed)
                home.manifests.put(parsed.digest, replace(parsed, architecture=architecture, os=system))
                if parsed.subject is not None:
                    home.referrers.setdefault(parsed.subject, {})[parsed.digest] = None
            else:
                home.manifests.put(parsed.digest, replace(before, updated=moment))
            home.updated = max(home.updated, moment)
            if tag is not None:
                self._point(home, tag, parsed.digest, moment)
            self._later(
                lambda replica: replica.put_manifest(repository, content, media_type, tag=tag, at=moment)
            )
            return home.manifests[parsed.digest]

    def delete_tag(self, repository: str, tag: str) -> Tag | None:
        """Remove a tag and return it; its manifest stays."""
        with self.lock:
            home = self._repositories.get(repository)
            if home is None or tag not in home.tags:
                return None
            gone = home.tags.pop(tag)
            untie(home, gone)
            self._later(lambda replica: replica.delete_tag(repository, tag))
            return gone

    def delete_manifest(self, repository: str, digest: str) -> Manifest | None:
        """Remove a manifest with all its tags and return it as it was; its blobs stay."""
        with self.lock:
            home = self._repositories.get(repository)
            if home is None or digest not in home.manifests:
                return None
            gone = home.manifests.pop(digest)
            for tag in gone.tags:
                home.tags.pop(tag)
            if gone.subject is not None:
                home.referrers[gone.subject].pop(digest, None)
            self._later(lambda replica: replica.delete_manifest(repository, digest))
            return gone

    def delete_repository(self, name: str) -> Repository | None:
        """Remove a repository and return it as it was."""
        with self.lock:
            gone = self._repositories.pop(name, None)
            if gone is not None:
                self._names.remove(name)
                self._later(lambda replica: replica.delete_repository(name))
            return gone

    def set_repository_locks(self, name: str, locks: Locks) -> None:
        with self.lock:
            self._repositories[name].locks = locks
            self._later(lambda replica: replica.set_repository_locks(name, locks))

    def set_tag_locks(self, repository: str, tag: str, locks: Locks) -> Tag:
        """Lock a tag that exists; times stay."""
        with self.lock:
            tags = self._repositories[repository].tags
            tags.put(tag, replace(tags[tag], locks=locks))
            self._later(lambda replica: replica.set_tag_locks(repository, tag, locks))
            return tags[tag]

    def change_manifest(self, repository: str, digest: str, **changes: Any) -> Manifest:
        """Replace fields such as ``locks`` of a manifest that exists; times stay."""
        with self.lock:
            manifests = self._repositories[repository].manifests
            manifests.put(digest, replace(manifests[digest], **changes))
            self._later(lambda replica: replica.change_manifest(repository, digest, **changes))
            return manifests[digest]

    def _later(self, change: _Change) -> None:
        if self._replica is not None:
            self._pending.append((self.clock() + timedelta(seconds=self.read_lag), change))

    def _point(self, home: Repository, name: str, digest: str, moment: datetime) -> None:
        before = home.tags.get(name)
        if before is None:
            home.tags.put(name, Tag(name=name, digest=digest, created=moment, updated=moment))
        else:
            if before.digest != digest:
                untie(home, before)
            home.tags.put(name, replace(before, digest=digest, updated=moment))
        manifest = home.manifests[digest]
        if name not in manifest.tags:
            home.manifests.put(digest, replace(manifest, tags=tuple(sorted((*manifest.tags, name)))))

    def _platform(self, manifest: Manifest) -> tuple[str | None, str | None]:
        if manifest.is_index or manifest.media_type == OCI_ARTIFACT or not manifest.references:
            return None, None
        try:
            config = json.loads(self._contents.get(manifest.references[0], b""))
            return config.get("architecture"), config.get("os")
        except (ValueError, AttributeError):
            return None, None
