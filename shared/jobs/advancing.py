"""How a run moves on: from planning to applying, and to its end.

When all repositories are planned, or failed, the limits and caps of the whole run are looked at, once, and
the plans are applied by one message each. Whoever gets a repository on notes that in a log, and asks then how
many notes there are: only the last ones look at the whole run, so that a run of thousands of repositories is
not listed thousands of times. A note may stand there twice, and then somebody looks too early; none is ever
missing, because a message is done with only when its note is written. Of those that see enough notes, the one
whose note is the last queues the plans, so that they are queued once; if it dies, its message comes again.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import uuid4

from shared.errors import InvalidMessage, InvalidPolicy
from shared.jobs.reporting import finish_repository
from shared.jobs.runs import Run
from shared.jobs.services import Services
from shared.logs import log
from shared.messages import ApplyPlan
from shared.oci.names import LoginServer, RepositoryName
from shared.render import plan_from_json
from shared.retention.caps import within_run
from shared.retention.idle import describe_idle_rules
from shared.retention.limits import check_run_limits
from shared.retention.portion import postpone
from shared.retention.report import add_counts, postponed_in, traffic_in
from shared.storage.runs import Document, Part, PartCounts

logger = logging.getLogger("steward.runs")

type _Place = tuple[LoginServer, RepositoryName]
type _Counts = Mapping[_Place, Mapping[str, int]]


def repository_planned(
    services: Services, run: Run, part: Part, *, rules: Sequence[str], now: datetime
) -> None:
    """Note that the repository is planned, or failed; take the run's next step if it was the last one.

    ``rules`` are those that matched something there.
    """
    note = _Note(services, run, part, "planned", rules)
    if note.count() >= len(run.repositories) and note.is_last():
        leave_planning(services, run, now=now)


def repository_finished(services: Services, run: Run, part: Part, *, now: datetime) -> None:
    """Note that the repository's plan was carried out, or given up; end the run if it was the last one."""
    noted = _Note(services, run, part, "finished").count()
    left = services.runs.read_applying(run.name)
    if left is not None and noted >= len(run.repositories) + int(left.get("queued", 0)):
        _end(services, run, _look(services, run), left["refused"], now=now)


