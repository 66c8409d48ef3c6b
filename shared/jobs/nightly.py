"""The night: one run over every repository that a rule names, on every registry that is cleaned."""

from datetime import datetime

from shared.errors import RegistryError
from shared.jobs.cleaned import replicas_to_clean
from shared.jobs.runs import Run, open_run, run_name
from shared.jobs.services import Services
from shared.oci.names import LoginServer, RepositoryName


def start_night(services: Services, *, now: datetime) -> Run:
    """Open tonight's run and queue its repositories.

    A registry whose catalog cannot be read is left out, and the run says so; the others are cleaned.

    :raises InvalidPolicy: when the policy cannot be used: nothing is opened then.
    :raises StorageError: when the run cannot be saved or its messages cannot be queued.
    """
    policy = services.policy.current()
    repositories: list[tuple[LoginServer, RepositoryName]] = []
    problems: list[str] = []
    for login_server in services.settings.login_servers:
        try:
            repositories.extend(
                (login_server, repository)
                for repository in services.registries.acr(login_server).list_repositories()
                if policy.retention.covers(login_server, repository)
            )
        except RegistryError as error:
            problems.append(f"the catalog of {login_server} could not be read: {error}")
    try:
        repositories.extend(replicas_to_clean(services, policy))
    except RegistryError as error:
        problems.append(f"the repositories of docker.io could not be read: {error}")
    run = Run(
        name=run_name("night", now),
        kind="night",
        started=now,
        mode=services.settings.cleanup_mode,
        policy_digest=policy.digest,
        repositories=tuple(repositories),
        problems=tuple(problems),
    )
    open_run(services, run)
    return run
