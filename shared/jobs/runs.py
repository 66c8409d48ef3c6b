"""Runs: how they are named and opened, and how they move from planning to applying.

A run is a list of repositories. Each is planned by its own message. When all are planned, or failed, the
limits of the whole run are checked, once, and the plans are applied by one message each. The last
message to finish takes the step; a second one taking it again sends messages that find nothing to do.
"""

import hashlib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from shared.errors import InvalidPolicy
from shared.jobs.services import Services
from shared.logs import log
from shared.messages import ApplyPlan, PlanRepository
from shared.oci.names import LoginServer, Reference, RepositoryName, parse_login_server, parse_repository
from shared.policy import Policy
from shared.retention.limits import check_run_limits
from shared.retention.report import add_counts
from shared.settings import CleanupMode
from shared.storage.runs import Document, Part

logger = logging.getLogger("steward.runs")

type RunKind = Literal["night", "push", "reconciliation", "mirror"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How a run was opened: what it covers, in which mode, and what could not be listed.

    ``queued`` counts the tags that a reconciliation found missing or different.
    """

    name: str
    kind: RunKind
    started: datetime
    mode: CleanupMode
    policy_digest: str
    repositories: tuple[tuple[LoginServer, RepositoryName], ...]
    problems: tuple[str, ...] = ()
    queued: int = 0

    def to_json(self) -> Document:
        """Return the stored form."""
        return {
            "run": self.name,
            "kind": self.kind,
            "started": self.started.isoformat(),
            "mode": self.mode,
            "policy_digest": self.policy_digest,
            "repositories": [
                {"registry": registry, "repository": repository} for registry, repository in self.repositories
            ],
            "problems": list(self.problems),
            "queued": self.queued,
        }

    @classmethod
    def from_json(cls, document: Document) -> "Run":
        """Return the run that :meth:`to_json` wrote."""
        return cls(
            name=document["run"],
            kind=document["kind"],
            started=datetime.fromisoformat(document["started"]),
            mode=document["mode"],
            policy_digest=document["policy_digest"],
            repositories=tuple(
                (parse_login_server(entry["registry"]), parse_repository(entry["repository"]))
                for entry in document["repositories"]
            ),
            problems=tuple(document["problems"]),
            queued=document["queued"],
        )

    def part(self, registry: LoginServer, repository: RepositoryName) -> Part:
        """Return one repository's share of this run."""
        return Part(run=self.name, registry=registry, repository=repository)

    def log_fields(self) -> dict[str, object]:
        """Return the fields of a structured log line."""
        return {
            "run": self.name,
            "mode": self.mode,
            "repositories": len(self.repositories),
            "problems": list(self.problems),
            "queued": self.queued,
        }


def run_name(kind: RunKind, now: datetime) -> str:
    """Return the name of a run opened now; names of one kind sort by time."""
    return f"{kind}-{now.astimezone(UTC):%Y%m%dt%H%M%S%fz}"


def replication_run(now: datetime) -> str:
    """Return the run that collects what pushes replicated on this day (UTC)."""
    return f"pushes-{now.astimezone(UTC):%Y%m%d}"


def read_run(services: Services, name: str) -> Run | None:
    """Return how the run was opened, ``None`` when it never was."""
    document = services.runs.read_run(name)
    return None if document is None else Run.from_json(document)


def open_run(services: Services, run: Run) -> None:
    """Save the run and queue its repositories."""
    services.runs.open_run(run.name, run.to_json())
    _queue_planning(services, run)


def _queue_planning(services: Services, run: Run, *, delay: float = 0.0) -> None:
    for registry, repository in run.repositories:
        services.cleanup_queue.send(
            PlanRepository(run=run.name, registry=registry, repository=repository), delay=delay
        )


def open_push_cleanup(services: Services, policy: Policy, source: Reference, *, now: datetime) -> str | None:
    """Queue a cleanup of the repository that was pushed to, where a rule asks for it.

    The name of the run holds the repository and the time window, so that any number of pushes, and any
    number of app instances, open it once; the message waits until the window has closed. It is sent first:
    a failure between the two makes the event come again, and what was opened already would not be sent.

    :returns: the run's name, ``None`` when no rule is marked ``on_push`` for the repository.
    """
    if not policy.retention.on_push().covers(source.registry, source.repository):
        return None
    length = services.settings.push_cleanup_seconds
    window = int(now.timestamp()) // length
    opened = datetime.fromtimestamp(window * length, UTC)
    place = hashlib.sha256(f"{source.registry}/{source.repository}".encode()).hexdigest()[:16]
    name = f"push-{opened:%Y%m%dt%H%M%Sz}-{place}"
    if services.runs.read_run(name) is not None:
        return name
    run = Run(
        name=name,
        kind="push",
        started=now,
        mode=services.settings.cleanup_mode,
        policy_digest=policy.digest,
        repositories=((source.registry, source.repository),),
    )
    _queue_planning(services, run, delay=(window + 1) * length - now.timestamp())
    services.runs.open_run(name, run.to_json())
    return name


def advance(services: Services, run: Run, *, now: datetime) -> None:
    """Take the run's next step, if what was just done was the last that it waited for.

    When every repository is planned or failed, the run's limits are checked and, in apply mode, the plans
    queued. When every repository has its report, or the run is refused, it is finished. Each of the two is
    said once, to whom a topic is configured for.
    """
    if services.runs.read_finished(run.name) is not None:
        return
    plans = {(found.registry, found.repository): found.counts for found in services.runs.list_plans(run.name)}
    reports = {
        (found.registry, found.repository): found.counts for found in services.runs.list_reports(run.name)
    }
    if any(part not in plans and part not in reports for part in run.repositories):
        return
    refused = None
    if run.mode == "apply" and services.settings.cleanup_mode == "apply":
        refused = _leave_planning(services, run, plans, reports)
    if refused is not None or all(part in reports for part in run.repositories):
        _finish(services, run, reports, refused, now)


type _Counts = Mapping[tuple[LoginServer, RepositoryName], Mapping[str, int]]


def _leave_planning(services: Services, run: Run, plans: _Counts, reports: _Counts) -> Document | None:
    """Queue the plans, unless that was done before, and return why they are refused, if they are.

    Without a policy there are no limits to check: then nothing is removed.
    """
    left = services.runs.read_applying(run.name)
    if left is not None:
        found: Document | None = left["refused"]
        return found
    refused = _why_refused(services, plans.values())
    if refused is None:
        for registry, repository in run.repositories:
            if (registry, repository) in plans and (registry, repository) not in reports:
                services.cleanup_queue.send(ApplyPlan(run=run.name, registry=registry, repository=repository))
    else:
        fields = {"run": run.name, "refused": refused["message"]}
        log(logger, "run refused by a limit", fields, level=logging.WARNING)
        services.notices.publish("RunRefused", run.name, {"refused": refused})
    services.runs.mark_applying(run.name, {"refused": refused})
    services.notices.publish("PlanReady", run.name, {"planned": add_counts(plans.values())})
    return refused


def _finish(services: Services, run: Run, reports: _Counts, refused: Document | None, now: datetime) -> None:
    summary = {
        "kind": run.kind,
        "mode": run.mode,
        "started": run.started.isoformat(),
        "finished": now.isoformat(),
        "repositories": len(run.repositories),
        "refused": refused,
        "done": add_counts(reports.values()),
        "problems": list(run.problems),
    }
    if services.runs.finish_run(run.name, summary):
        log(logger, "run finished", {"run": run.name, **summary})
        services.notices.publish("RunFinished", run.name, summary)


def _why_refused(services: Services, counts: Iterable[Mapping[str, int]]) -> Document | None:
    try:
        limit = services.policy.current().retention.limits.run
    except InvalidPolicy as error:
        return {"message": str(error)}
    refusal = check_run_limits(counts, limit)
    return None if refusal is None else refusal.to_json()
