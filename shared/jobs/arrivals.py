"""What was pushed to a repository since its plan was made, and what of the plan's that holds."""

import math
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from threading import Lock
from typing import Final

from shared.errors import NotFound
from shared.jobs.cleaned import CleanedRegistry
from shared.oci.names import Digest
from shared.retention.bound import bound_subject
from shared.retention.plan import RepositoryPlan
from shared.retention.snapshot import ManifestRecord

LISTINGS: Final = 3
"""How many listings may be under way at once."""

_APART: Final = 0.015
"""Seconds between the beginnings of two listings: a delete at full speed costs a tenth of one."""

_SKEW: Final = timedelta(minutes=5)

type _Holders = Mapping[Digest, Digest]


class Arrivals:
    """Knows what every manifest holds that came after the plan. Safe to ask from several threads.

    A push of an index that lists a manifest which the plan deletes gives that manifest no tag, so only
    the index itself tells. One that the plan deleted may be pushed once more, too. So the newest manifests
    are listed for each question, after it was asked. Who asks before a listing begins shares it; with a
    ``pool``, listings may overlap, but begin some time apart.
    """

    def __init__(
        self, registry: CleanedRegistry, plan: RepositoryPlan, pool: ThreadPoolExecutor | None = None
    ) -> None:
        self._registry = registry
        self._repository = plan.repository
        self._since = plan.at - _SKEW
        self._kept = {verdict.digest for verdict in plan.manifest_verdicts if verdict.keep}
        self._planned = {deletion.digest for deletion in plan.delete}
        self._followers = _followers(plan)
        self._held: dict[Digest, Sequence[Digest]] = {}
        self._pool = pool
        self._lock = Lock()
        self._next: Future[_Holders] | None = None
        self._begun = -math.inf

    def ask(self, digest: Digest) -> Callable[[], Digest | None]:
        """Ask now for a manifest that came since the plan and holds this one; the answer is waited for.

        It is ``None`` without one. It raises a StewardError when the registry cannot be asked, or a manifest
        that came cannot be understood; then nothing may be deleted.
        """
        if self._pool is None:
            holder = self._look().get(digest)
            return lambda: holder
        with self._lock:
            if self._next is None:
                self._next = self._pool.submit(self._look_apart)
            listing = self._next
        return lambda: listing.result().get(digest)

    def holder_of(self, digest: Digest) -> Digest | None:
        """Ask and wait for the answer; see :meth:`ask`."""
        return self.ask(digest)()

    def _look_apart(self) -> _Holders:
        """List, a little after the listing before; whoever asks from then on gets the next one."""
        time.sleep(max(0.0, self._begun + _APART - time.monotonic()))
        with self._lock:
            self._begun = time.monotonic()
            self._next = None
        return self._look()

    def _look(self) -> _Holders:
        holders: dict[Digest, Digest] = {}
        for listed in self._registry.list_manifest_records(self._repository, newest_first=True):
            record = listed.record
            if record.updated < self._since:
                break
            if record.digest in self._kept:
                continue  # the plan knows what it holds, and keeps that
            if record.digest not in self._held:
                try:
                    self._held[record.digest] = self._held_by(record)
                except NotFound:
                    continue  # gone again
            for held in self._held[record.digest]:
                holders.setdefault(held, record.digest)
        return holders

    def _held_by(self, record: ManifestRecord) -> Sequence[Digest]:
        """Return what the manifest holds: its children, its subject, and what refers to it.

        A referrer that the plan deletes does not hold its subject: both were to go.
        """
        pointing = self._registry.read_edges(self._repository, record)
        subject = () if pointing.subject is None or record.digest in self._planned else (pointing.subject,)
        referrers = self._registry.repository(self._repository).referrers(record.digest)
        return (
            *pointing.children,
            *subject,
            *(referrer.digest for referrer in referrers),
            *self._followers.get(record.digest, ()),
        )


def _followers(plan: RepositoryPlan) -> Mapping[Digest, Sequence[Digest]]:
    """Return the manifests that lose a tag in cosign's manner, by the subject that the tag names."""
    found: dict[Digest, list[Digest]] = defaultdict(list)
    for untag in plan.untag:
        subject = bound_subject(untag.tag)
        if subject is not None and subject != untag.digest:
            found[subject].append(untag.digest)
    return found