def leave_planning(services: Services, run: Run, *, now: datetime) -> None:
    """If every repository is planned or failed, queue the plans in apply mode; end what has nothing to do.

    The mode is the run's: where deleting was switched off since, each plan ends by itself, and so does the
    run. The second look is for those that finish before it is noted how many are waited for.
    """
    found = _look(services, run)
    if not found.is_planned:
        return
    refused = None
    if run.mode == "apply":
        refused = _start_applying(services, run, found, now=now)
        found = _look(services, run)
    _end(services, run, found, refused, now=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """How far a run is: the counts of its plans and of its reports."""

    run: Run
    plans: _Counts
    reports: _Counts

    @property
    def is_planned(self) -> bool:
        return all(place in self.plans or place in self.reports for place in self.run.repositories)

    @property
    def missing(self) -> int:
        return sum(place not in self.reports for place in self.run.repositories)

    @property
    def removals(self) -> dict[_Place, int]:
        """Return how much each plan removes that is not refused and removes anything."""
        found = {
            place: counts.get("untag", 0) + counts.get("delete", 0)
            for place, counts in self.plans.items()
            if not counts.get("refused")
        }
        return {place: count for place, count in found.items() if count}


class _Note:
    """One line in the run's log of how far its repositories are."""

    def __init__(
        self,
        services: Services,
        run: Run,
        part: Part,
        step: Literal["planned", "finished"],
        rules: Sequence[str] = (),
    ) -> None:
        self._log = services.runs.progress(run.name)
        self._name = uuid4().hex
        line = {"registry": part.registry, "repository": part.repository, "step": step, "rules": list(rules)}
        self._log.append([{**line, "note": self._name}])

    def count(self) -> int:
        """Return how many notes there are, this one among them."""
        return self._log.count_blocks()

    def is_last(self) -> bool:
        """Tell whether no other note came after this one: of several at the same time, one is."""
        *_, last = self._log.read()
        return bool(last.get("note") == self._name)


def _look(services: Services, run: Run) -> _Found:
    return _Found(
        run=run,
        plans=_by_place(services.runs.list_plans(run.name)),
        reports=_by_place(services.runs.list_reports(run.name)),
    )


def _by_place(found: Iterable[PartCounts]) -> _Counts:
    return {(each.registry, each.repository): each.counts for each in found}


def _start_applying(services: Services, run: Run, found: _Found, *, now: datetime) -> Document | None:
    """Queue the plans, unless that was done before, and return why they are refused, if they are.

    What a cap leaves for the next run gets its report before anything is queued: whoever finishes the last
    plan must find it.
    """
    left = services.runs.read_applying(run.name)
    if left is not None:
        before: Document | None = left["refused"]
        return before
    refused, most = _judge(services, found)
    queued = 0
    if refused is None:
        waiting = [place for place in run.repositories if place in found.plans and place not in found.reports]
        postponed = found.removals.keys() - within_run(found.removals, most)
        for place in waiting:
            if place in postponed and most is not None:
                _postpone(services, run, run.part(*place), most, now=now)
        for registry, repository in waiting:
            if (registry, repository) not in postponed:
                services.cleanup_queue.send(ApplyPlan(run=run.name, registry=registry, repository=repository))
                queued += 1
    else:
        fields = {"run": run.name, "refused": refused["message"]}
        log(logger, "run refused by a limit", fields, level=logging.WARNING)
        services.notices.publish("RunRefused", run.name, {"refused": refused})
    services.runs.mark_applying(run.name, {"refused": refused, "queued": queued})
    services.notices.publish("PlanReady", run.name, {"planned": add_counts(found.plans.values())})
    return refused


def _judge(services: Services, found: _Found) -> tuple[Document | None, int | None]:
    """Return why the run's limits refuse it, if they do, and how much it removes at most.

    Without a policy there are no limits to check: then nothing is removed.
    """
    try:
        retention = services.policy.current().retention
    except InvalidPolicy as error:
        return {"message": str(error)}, None
    refusal = check_run_limits(found.plans.values(), retention.limits.run)
    return None if refusal is None else refusal.to_json(), retention.at_most.run


def _postpone(services: Services, run: Run, part: Part, most: int, *, now: datetime) -> None:
    document = services.runs.read_plan(part)
    if document is None:
        raise InvalidMessage(f"run {run.name} has no plan for {part.registry}/{part.repository}")
    plan = postpone(plan_from_json(document), most)
    finish_repository(services, part, plan, (), mode=run.mode, now=now)


def _end(services: Services, run: Run, found: _Found, refused: Document | None, *, now: datetime) -> None:
    """Save the run's summary, and say so once, if it is refused or every repository has its report."""
    if refused is None and found.missing:
        return
    if services.runs.read_finished(run.name) is not None:
        return
    counts = add_counts(found.reports.values())
    summary = {
        "kind": run.kind,
        "mode": run.mode,
        "started": run.started.isoformat(),
        "finished": now.isoformat(),
        "seconds": (now - run.started).total_seconds(),
        "repositories": len(run.repositories),
        "missing": found.missing,
        "refused": refused,
        "done": counts,
        "postponed": postponed_in(found.reports.values()),
        "traffic": traffic_in(counts),
        "problems": list(run.problems),
        "warnings": [*run.warnings, *_idle_rules(services, run)],
    }
    if services.runs.finish_run(run.name, summary):
        log(logger, "run finished", {"run": run.name, **summary})
        services.notices.publish("RunFinished", run.name, summary)


def _idle_rules(services: Services, run: Run) -> tuple[str, ...]:
    """Return what is to be said of rules that matched nothing all night, under the policy of the run."""
    try:
        policy = services.policy.current()
    except InvalidPolicy:
        return ()
    if run.kind != "night" or policy.digest != run.policy_digest:
        return ()
    matched = {str(rule) for line in services.runs.progress(run.name).read() for rule in line["rules"]}
    return describe_idle_rules(policy.retention, matched, run.repositories)
