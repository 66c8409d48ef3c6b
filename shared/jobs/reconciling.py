"""What the events missed: every routed tag whose target is missing or different is queued."""

from collections.abc import Iterator
from datetime import datetime

from shared.errors import RegistryError
from shared.jobs.replicating import target_digests
from shared.jobs.runs import Run, run_name
from shared.jobs.services import Services
from shared.messages import ReplicateTag
from shared.oci.names import LoginServer, Reference, RepositoryName
from shared.policy import Policy
from shared.replication.routes import route_push, routes_repository


def start_reconciliation(services: Services, *, now: datetime) -> Run:
    """Compare source with target for every route, queue what differs, and save what was compared.

    A repository that cannot be listed is left out, and the run says so; the others are compared.

    :raises InvalidPolicy: when the policy cannot be used.
    :raises StorageError: when the run cannot be saved or a message cannot be queued.
    """
    policy = services.policy.current()
    name = run_name("reconciliation", now)
    repositories: list[tuple[LoginServer, RepositoryName]] = []
    problems: list[str] = []
    queued = 0
    for login_server in services.settings.login_servers:
        try:
            for repository in services.registries.acr(login_server).list_repositories():
                if not routes_repository(login_server, repository, policy.replication):
                    continue
                repositories.append((login_server, repository))
                for message in _differences(
                    services,
                    policy,
                    name,
                    login_server=login_server,
                    repository=repository,
                    problems=problems,
                ):
                    services.replication_queue.send(message)
                    queued += 1
        except RegistryError as error:
            problems.append(f"the catalog of {login_server} could not be read: {error}")
    run = Run(
        name=name,
        kind="reconciliation",
        started=now,
        mode=services.settings.cleanup_mode,
        policy_digest=policy.digest,
        repositories=tuple(repositories),
        problems=tuple(problems),
        queued=queued,
    )
    services.runs.open_run(run.name, run.to_json())
    return run


def _differences(
    services: Services,
    policy: Policy,
    run: str,
    *,
    login_server: LoginServer,
    repository: RepositoryName,
    problems: list[str],
) -> Iterator[ReplicateTag]:
    try:
        known: dict[RepositoryName, dict[str, str]] = {}
        for tag in services.registries.acr(login_server).list_tag_records(repository):
            source = Reference(registry=login_server, repository=repository, tag=tag.name)
            for routed in route_push(source, policy.replication):
                target = routed.target
                if target.repository not in known:
                    known[target.repository] = target_digests(services, target)
                if known[target.repository].get(target.tag or "") != tag.digest:
                    yield ReplicateTag(
                        run=run, route=routed.route, source=source, target=target, digest=tag.digest
                    )
    except RegistryError as error:
        problems.append(f"{login_server}/{repository} could not be compared: {error}")
