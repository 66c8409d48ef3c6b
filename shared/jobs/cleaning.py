"""One repository of a run: planned by one message, and by a later one cleaned as planned."""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from shared.errors import InvalidMessage, NotFound, StewardError, StorageError
from shared.jobs.advancing import repository_finished, repository_planned
from shared.jobs.applying import PlanApplication
from shared.jobs.cleaned import cleaned_registry
from shared.jobs.deferring import MOST_DEFERRALS, wait_of
from shared.jobs.delivery import FIRST, Delivery
from shared.jobs.looking import look_at
from shared.jobs.pausing import Pause
from shared.jobs.reporting import fail_repository, finish_repository, settled
from shared.jobs.runs import Run, read_run
from shared.jobs.services import Services
from shared.logs import log
from shared.messages import ApplyPlan, PlanRepository, parse_message
from shared.metrics import count_traffic
from shared.registry.counting import Tally, counted
from shared.render import plan_from_json, plan_to_json
from shared.retention.explicit import rules_for
from shared.retention.plan import RepositoryPlan, plan_within_limits
from shared.retention.report import Outcome
from shared.retention.rules import RetentionPolicy
from shared.storage.runs import Document, Part

logger = logging.getLogger("steward.cleaning")

_LONGEST_APPLICATION: Final = 200
"""How many invocations may work on one plan; at 20 minutes each, no honest plan needs more."""

_LONGEST_OUTAGE: Final = 6
"""How many invocations in a row a registry may be out for; with the waits doubling, that is two hours."""

_FRESH: Final = timedelta(hours=24)
"""A plan older than this is not carried out: too much may have changed in the registry since."""

_LONGEST_PLANNING: Final = _FRESH / 2
"""How long a run waits for the plan of one repository: the plans of all others wait, too, and grow old."""

PAUSED: Final = "paused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one message came to."""

    part: Part
    step: str
    detail: str = ""

    def log_fields(self) -> dict[str, object]:
        """Return the fields of a structured log line."""
        return {
            "run": self.part.run,
            "registry": self.part.registry,
            "repository": self.part.repository,
            "step": self.step,
            "detail": self.detail,
        }


def clean(
    services: Services, body: bytes, *, clock: Callable[[], datetime], delivery: Delivery = FIRST
) -> Step:
    """Carry out one message.

    What a registry wants to be asked later goes back to the queue with that delay. Other errors that another
    try may cure are raised, so that the queue delivers again; all others are recorded as the repository's
    report, and the run goes on without it.

    :raises InvalidMessage: when the body is no message of ours, or of a run that was never opened.
    :raises StewardError: of a temporary kind.
    """
    message = parse_message(body)
    if not isinstance(message, PlanRepository | ApplyPlan):
        raise InvalidMessage(f"kind: {message.kind!r} does not belong in the cleanup queue")
    run = read_run(services, message.run)
    if run is None:
        raise InvalidMessage(f"run: {message.run!r} was never opened")
    part = run.part(message.registry, message.repository)
    report = services.runs.read_report(part)
    if report is not None:
        _move_on(services, run, part, message, _rules_in(report), now=clock())
        return Step(part=part, step="finished before")
    with counted() as tally:
        work = _Cleaning(services, run, part, clock=clock, tally=tally)
        try:
            if isinstance(message, PlanRepository):
                step = work.plan(message)
            else:
                step = work.apply(message, delivery)
        except StewardError as error:
            step = work.settle(error, message)
        finally:
            work.note_traffic()
    if step.step != PAUSED:
        _move_on(services, run, part, message, work.rules, now=clock())
    return step


def record_failed_repository(
    services: Services, message: PlanRepository | ApplyPlan, reason: str, *, now: datetime
) -> None:
    """Finish a repository as failed, unless it has a report, and let its run go on without it."""
    run = read_run(services, message.run)
    if run is None:
        return
    part = run.part(message.registry, message.repository)
    report = services.runs.read_report(part)
    if report is None:
        fail_repository(services, part, reason, now=now)
    _move_on(services, run, part, message, _rules_in(report or {}), now=now)


def _move_on(
    services: Services,
    run: Run,
    part: Part,
    message: PlanRepository | ApplyPlan,
    rules: tuple[str, ...],
    *,
    now: datetime,
) -> None:
    if isinstance(message, PlanRepository):
        repository_planned(services, run, part, rules=rules, now=now)
    else:
        repository_finished(services, run, part, now=now)


def _rules_in(report: Document) -> tuple[str, ...]:
    return tuple((report.get("plan") or {}).get("rules_matched", ()))


