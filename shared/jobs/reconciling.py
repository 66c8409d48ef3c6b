"""What the events missed: source against targets, one repository per message.

A reconciliation is a run like a night's. The first one of a registry that is full is its backfill: it queues
everything that is missing, no faster than the queue is worked off.
"""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from shared.errors import RegistryError
from shared.jobs.runs import Run, RunKind, read_run, run_name
from shared.jobs.services import Services
from shared.messages import ReconcileRepository
from shared.oci.names import LoginServer, RepositoryName
from shared.policy import Policy
from shared.replication.drift import Place
from shared.replication.routes import mirrors_repository, routes_repository

LONGEST_RECONCILIATION: Final = timedelta(hours=24)
"""A reconciliation that is not finished by then is given up, and the next tick begins anew."""


def start_reconciliation(services: Services, *, now: datetime) -> Run:
    """Open a reconciliation over every repository that a route names, and queue its repositories.

    As long as the one before is going on, that one is returned and nothing is queued: a backfill takes
    longer than the time between two ticks. A catalog that cannot be read is a problem of the run; the other
    registries are compared.

    :raises InvalidPolicy: when the policy cannot be used.
    :raises StorageError: when the run cannot be saved or a message cannot be queued.
    """
    policy = services.policy.current()
    before = _going_on(services, now)
    if before is not None:
        return before
    repositories: list[Place] = []
    problems: list[str] = []
    for login_server in services.settings.login_servers:
        try:
            repositories.extend(_repositories(services, policy, login_server))
        except RegistryError as error:
            problems.append(f"the catalog of {login_server} could not be read: {error}")
    return _open(
        services,
        policy,
        run_name("reconciliation", now),
        "reconciliation",
        repositories=tuple(repositories),
        problems=tuple(problems),
        now=now,
    )


def open_comparison(services: Services, policy: Policy, source: Place, *, now: datetime) -> str | None:
    """Queue a comparison of the repository that something was deleted from, where a route mirrors deletes.

    Deletes come in crowds: those within ``PUSH_CLEANUP_SECONDS`` lead to one comparison, which begins when
    that time is over, and whose run is named by it.

    :returns: the run's name, ``None`` when no route mirrors the repository.
    """
    registry, repository = source
    if not mirrors_repository(registry, repository, policy.replication):
        return None
    length = services.settings.push_cleanup_seconds
    window = int(now.timestamp()) // length
    opened = datetime.fromtimestamp(window * length, UTC)
    place = hashlib.sha256(f"{registry}/{repository}".encode()).hexdigest()[:16]
    name = f"mirror-{opened:%Y%m%dt%H%M%Sz}-{place}"
    if services.runs.read_run(name) is None:
        delay = (window + 1) * length - now.timestamp()
        _open(services, policy, name, "mirror", repositories=(source,), now=now, delay=delay)
    return name


def _open(
    services: Services,
    policy: Policy,
    name: str,
    kind: RunKind,
    *,
    repositories: tuple[Place, ...],
    now: datetime,
    problems: tuple[str, ...] = (),
    delay: float = 0.0,
) -> Run:
    """Queue the repositories, then save the run: a failure between the two leads to work done twice."""
    run = Run(
        name=name,
        kind=kind,
        started=now,
        mode=services.settings.cleanup_mode,
        policy_digest=policy.digest,
        repositories=repositories,
        problems=problems,
    )
    for registry, repository in repositories:
        services.cleanup_queue.send(
            ReconcileRepository(run=name, registry=registry, repository=repository), delay=delay
        )
    services.runs.open_run(name, run.to_json())
    return run


def _repositories(services: Services, policy: Policy, login_server: LoginServer) -> Iterator[Place]:
    """Yield what routes take, and what they took and is gone altogether, where they mirror deletes."""
    there: set[RepositoryName] = set()
    for repository in services.registries.acr(login_server).list_repositories():
        there.add(repository)
        if routes_repository(login_server, repository, policy.replication):
            yield login_server, repository
    if any(route.on_delete == "mirror" for route in policy.replication.routes):
        for registry, repository in services.ledger.sources():
            gone = registry == login_server and repository not in there
            if gone and mirrors_repository(registry, repository, policy.replication):
                yield registry, repository


def _going_on(services: Services, now: datetime) -> Run | None:
    """Return the latest reconciliation if it has repositories left and is not too old to finish them."""
    latest = max(
        (name for name in services.runs.list_runs() if name.startswith("reconciliation-")), default=None
    )
    run = None if latest is None else read_run(services, latest)
    if run is None or now - run.started > LONGEST_RECONCILIATION:
        return None
    finished = {(found.registry, found.repository) for found in services.runs.list_reports(run.name)}
    return None if finished.issuperset(run.repositories) else run
