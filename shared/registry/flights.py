"""Uploads under way to one registry: a blob goes up once, however many images want it there at once."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from shared.oci.names import Digest, RepositoryName

_REMEMBERED: Final = 10_000


class Flight:
    """One upload under way; ``landed`` once the registry has taken the blob."""

    def __init__(self, repository: RepositoryName) -> None:
        self.repository = repository
        self.landed = False
        self._over = threading.Event()

    def wait(self) -> None:
        """Return when it is over, one way or the other."""
        self._over.wait()

    def end(self) -> None:
        """Let those go on who wait for it."""
        self._over.set()


class Flights:
    """The uploads of one client, over all its repositories; safe to share between threads.

    Who wants a blob that is on its way to another repository waits, and mounts it from there. Once a
    registry has refused such a mount, each repository is on its own.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._under_way: dict[tuple[Digest, RepositoryName | None], Flight] = {}
        self._landed: dict[tuple[Digest, RepositoryName], None] = {}
        self._mounting = True

    @contextmanager
    def board(self, digest: Digest, repository: RepositoryName) -> Iterator[Flight | None]:
        """Yield ``None`` to whom the upload is left to, who says by returning that it landed; others get it.

        Theirs is the one that is under way, to wait for.
        """
        with self._guard:
            key = (digest, None if self._mounting else repository)
            other = self._under_way.get(key)
            flight = other or self._under_way.setdefault(key, Flight(repository))
        if other is not None:
            yield other
            return
        try:
            yield None
            flight.landed = True
        finally:
            with self._guard:
                del self._under_way[key]
                if flight.landed:
                    self._landed[digest, repository] = None
                    if len(self._landed) > _REMEMBERED:
                        del self._landed[next(iter(self._landed))]
            flight.end()

    def has_landed(self, digest: Digest, repository: RepositoryName) -> bool:
        """Tell whether the blob was uploaded there lately: worth asking once more before it is sent."""
        return (digest, repository) in self._landed

    def forget(self, repository: RepositoryName) -> None:
        """Forget what was uploaded to a repository that denies to have it: it goes up again."""
        with self._guard:
            for key in [key for key in self._landed if key[1] == repository]:
                del self._landed[key]

    @property
    def mounting(self) -> bool:
        """Tell whether the registry is thought to mount what it has just taken."""
        return self._mounting

    def stop_mounting(self) -> None:
        """Remember that the registry does not mount what it has just taken."""
        with self._guard:
            self._mounting = False
