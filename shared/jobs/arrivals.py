"""What was pushed to a repository since its plan was made, and what that points at."""

import time
from datetime import timedelta
from threading import Lock
from typing import Final

from shared.oci.names import Digest
from shared.registry.acr import AcrClient
from shared.retention.plan import RepositoryPlan

_LOOK_EVERY: Final = 2.0
_SKEW: Final = timedelta(minutes=5)


class Arrivals:
    """Knows every manifest that came after the plan, by asking for the newest ones every two seconds.

    A push of an index that lists a manifest which the plan deletes gives that manifest no tag, so only
    the index itself tells. Safe to ask from several threads.
    """

    def __init__(self, acr: AcrClient, plan: RepositoryPlan) -> None:
        self._acr = acr
        self._repository = plan.repository
        self._since = plan.at - _SKEW
        self._seen = {verdict.digest for verdict in plan.manifest_verdicts}
        self._holders: dict[Digest, Digest] = {}
        self._looked: float | None = None
        self._lock = Lock()

    def holder_of(self, digest: Digest) -> Digest | None:
        """Return a manifest that came since the plan and points at this one, ``None`` without one.

        :raises RegistryError: when the registry cannot be asked; then nothing may be deleted.
        """
        with self._lock:
            if self._looked is None or time.monotonic() - self._looked >= _LOOK_EVERY:
                self._look()
                self._looked = time.monotonic()
            return self._holders.get(digest)

    def _look(self) -> None:
        for listed in self._acr.list_manifest_records(self._repository, newest_first=True):
            record = listed.record
            if record.updated < self._since:
                return
            if record.digest in self._seen:
                continue
            pointing = self._acr.read_edges(self._repository, record)
            self._seen.add(record.digest)
            for target in (*pointing.children, *(() if pointing.subject is None else (pointing.subject,))):
                self._holders.setdefault(target, record.digest)