class _Cleaning:
    """One message being carried out; ``rules`` are those that matched something, once that is known."""

    def __init__(
        self,
        services: Services,
        run: Run,
        part: Part,
        *,
        clock: Callable[[], datetime],
        tally: Tally,
    ) -> None:
        self._services = services
        self._run = run
        self._part = part
        self._clock = clock
        self._deadline = clock() + timedelta(seconds=services.settings.invocation_seconds)
        self._tally = tally
        self._is_reported = False
        self.rules: tuple[str, ...] = ()

    def plan(self, message: PlanRepository) -> Step:
        """Save the repository's plan; one that an earlier delivery saved is taken as it is."""
        document = self._services.runs.read_plan(self._part)
        if document is not None:
            plan = plan_from_json(document)
        else:
            started, retention = self._clock(), self._retention()
            try:
                snapshot = look_at(self._services, self._part, clock=self._clock, deadline=self._deadline)
            except NotFound:
                return self._fail("the repository does not exist any more", step="gone")
            if isinstance(snapshot, Pause):
                return self._plan_later(message, snapshot, deferrals=0)
            plan = plan_within_limits(snapshot, retention, now=started)
            plan = replace(plan, warnings=(*plan.warnings, *self._run.warnings_about(self._part.registry)))
            self._services.runs.save_plan(self._part, plan_to_json(plan), plan.counts)
        self.rules = plan.rules_matched
        if self._run.mode == "plan" or plan.refused is not None or plan.is_empty:
            self._finish(plan, ())
        step = self._step("planned", str(plan.refused or plan.postponed or ""))
        if plan.refused is not None:
            log(logger, "repository refused by a limit", step.log_fields(), level=logging.WARNING)
        return step

    def apply(self, message: ApplyPlan, delivery: Delivery) -> Step:
        """Carry out the plan, or what is left of it."""
        services, run, part = self._services, self._run, self._part
        document = services.runs.read_plan(part)
        if document is None:
            raise InvalidMessage(f"run {run.name} has no plan for {part.registry}/{part.repository}")
        plan = plan_from_json(document)
        recorded = services.runs.outcomes(part)
        earlier = [Outcome.from_json(line) for line in recorded.read()]
        if run.mode != "apply" or services.settings.cleanup_mode != "apply" or plan.refused is not None:
            self._finish(plan, earlier)
            return self._step("left alone", str(plan.refused or "deleting is not switched on"))
        outdated = self._why_outdated(plan, message)
        if outdated is not None:
            return self._fail(outdated)
        if delivery.is_worn(earlier):
            died = Pause(reason="workers died, and each got further")
            return self._apply_later(message, died, got_on=True)
        pause = PlanApplication(
            plan,
            cleaned_registry(services, part.registry),
            record=lambda batch: recorded.append(outcome.to_json() for outcome in batch),
            earlier=earlier,
            clock=self._clock,
            deadline=self._deadline,
            threads=services.settings.registry_threads,
            patient=message.outages < _LONGEST_OUTAGE,
        ).run()
        outcomes = [Outcome.from_json(line) for line in recorded.read()]
        if pause is not None:
            return self._apply_later(message, pause, got_on=len(outcomes) > len(earlier))
        self._finish(plan, outcomes)
        return self._step("applied", f"{len(settled(outcomes))} actions")

    def settle(self, error: StewardError, message: PlanRepository | ApplyPlan) -> Step:
        """Defer what a registry wants to be asked later, record what no other try cures, raise the rest."""
        wait = None
        if isinstance(message, PlanRepository):
            wait = wait_of(error, deferrals=message.deferrals)
            if wait is not None and message.deferrals < MOST_DEFERRALS:
                pause = Pause(reason=str(error), delay=wait)
                return self._plan_later(message, pause, deferrals=message.deferrals + 1)
        if wait is None and error.temporary:
            raise error
        return self._fail(str(error) if wait is None else f"given up after {MOST_DEFERRALS} waits: {error}")

    def note_traffic(self) -> None:
        """Count what was asked of the registry, and keep it for the report if that is still to come."""
        traffic = self._tally.traffic
        count_traffic(self._part.registry, traffic)
        if traffic.requests and not self._is_reported:
            with suppress(StorageError):
                self._services.runs.traffic(self._part).append([traffic.to_json()])

    def _retention(self) -> RetentionPolicy:
        """Return the policy as it is for this registry and this kind of run."""
        rules = rules_for(self._services.policy.current().retention, self._part.registry)
        return rules.on_push() if self._run.kind == "push" else rules

    def _why_outdated(self, plan: RepositoryPlan, message: ApplyPlan) -> str | None:
        """Return why the plan may not be carried out any more, or ``None``."""
        if self._clock() - plan.at > _FRESH:
            return f"the plan of {plan.at:%Y-%m-%d %H:%M} UTC is too old to carry out"
        if message.continuation > _LONGEST_APPLICATION:
            return f"given up after {message.continuation} invocations"
        if self._services.policy.current().digest != plan.policy_digest:
            return "the policy changed after the plan was made"
        return None

    def _plan_later(self, message: PlanRepository, pause: Pause, *, deferrals: int) -> Step:
        until = self._clock() + timedelta(seconds=pause.delay)
        if until - self._run.started > _LONGEST_PLANNING:
            return self._fail(f"not to be read before {until:%Y-%m-%d %H:%M} UTC: {pause.reason}")
        self._services.cleanup_queue.send(replace(message, deferrals=deferrals), delay=pause.delay)
        return self._step(PAUSED, pause.reason)

    def _apply_later(self, message: ApplyPlan, pause: Pause, *, got_on: bool) -> Step:
        """Leave the rest to a later invocation; a registry that stays out is waited for longer each time."""
        outages = (0 if got_on else message.outages) + 1 if pause.outage else 0
        following = replace(message, continuation=message.continuation + 1, outages=outages)
        delay = pause.delay * 2 ** (outages - 1) if pause.outage else pause.delay
        self._services.cleanup_queue.send(following, delay=delay)
        return self._step(PAUSED, pause.reason)

    def _finish(self, plan: RepositoryPlan, outcomes: Sequence[Outcome]) -> None:
        finish_repository(
            self._services,
            self._part,
            plan,
            outcomes,
            mode=self._run.mode,
            now=self._clock(),
            traffic=self._tally.traffic,
        )
        self._is_reported = True

    def _fail(self, reason: str, *, step: str = "failed") -> Step:
        fail_repository(self._services, self._part, reason, now=self._clock(), traffic=self._tally.traffic)
        self._is_reported = True
        return self._step(step, reason)

    def _step(self, step: str, detail: str) -> Step:
        return Step(part=self._part, step=step, detail=detail)
