"""How one repository of a run ends: its report, with all that its invocations did and asked for."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from shared.jobs.services import Services
from shared.metrics import count_repository
from shared.oci.names import Digest, TagName
from shared.render import report_to_json
from shared.retention.report import Action, Outcome, RepositoryReport, count_results
from shared.retention.traffic import Traffic
from shared.retention.verdicts import RepositoryPlan
from shared.settings import CleanupMode
from shared.storage.runs import Part

_NO_TRAFFIC = Traffic()


def finish_repository(
    services: Services,
    part: Part,
    plan: RepositoryPlan,
    outcomes: Sequence[Outcome],
    *,
    mode: CleanupMode,
    now: datetime,
    traffic: Traffic = _NO_TRAFFIC,
) -> None:
    """Save the repository's report; ``traffic`` is that of the invocation that finishes it."""
    report = RepositoryReport(
        plan=plan,
        mode=mode,
        started=plan.at,
        finished=now,
        outcomes=settled(outcomes),
        traffic=_earlier_traffic(services, part) + traffic,
    )
    services.runs.save_report(part, report_to_json(report), report.counts)
    count_repository(part.registry, report.counts)


def fail_repository(
    services: Services, part: Part, reason: str, *, now: datetime, traffic: Traffic = _NO_TRAFFIC
) -> None:
    """Finish the repository without success; its plan and outcomes, if there are any, stay as they are."""
    outcomes = list(services.runs.outcomes(part).read())
    asked = _earlier_traffic(services, part) + traffic
    document = {
        "failed": reason,
        "finished": now.isoformat(),
        "plan": services.runs.read_plan(part),
        "outcomes": outcomes,
        "traffic": asked.to_json(),
    }
    counts = count_results(settled(map(Outcome.from_json, outcomes)))
    services.runs.save_report(part, document, {**counts, **asked.counts, "failures": 1})


def settled(outcomes: Iterable[Outcome]) -> tuple[Outcome, ...]:
    """Return one outcome for each action: the last, unless that only found what another had removed.

    A message that is delivered twice may be worked on twice at once, and each finds what the other did.
    """
    found: dict[tuple[Action, TagName | Digest], Outcome] = {}
    for outcome in outcomes:
        key = (outcome.action, outcome.target)
        if outcome.result != "already_gone" or key not in found or found[key].result != "done":
            found[key] = outcome
    return tuple(found.values())


def _earlier_traffic(services: Services, part: Part) -> Traffic:
    return sum(map(Traffic.from_json, services.runs.traffic(part).read()), _NO_TRAFFIC)
