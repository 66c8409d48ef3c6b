"""One source repository is compared with its targets; what differs is queued, and the rest is reported."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Final

from shared.errors import NotFound, StewardError
from shared.jobs.cleaning import Step
from shared.jobs.deferring import MOST_DEFERRALS, wait_of
from shared.jobs.mirroring import Mirror, refuse_mirroring
from shared.jobs.pausing import Pause
from shared.jobs.reconciling import LONGEST_RECONCILIATION
from shared.jobs.runs import read_run
from shared.jobs.services import Services
from shared.jobs.targets import TargetRepository
from shared.messages import ReconcileRepository, ReplicateTag
from shared.oci.names import Digest, TagName
from shared.policy import Policy
from shared.replication.drift import Comparison, Place, TagDrift, TargetListing
from shared.replication.mirror import MirrorOutcome, MirrorResult
from shared.retention.bound import bound_subject
from shared.storage.runs import Part

_BATCH: Final = 100
_FULL: Final = 1000
"""How many tags may wait to be replicated; a comparison that would add to them waits, so that pushes do not
stand in line behind a backfill."""

_WHEN_FULL: Final = Pause(reason=f"{_FULL} tags wait to be replicated", delay=60.0)
_REPORTED: Final = 10_000


def compare_repository(
    services: Services, message: ReconcileRepository, *, clock: Callable[[], datetime]
) -> Step:
    """Carry out one message, or as much of it as there is time and room for; the rest goes on later.

    :raises StewardError: of a temporary kind.
    """
    part = Part(run=message.run, registry=message.registry, repository=message.repository)
    if services.runs.read_report(part) is not None:
        return Step(part=part, step="finished before")
    work = _RepositoryComparison(services, message, part, clock)
    try:
        return work.run()
    except StewardError as error:
        wait = wait_of(error, deferrals=message.deferrals)
        if wait is not None and message.deferrals < MOST_DEFERRALS:
            return work.go_on_later(Pause(reason=str(error), delay=wait), deferrals=message.deferrals + 1)
        if wait is None and error.temporary:
            raise
        fail_comparison(services, part, str(error), now=clock())
        return Step(part=part, step="failed", detail=str(error))


def fail_comparison(services: Services, part: Part, reason: str, *, now: datetime) -> None:
    """Finish the repository of a reconciliation as failed, unless it has a report."""
    if services.runs.read_report(part) is None:
        document = {"kind": "drift", "failed": reason, "finished": now.isoformat()}
        services.runs.save_report(part, document, {"failures": 1})


class _RepositoryComparison:
    """One message being carried out."""

    def __init__(
        self,
        services: Services,
        message: ReconcileRepository,
        part: Part,
        clock: Callable[[], datetime],
    ) -> None:
        self._services = services
        self._message = message
        self._part = part
        self._clock = clock
        self._deadline = clock() + timedelta(seconds=services.settings.invocation_seconds)
        self._after = message.after
        self._log = services.runs.outcomes(part)
        self._problems: list[str] = []

    def run(self) -> Step:
        """Compare, queue, mirror, report."""
        run = read_run(self._services, self._message.run)
        if run is not None and self._clock() - run.started > LONGEST_RECONCILIATION:
            fail_comparison(self._services, self._part, "not finished within a day", now=self._clock())
            return Step(part=self._part, step="failed", detail="not finished within a day")
        if run is not None and run.kind == "reconciliation" and self._is_full():  # before anything is listed
            return self.go_on_later(_WHEN_FULL, deferrals=self._message.deferrals)
        policy = self._services.policy.current()
        tags = self._source_tags()
        comparison = Comparison(self._part.registry, self._part.repository, tags, policy.replication)
        listings = self._listings(comparison, policy)
        pause = self._queue(comparison.behind(listings))
        if pause is not None:
            return self.go_on_later(pause, deferrals=0)
        extra = [each for each in comparison.surplus(listings) if not _is_of_a_registry(each)]
        pause = self._mirror([each for each in extra if each.state == "orphaned" and each.mirror], listings)
        if pause is not None:
            return self.go_on_later(pause, deferrals=0)
        return self._finish(comparison, listings, extra)

    def go_on_later(self, pause: Pause, *, deferrals: int) -> Step:
        """Leave the rest to a later invocation."""
        self._services.cleanup_queue.send(
            replace(self._message, after=self._after, deferrals=deferrals), delay=pause.delay
        )
        return Step(part=self._part, step="paused", detail=pause.reason)

    def _source_tags(self) -> dict[TagName, Digest]:
        """Return the source's tags; none when the repository is gone."""
        acr = self._services.registries.source(self._part.registry)
        try:
            return {tag.name: tag.digest for tag in acr.list_tag_records(self._part.repository)}
        except NotFound:
            return {}

    def _listings(self, comparison: Comparison, policy: Policy) -> dict[Place, TargetListing]:
        """List the targets of now, and those of before where a route still goes to their registry.

        One that cannot be listed is a problem of the report, and the others are compared.
        """
        wanted = comparison.places
        registries = {
            template.registry
            for route in policy.replication.routes
            if route.source.covers(self._part.registry, self._part.repository)
            for template in route.targets
        }
        for place in self._services.ledger.targets_of(self._part.registry, self._part.repository):
            if place[0] in registries:
                wanted.setdefault(place, set())
        found: dict[Place, TargetListing] = {}
        for place, tags in wanted.items():
            try:
                replicas = self._services.ledger.replicas(*place)
                listed = TargetRepository(self._services, *place).digests(tags)
            except StewardError as error:
                if error.temporary or wait_of(error, deferrals=0) is not None:
                    raise
                self._problems.append(f"{'/'.join(place)} could not be listed: {error}")
            else:
                found[place] = TargetListing(tags=listed, replicas=replicas)
        return found

    def _queue(self, behind: Iterator[TagDrift]) -> Pause | None:
        """Queue what has to be copied; ``None`` when all of it is, else why it stopped."""
        sent: list[dict[str, Any]] = []
        done = 0
        try:
            for tag, differences in groupby(behind, key=lambda each: each.source and each.source.tag):
                if tag is None or (self._after is not None and tag <= self._after):
                    continue
                if self._clock() >= self._deadline:
                    return Pause(reason="the invocation's time is used up")
                if done % _BATCH == 0 and self._is_full():
                    return _WHEN_FULL
                for drift in differences:
                    self._send(drift)
                    sent.append(drift.to_json())
                self._after = tag
                done += 1
        finally:
            self._log.append(sent)
        return None

    def _is_full(self) -> bool:
        return self._services.replication_queue.length() >= _FULL

    def _send(self, drift: TagDrift) -> None:
        if drift.source is not None and drift.route is not None:
            self._services.replication_queue.send(
                ReplicateTag(
                    run=self._message.run,
                    route=drift.route,
                    source=drift.source,
                    target=drift.target,
                    digest=drift.wanted,
                )
            )

    def _mirror(self, orphaned: Sequence[TagDrift], listings: dict[Place, TargetListing]) -> Pause | None:
        """Remove what is orphaned, or say why it stays; ``None`` when that is done."""
        refused = refuse_mirroring(self._services, orphaned, listings)
        mirror = Mirror(self._services, self._part.registry, self._clock())
        outcomes: list[MirrorOutcome] = []
        try:
            for drift in orphaned:
                if self._clock() >= self._deadline:
                    return Pause(reason="the invocation's time is used up")
                refusal = refused.get((drift.target.registry, drift.target.repository))
                if self._services.settings.cleanup_mode != "apply":
                    outcome = self._kept(drift, "would_remove", "deleting is not switched on")
                elif refusal is not None:
                    outcome = self._kept(drift, "refused", str(refusal))
                else:
                    outcome = mirror.remove(drift)
                outcomes.append(outcome)
        finally:
            self._log.append(outcome.to_json() for outcome in outcomes)
        return None

    def _kept(self, drift: TagDrift, result: MirrorResult, detail: str) -> MirrorOutcome:
        return MirrorOutcome(target=drift.target, result=result, detail=detail, at=self._clock())

    def _finish(
        self, comparison: Comparison, listings: Mapping[Place, TargetListing], extra: Sequence[TagDrift]
    ) -> Step:
        lines = list(self._log.read())
        queued = {line["target"]: line for line in lines if "state" in line}
        mirrored = {line["target"]: line for line in lines if "result" in line}
        nameless = comparison.unmappable
        counts = _counts(comparison.compared(listings), queued, mirrored, extra)
        counts["failures"] = len(self._problems)
        if nameless:
            counts["unmappable"] = len(nameless)
        document = {
            "kind": "drift",
            "finished": self._clock().isoformat(),
            "counts": counts,
            "queued": list(queued.values())[:_REPORTED],
            "extra": [each.to_json() for each in extra][:_REPORTED],
            "mirrored": list(mirrored.values())[:_REPORTED],
            "unmappable": [each.to_json() for each in nameless[:_REPORTED]],
            "problems": self._problems,
        }
        self._services.runs.save_report(self._part, document, counts)
        return Step(
            part=self._part,
            step="compared",
            detail=", ".join(f"{count} {name}" for name, count in counts.items() if count),
        )


def _counts(
    compared: int,
    queued: Mapping[str, Mapping[str, Any]],
    mirrored: Mapping[str, Mapping[str, Any]],
    extra: Sequence[TagDrift],
) -> dict[str, int]:
    found: Counter[str] = Counter(compared=compared, queued=len(queued))
    found["in_step"] = max(0, compared - len(queued))
    found.update(str(line["state"]) for line in queued.values())
    found.update(each.state for each in extra)
    found.update(str(line["result"]) for line in mirrored.values())
    return dict(found)


def _is_of_a_registry(drift: TagDrift) -> bool:
    """Tell whether a foreign tag only lists referrers or holds a signature: nobody put an image there."""
    return drift.state == "foreign" and bound_subject(TagName(drift.target.tag or "")) is not None
