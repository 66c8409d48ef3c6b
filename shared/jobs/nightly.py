"""The night: one run over every repository that a rule names, on every registry that is cleaned."""

from datetime import datetime

from shared.jobs.advancing import leave_planning
from shared.jobs.catalogs import read_catalogs
from shared.jobs.runs import Run, open_run, run_name
from shared.jobs.services import Services


def start_night(services: Services, *, now: datetime) -> Run:
    """Open tonight's run and queue its repositories; without any, it is finished at once.

    A registry whose catalog cannot be read is left out, and the run says so; the others are cleaned.

    :raises InvalidPolicy: when the policy cannot be used: nothing is opened then.
    :raises StorageError: when the run cannot be saved or its messages cannot be queued.
    """
    policy = services.policy.current()
    found = read_catalogs(services, policy)
    run = Run(
        name=run_name("night", now),
        kind="night",
        started=now,
        mode=services.settings.cleanup_mode,
        policy_digest=policy.digest,
        repositories=tuple(found.repositories),
        problems=tuple(found.problems),
        warnings=tuple(found.warnings),
        registry_warnings=tuple(found.registry_warnings),
    )
    open_run(services, run)
    if not run.repositories:
        leave_planning(services, run, now=now)
    return run
