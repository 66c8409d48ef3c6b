"""Cleaning one registry: plan, show, ask, apply, report."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cli.applying import Application, Stop, apply_plans
from cli.cleanable import Times, client_to_clean
from cli.exits import FAILED, INTERRUPTED, Failure
from cli.output import Output
from cli.plandocument import plans_document
from cli.planning import Planned, make_plans, moment, read_policy
from cli.planview import removals, show_failures, show_plans
from cli.registries import Registries
from cli.words import count, size
from shared.oci.names import LoginServer
from shared.retention.plan import RepositoryPlan
from shared.retention.report import RepositoryReport

_MANY = 10


def clean_registry(
    output: Output,
    registries: Registries,
    registry: LoginServer,
    policy: Path,
    repositories: Sequence[str],
    *,
    at: str | None,
    times: Times,
    yes: bool,
) -> int:
    """Plan and, once a person or ``yes`` agrees, apply; return the exit code."""
    when = moment(at)
    if when > datetime.now(UTC):
        raise Failure("--at: what will be old one day is not removed today", hint="plan takes any time")
    document = read_policy(policy)
    planned = make_plans(registries, registry, document, repositories, at=when, times=times, output=output)
    if not output.json:
        show_plans(output, planned, complete=not repositories and not planned.failures)
    show_failures(output, planned)
    wanted = [plan for plan in planned.plans if plan.refused is None and not plan.is_empty]
    return apply_after_asking(output, registries, planned, wanted, yes=yes)


def apply_after_asking(
    output: Output, registries: Registries, planned: Planned, wanted: Sequence[RepositoryPlan], *, yes: bool
) -> int:
    """Apply the plans that are wanted, show what became of them, and return the exit code."""
    applications: list[Application] = []
    stop = Stop()
    if wanted:
        output.confirm(f"Remove {removals(wanted)} from {planned.registry}?", yes=yes)
        client = client_to_clean(registries, planned.registry, purpose="be cleaned")
        with stop.listening(output):
            applications = apply_plans(client, wanted, output=output, stop=stop)
    if output.json:
        output.document(_document(planned, applications))
    elif applications:
        show_applications(output, applications)
    if applications and any(plan.postponed is not None for plan in planned.plans):
        output.note("run it again for what waits: a cap of the policy let this run do no more")
    if stop.asked:
        output.fail(f"stopped: {_left(wanted, applications)} not tried", "run it again to go on")
        return INTERRUPTED
    if any(application.failures for application in applications):
        return FAILED
    return planned.exit_code


def show_applications(output: Output, applications: Sequence[Application]) -> None:
    """Print what is gone, what stayed after all, and what failed."""
    freed = 0
    results: Counter[str] = Counter()
    for application in applications:
        report = _report(application)
        freed += report.bytes_freed_at_most
        for outcome in application.outcomes:
            gone = "untagged" if outcome.action == "untag" else "deleted"
            results[gone if outcome.result == "done" else outcome.result] += 1
            if not outcome.is_gone and outcome.result not in {"failed", "skipped"}:
                output.note(f"{outcome.target} stays, {outcome.result}: {outcome.detail}")
    words = ", ".join(f"{number:,} {result.replace('_', ' ')}" for result, number in results.items())
    output.say(f"{words or 'nothing done'}; at most {size(freed)} freed", fg="green")
    failures = [(each.plan, outcome) for each in applications for outcome in each.failures]
    for plan, outcome in failures[: None if output.verbose else _MANY]:
        output.fail(f"{plan.registry}/{plan.repository}: {outcome.action} {outcome.target}: {outcome.detail}")
    if len(failures) > _MANY and not output.verbose:
        output.fail(f"and {count(len(failures) - _MANY, 'failure')} more; -v lists them")


def _left(wanted: Sequence[RepositoryPlan], applications: Sequence[Application]) -> str:
    planned = sum(len(plan.untag) + len(plan.delete) for plan in wanted)
    return count(planned - sum(len(each.outcomes) for each in applications), "action")


def _report(application: Application) -> RepositoryReport:
    return RepositoryReport(
        plan=application.plan,
        mode="apply",
        started=application.plan.at,
        finished=datetime.now(UTC),
        outcomes=tuple(application.outcomes),
    )


def _document(planned: Planned, applications: Sequence[Application]) -> dict[str, Any]:
    applied = {application.plan.repository: application for application in applications}
    document = plans_document(planned)
    for plan, entry in zip(planned.plans, document["repositories"], strict=True):
        report = _report(applied.get(plan.repository) or Application(plan=plan))
        entry["outcomes"] = [outcome.to_json() for outcome in report.outcomes]
        entry["counts"] = report.counts
    return document
