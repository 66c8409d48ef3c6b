"""Runs: lists of repositories, each of which is planned by its own message; how they are named and opened."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from shared.jobs.services import Services
from shared.messages import PlanRepository
from shared.oci.names import LoginServer, Reference, RepositoryName, parse_login_server, parse_repository
from shared.policy import Policy
from shared.settings import CleanupMode
from shared.storage.runs import Document, Part

type RunKind = Literal["night", "push", "reconciliation", "mirror"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How a run was opened: what it covers, in which mode, and what could not be listed.

    ``queued`` counts the tags that a reconciliation found missing or different. ``registry_warnings`` are
    those of the ``warnings`` that are about one registry, and are said in every plan of it, too.
    """

    name: str
    kind: RunKind
    started: datetime
    mode: CleanupMode
    policy_digest: str
    repositories: tuple[tuple[LoginServer, RepositoryName], ...]
    problems: tuple[str, ...] = ()
    queued: int = 0
    warnings: tuple[str, ...] = ()
    registry_warnings: tuple[tuple[LoginServer, str], ...] = ()

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
            "warnings": list(self.warnings),
            "registry_warnings": [
                {"registry": registry, "warning": warning} for registry, warning in self.registry_warnings
            ],
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
            warnings=tuple(document.get("warnings", ())),
            registry_warnings=tuple(
                (parse_login_server(entry["registry"]), entry["warning"])
                for entry in document.get("registry_warnings", ())
            ),
        )

    def warnings_about(self, registry: LoginServer) -> tuple[str, ...]:
        """Return what is to be said in every plan of the registry."""
        return tuple(warning for about, warning in self.registry_warnings if about == registry)

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
            "warnings": list(self.warnings),
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
