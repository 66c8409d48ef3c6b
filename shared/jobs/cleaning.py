"""One repository of a run: planned by one message, and by a later one cleaned as planned."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shared.errors import InvalidMessage, NotFound, RateLimited, StewardError
from shared.jobs.applying import Pause, PlanApplication, pause_of
from shared.jobs.cleaned import cleaned_registry, known_edges
from shared.jobs.delivery import FIRST, Delivery
from shared.jobs.reading_ahead import read_ahead
from shared.jobs.runs import Run, advance, read_run
from shared.jobs.services import Services
from shared.logs import log
from shared.messages import ApplyPlan, PlanRepository, parse_message
from shared.metrics import count_repository
from shared.oci.graph import Edges
from shared.oci.names import DOCKER_HUB, Digest, TagName
from shared.render import plan_from_json, plan_to_json, report_to_json
from shared.retention.explicit import rules_for
from shared.retention.plan import RepositoryPlan, check_limits, plan_repository
from shared.retention.report import Action, Outcome, RepositoryReport, count_results
from shared.retention.snapshot import RepositorySnapshot
from shared.storage.runs import Part

logger = logging.getLogger("steward.cleaning")

_LONGEST_APPLICATION: Final = 200
"""How many invocations may work on one plan; at 20 minutes each, no honest plan needs more."""

_FRESH: Final = timedelta(hours=24)
"""A plan older than this is not carried out: too much may have changed in the registry since."""


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

    Errors that another try may cure are raised, so that the queue delivers again; all others are
    recorded as the repository's report, and the run goes on without it.

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
    if services.runs.read_report(part) is not None:
        advance(services, run, now=clock())
        return Step(part=part, step="finished before")
    try:
        if isinstance(message, PlanRepository):
            step = _plan(services, run, part, clock)
        else:
            step = _apply(services, run, part, message, clock, delivery=delivery)
    except StewardError as error:
        if error.temporary:
            raise
        _fail(services, part, str(error), clock())
        step = Step(part=part, step="failed", detail=str(error))
    advance(services, run, now=clock())
    return step


def record_failed_repository(
    services: Services, message: PlanRepository | ApplyPlan, reason: str, *, now: datetime
) -> None:
    """Finish a repository as failed, unless it has a report, and let its run go on without it."""
    run = read_run(services, message.run)
    if run is None:
        return
    part = run.part(message.registry, message.repository)
    if services.runs.read_report(part) is None:
        _fail(services, part, reason, now)
    advance(services, run, now=now)


def _plan(services: Services, run: Run, part: Part, clock: Callable[[], datetime]) -> Step:
    """Save the repository's plan; one that an earlier delivery saved is taken as it is."""
    started = clock()
    document = services.runs.read_plan(part)
    if document is not None:
        plan = plan_from_json(document)
    else:
        found = _make_plan(services, run, part, clock)
        if found is None:
            _fail(services, part, "the repository does not exist any more", started)
            return Step(part=part, step="gone")
        if isinstance(found, Pause):
            return _plan_later(services, run, part, found, now=clock())
        plan = found
        services.runs.save_plan(part, plan_to_json(plan), plan.counts)
    if run.mode == "plan" or plan.refused is not None or plan.is_empty:
        _finish(services, run, part, plan, (), now=clock())
    step = Step(part=part, step="planned", detail="" if plan.refused is None else str(plan.refused))
    if plan.refused is not None:
        log(logger, "repository refused by a limit", step.log_fields(), level=logging.WARNING)
    return step


def _make_plan(
    services: Services, run: Run, part: Part, clock: Callable[[], datetime]
) -> RepositoryPlan | Pause | None:
    """Return what is to happen to the repository as it is now, ``None`` when it does not exist."""
    started = clock()
    policy = services.policy.current()
    rules = rules_for(policy.retention, part.registry)
    retention = rules.on_push() if run.kind == "push" else rules
    try:
        snapshot = _look(services, part, clock, started + _length(services))
    except NotFound:
        return None
    except RateLimited as error:
        return pause_of(error)
    if isinstance(snapshot, Pause):
        return snapshot
    return check_limits(plan_repository(snapshot, retention, now=started), retention.limits)


def _look(
    services: Services, part: Part, clock: Callable[[], datetime], deadline: datetime
) -> RepositorySnapshot | Pause:
    """Take a snapshot, reading only the bodies that no earlier run, or invocation, has read."""
    known = known_edges(services, part.registry, part.repository)
    registry = cleaned_registry(services, part.registry)

    def save(edges: Mapping[Digest, Edges]) -> None:
        services.edges.save(part.registry, part.repository, edges)

    if part.registry != DOCKER_HUB:  # replicas are smaller, and their sources' bodies are known
        pause = read_ahead(
            registry,
            part.repository,
            known,
            save=save,
            clock=clock,
            deadline=deadline,
            threads=services.settings.registry_threads,
        )
        if pause is not None:
            return pause
    snapshot = registry.snapshot(part.repository, edges_known=known)
    if snapshot.edges.keys() != known.keys():
        save(snapshot.edges)
    return snapshot


