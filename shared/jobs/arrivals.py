"""What was pushed to a repository since its plan was made, and what of the plan's that holds."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import count
from threading import Lock
from typing import Final

from shared.errors import NotFound, StewardError
from shared.jobs.cleaned import CleanedRegistry
from shared.oci.names import Digest
from shared.retention.bound import bound_subject
from shared.retention.plan import RepositoryPlan
from shared.retention.snapshot import ManifestRecord

_SKEW: Final = timedelta(minutes=5)


class Arrivals:
    """Knows what every manifest holds that came after the plan. Safe to ask from several threads.

    A push of an index that lists a manifest which the plan deletes gives that manifest no tag, so only
    the index itself tells. One that the plan deleted may be pushed once more, too. So the newest manifests
    are listed for each question, after it was asked; threads that ask meanwhile share the next listing.
    """

    def __init__(self, registry: CleanedRegistry, plan: RepositoryPlan) -> None:
        self._registry = registry
        self._repository = plan.repository
        self._since = plan.at - _SKEW
        self._kept = {verdict.digest for verdict in plan.manifest_verdicts if verdict.keep}
        self._planned = {deletion.digest for deletion in plan.delete}
        self._followers = _followers(plan)
        self._held: dict[Digest, Sequence[Digest]] = {}
        self._holders: Mapping[Digest, Digest] = {}
        self._failure: StewardError | None = None
        self._tickets = count(1)
        self._answered = 0
        self._lock = Lock()

    def holder_of(self, digest: Digest) -> Digest | None:
        """Return a manifest that came since the plan and holds this one, ``None`` without one.

        :raises StewardError: when the registry cannot be asked, or a manifest that came cannot be
            understood; then nothing may be deleted.
        """
        ticket = next(self._tickets)
        with self._lock:
            if self._answered < ticket:
                asked_so_far = next(self._tickets)
                self._failure = None
                try:
                    self._holders = self._look()
                except StewardError as error:
                    self._failure = error
                self._answered = asked_so_far
            if self._failure is not None:
                raise self._failure
            return self._holders.get(digest)

    def _look(self) -> dict[Digest, Digest]:
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
