"""Carrying a plan out: every action looks once more before it acts, and is recorded when it is done.

A plan is old when it is applied, by seconds or by hours. So each tag must still be as the plan saw it, each
manifest must still have no tag, no lock and nothing new that holds it, and whatever held it must really be
gone; neither may have been pushed again. Otherwise it stays, and the outcome says why.

Registries have no conditional delete. What others do is honoured when it comes before the last look begins,
which is one request before the delete.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from http import HTTPStatus
from typing import Final

from shared.errors import (
    AccessDenied,
    AuthenticationFailed,
    NotFound,
    OperationDisallowed,
    RateLimited,
    RegistryUnavailable,
    StewardError,
)
from shared.jobs.arrivals import LISTINGS, Arrivals
from shared.jobs.batch import FLUSH_SECONDS, OutcomeBatch
from shared.jobs.cleaned import CleanedRegistry
from shared.jobs.in_flight import InFlight
from shared.jobs.last_look import Found, why_manifest_stays, why_tag_stays
from shared.jobs.outages import Outages
from shared.jobs.pausing import Pause, outage_pause, pause_of
from shared.jobs.waves import is_bound, name_of, waves
from shared.oci.names import Digest, TagName
from shared.registry.counting import sleep_counted, worker_pool
from shared.retention.plan import DeleteManifest, RepositoryPlan, Untag
from shared.retention.report import Action, Outcome, Result

__all__ = ["Pause", "PlanApplication", "pause_of"]

_GONE: Final = frozenset({"done", "already_gone"})
_WAITS: Final = (1.0, 2.0, 4.0, 8.0)
_LONGEST_WAIT: Final = 30.0
_WAITING: Final = 3
"""Of each so many workers one more is hired: about so often one waits for a listing that others share."""
_FRESH_SECONDS: Final = 5.0
"""How old the last look may be when what it allowed is sent."""


class PlanApplication:
    """One plan being applied to one repository.

    ``record`` gets outcomes in batches, at least once a second while actions finish. ``earlier`` are
    outcomes of an invocation that did not come to the end; their actions are not repeated. When the registry
    is out, a ``patient`` application pauses; any other one reports what failed, and does not try the rest.
    """

    def __init__(
        self,
        plan: RepositoryPlan,
        registry: CleanedRegistry,
        *,
        record: Callable[[Sequence[Outcome]], object],
        earlier: Iterable[Outcome],
        clock: Callable[[], datetime],
        deadline: datetime,
        threads: int,
        patient: bool = False,
    ) -> None:
        self._plan = plan
        self._registry = registry
        self._record = record
        self._clock = clock
        self._deadline = deadline
        self._threads = threads
        self._patient = patient
        self._outages = Outages()
        self._untagged = frozenset(untag.digest for untag in plan.untag)
        self._results: dict[str, Result] = {}
        self._pause: Pause | None = None
        self._instead: Found | None = None
        self._arrivals = Arrivals(registry, plan)
        for outcome in earlier:
            self._results[outcome.target] = outcome.result

    def run(self) -> Pause | None:
        """Apply what is left of the plan; ``None`` when nothing is left, else why it stopped.

        Tags first; then manifests in waves, whatever holds something in an earlier wave than what it
        holds. Tags that are bound to a subject go with the manifest that they are on, so that no image loses
        its signature's tag unless the image itself is gone.

        :raises StewardError: when the repository cannot be looked at, before anything was done.
        """
        self._look_at_repository()
        free = [untag for untag in self._plan.untag if not is_bound(untag)]
        bound = [untag for untag in self._plan.untag if is_bound(untag)]
        workers = self._threads + self._threads // _WAITING
        with worker_pool(workers, "apply") as pool, worker_pool(LISTINGS, "arrivals") as listing:
            if self._threads > 1:
                self._arrivals = Arrivals(self._registry, self._plan, listing)
            self._each(pool, free, self._untag)
            for wave in waves(self._plan.delete):
                going = {deletion.digest for deletion in wave}
                self._each(pool, [untag for untag in bound if untag.digest in going], self._untag)
                self._each(pool, wave, self._delete)
            self._each(pool, bound, self._untag)
        return self._pause

    def _look_at_repository(self) -> None:
        """See that the repository is still there, and not locked since the plan."""
        try:
            if self._registry.repository_attributes(self._plan.repository).locked:
                self._instead = Found("locked", "the repository is locked")
        except NotFound:
            self._instead = Found("already_gone", "the repository does not exist any more")
        except RateLimited as error:
            self._pause = pause_of(error)
        except RegistryUnavailable as error:
            if not self._patient:
                raise
            self._pause = outage_pause(str(error))

    def _each[Planned: (Untag, DeleteManifest)](
        self, pool: ThreadPoolExecutor, actions: Iterable[Planned], act: Callable[[Planned], Outcome | None]
    ) -> None:
        """Run the action for each that has no outcome yet, as many at a time as there are threads."""
        under_way = InFlight(pool, act)
        left = (action for action in actions if name_of(action) not in self._results)
        batch = OutcomeBatch(self._record)
        try:
            for action in left:
                if self._stopped():
                    break
                under_way.begin(action)
                if len(under_way) >= 3 * self._threads:
                    self._collect(under_way.take(FLUSH_SECONDS), batch)
            while under_way:
                self._collect(under_way.take(FLUSH_SECONDS), batch)
            for failure in self._lone_failures():
                self._results[failure.target] = failure.result
                batch.add(failure)
        finally:
            batch.flush()

    def _lone_failures(self) -> list[Outcome]:
        """Return what failed while the registry answered others; what met an outage is left for later."""
        met = self._outages.take()
        doubtful = met and self._patient and self._pause is None and self._outages.going_on
        if doubtful and not self._answers():
            self._pause = outage_pause(met[-1].detail)
        return [] if self._pause is not None else met

    def _answers(self) -> bool:
        """Tell whether the registry answers anything at all."""
        try:
            self._registry.repository_attributes(self._plan.repository)
        except RegistryUnavailable:
            return False
        except StewardError:
            return True
        return True

    def _collect(self, outcomes: Iterable[Outcome | None], batch: OutcomeBatch) -> None:
        for outcome in outcomes:
            if outcome is not None:
                self._results[outcome.target] = outcome.result
                batch.add(outcome)
        batch.flush_if_due()

    def _stopped(self) -> bool:
        if self._pause is None and self._clock() >= self._deadline:
            self._pause = Pause(reason="the invocation's time is used up")
        return self._pause is not None

    def _untag(self, untag: Untag) -> Outcome | None:
        return self._outcome("untag", untag.tag, lambda: self._untag_now(untag))

    def _untag_now(self, untag: Untag) -> Found:
        return self._look_then(
            lambda: self._why_still_bound(untag) or why_tag_stays(self._registry, self._plan, untag),
            lambda: self._registry.untag(self._plan.repository, untag.tag),
        )

    def _why_still_bound(self, untag: Untag) -> Found | None:
        if untag.subject is not None and self._results.get(untag.subject) not in _GONE:
            return Found("reachable", f"its subject {untag.subject} stayed")
        if is_bound(untag) and (newcomer := self._arrivals.holder_of(untag.digest)) is not None:
            return Found("reachable", f"{newcomer} holds {untag.digest} since the plan")
        return None

    def _delete(self, deletion: DeleteManifest) -> Outcome | None:
        return self._outcome("delete", deletion.digest, lambda: self._delete_now(deletion))

    def _delete_now(self, deletion: DeleteManifest) -> Found:
        return self._look_then(
            lambda: self._why_still_held(deletion) or self._why_not_now(deletion),
            lambda: self._registry.delete_manifest(self._plan.repository, deletion.digest),
        )

    def _why_still_held(self, deletion: DeleteManifest) -> Found | None:
        for holder in deletion.held_by:
            if self._results.get(holder) not in _GONE:
                return Found("reachable", f"held by {holder}, which stayed")
        return None

    def _why_not_now(self, deletion: DeleteManifest) -> Found | None:
        """Look at the manifest, and at what came since the plan, at the same time."""
        newcomer = self._arrivals.ask(deletion.digest)
        stays = why_manifest_stays(self._registry, self._plan, deletion, untagged=self._untagged)
        holder = newcomer()
        return stays if holder is None else Found("reachable", f"{holder} holds it since the plan")

    def _look_then(self, look: Callable[[], Found | None], remove: Callable[[], bool]) -> Found:
        """Look, and remove what may go; look again whenever there was a wait between the two.

        So longer waits with a delete are not left to the transport (``delete_patience``).
        """
        for pause in (*_WAITS, None):
            looked = time.monotonic()
            stays = look()
            if stays is not None:
                return stays
            if time.monotonic() - looked > _FRESH_SECONDS:
                continue
            try:
                return Found("done" if remove() else "already_gone")
            except (RateLimited, RegistryUnavailable) as error:
                if not self._is_worth_waiting(error, pause):
                    raise
                sleep_counted(_wait_after(error, pause))
        raise RateLimited("too busy to look and to delete at once", registry=self._plan.registry)

    def _is_worth_waiting(self, error: RateLimited | RegistryUnavailable, pause: float | None) -> bool:
        """Tell whether there is a next time; not after a 500, which may go on in the background."""
        return (
            pause is not None
            and error.status != HTTPStatus.INTERNAL_SERVER_ERROR
            and _wait_after(error, pause) <= _LONGEST_WAIT
            and self._clock() < self._deadline
        )

    def _outcome(self, action: Action, target: TagName | Digest, act: Callable[[], Found]) -> Outcome | None:
        """Turn whatever happens into an outcome; ``None`` leaves the action for the next invocation."""
        if self._pause is not None:
            return None
        found = self._instead
        if found is None:
            try:
                found = act()
            except RateLimited as error:
                self._pause = pause_of(error)
                return None
            except RegistryUnavailable as error:
                self._meet(error, self._result(action, target, Found("failed", str(error))))
                return None
            except OperationDisallowed as error:
                found = Found("locked", str(error))
            except NotFound:
                found = Found("already_gone")
            except (AccessDenied, AuthenticationFailed) as error:
                self._instead = Found("skipped", f"not tried, since the registry refuses: {error}")
                found = Found("failed", str(error))
            except StewardError as error:
                found = Found("failed", str(error))
            self._outages.answered()
        return self._result(action, target, found)

    def _meet(self, error: RegistryUnavailable, failure: Outcome) -> None:
        """Note that there was no answer, and stop when the registry is out."""
        if self._outages.met(failure):
            if self._patient:
                self._pause = outage_pause(str(error))
            else:
                self._instead = Found("skipped", f"not tried, since the registry does not answer: {error}")

    def _result(self, action: Action, target: TagName | Digest, found: Found) -> Outcome:
        return Outcome(
            action=action, target=target, result=found.result, detail=found.detail, at=self._clock()
        )


def _wait_after(error: RateLimited | RegistryUnavailable, pause: float | None) -> float:
    stated = error.retry_after if isinstance(error, RateLimited) else None
    return max(pause or 0.0, stated or 0.0)