def _plan_later(services: Services, run: Run, part: Part, pause: Pause, *, now: datetime) -> Step:
    if now - run.started > _FRESH:
        _fail(services, part, f"not read within {_FRESH.days} day: {pause.reason}", now)
        return Step(part=part, step="failed", detail=pause.reason)
    message = PlanRepository(run=part.run, registry=part.registry, repository=part.repository)
    services.cleanup_queue.send(message, delay=pause.delay)
    return Step(part=part, step="paused", detail=pause.reason)


def _apply(
    services: Services,
    run: Run,
    part: Part,
    message: ApplyPlan,
    clock: Callable[[], datetime],
    *,
    delivery: Delivery,
) -> Step:
    document = services.runs.read_plan(part)
    if document is None:
        raise InvalidMessage(f"run {run.name} has no plan for {part.registry}/{part.repository}")
    plan = plan_from_json(document)
    now = clock()
    recorded = services.runs.outcomes(part)
    earlier = [Outcome.from_json(line) for line in recorded.read()]
    if run.mode != "apply" or services.settings.cleanup_mode != "apply" or plan.refused is not None:
        _finish(services, run, part, plan, earlier, now=now)
        why = "deleting is not switched on" if plan.refused is None else str(plan.refused)
        return Step(part=part, step="left alone", detail=why)
    outdated = _why_outdated(services, plan, message, now)
    if outdated is not None:
        _fail(services, part, outdated, now)
        return Step(part=part, step="failed", detail=outdated)
    if delivery.is_worn(earlier):
        return _continue(services, part, message, Pause(reason="workers died, and each got further"))
    pause = PlanApplication(
        plan,
        cleaned_registry(services, part.registry),
        record=lambda batch: recorded.append(outcome.to_json() for outcome in batch),
        earlier=earlier,
        clock=clock,
        deadline=now + _length(services),
        threads=services.settings.registry_threads,
    ).run()
    if pause is not None:
        return _continue(services, part, message, pause)
    outcomes = [Outcome.from_json(line) for line in recorded.read()]
    _finish(services, run, part, plan, outcomes, now=clock())
    return Step(part=part, step="applied", detail=f"{len(_settled(outcomes))} actions")


def _length(services: Services) -> timedelta:
    return timedelta(seconds=services.settings.invocation_seconds)


def _why_outdated(services: Services, plan: RepositoryPlan, message: ApplyPlan, now: datetime) -> str | None:
    """Return why the plan may not be carried out any more, or ``None``."""
    if now - plan.at > _FRESH:
        return f"the plan of {plan.at:%Y-%m-%d %H:%M} UTC is too old to carry out"
    if message.continuation > _LONGEST_APPLICATION:
        return f"given up after {message.continuation} invocations"
    if services.policy.current().digest != plan.policy_digest:
        return "the policy changed after the plan was made"
    return None


def _continue(services: Services, part: Part, message: ApplyPlan, pause: Pause) -> Step:
    services.cleanup_queue.send(
        ApplyPlan(
            run=message.run,
            registry=message.registry,
            repository=message.repository,
            continuation=message.continuation + 1,
        ),
        delay=pause.delay,
    )
    return Step(part=part, step="paused", detail=pause.reason)


def _finish(
    services: Services,
    run: Run,
    part: Part,
    plan: RepositoryPlan,
    outcomes: Sequence[Outcome],
    *,
    now: datetime,
) -> None:
    report = RepositoryReport(
        plan=plan, mode=run.mode, started=plan.at, finished=now, outcomes=_settled(outcomes)
    )
    services.runs.save_report(part, report_to_json(report), report.counts)
    count_repository(part.registry, report.counts)


def _settled(outcomes: Iterable[Outcome]) -> tuple[Outcome, ...]:
    """Return one outcome for each action: the last, unless that only found what another had removed.

    A message that is delivered twice may be worked on twice at once, and each finds what the other did.
    """
    found: dict[tuple[Action, TagName | Digest], Outcome] = {}
    for outcome in outcomes:
        key = (outcome.action, outcome.target)
        if outcome.result != "already_gone" or key not in found or found[key].result != "done":
            found[key] = outcome
    return tuple(found.values())


def _fail(services: Services, part: Part, reason: str, now: datetime) -> None:
    """Finish the repository without success; its plan and outcomes, if there are any, stay as they are."""
    outcomes = list(services.runs.outcomes(part).read())
    document = {
        "failed": reason,
        "finished": now.isoformat(),
        "plan": services.runs.read_plan(part),
        "outcomes": outcomes,
    }
    counts = count_results(_settled(map(Outcome.from_json, outcomes)))
    services.runs.save_report(part, document, {**counts, "failures": 1})
