"""The app's settings, its policy, and its storage."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from cli.appservices import HINT, app_services
from cli.appsettings import environment
from cli.checks.findings import Finding, ok, tried
from cli.remedies import remedy
from shared.errors import InvalidPolicy, InvalidSettings, StewardError
from shared.jobs.services import Services
from shared.oci.names import DOCKER_HUB
from shared.settings import load_settings
from shared.storage.queues import WorkQueue


def check_settings(settings_file: Path | None) -> tuple[Services | None, list[Finding]]:
    """Return the services, if the settings can be used, and one finding per problem."""
    values: Mapping[str, str] = environment(settings_file)
    try:
        found = load_settings(values)
    except InvalidSettings as error:
        return None, [
            Finding(check="settings", level="failure", text=str(problem), remedy=HINT)
            for problem in error.problems
        ]
    mode = "deletes" if found.cleanup_mode == "apply" else "only plans"
    findings = [ok("settings", f"complete; the app {mode} (CLEANUP_MODE={found.cleanup_mode})")]
    return app_services(settings_file), findings


def check_policy(services: Services) -> Iterator[Finding]:
    """Yield whether the policy in force can be used, and what it needs that is not there."""
    try:
        policy = services.policy.current()
    except InvalidPolicy as error:
        for problem in error.problems:
            yield Finding(
                check="policy", level="failure", text=str(problem), remedy="steward policy check FILE"
            )
        return
    except StewardError as error:
        yield Finding(check="policy", level="failure", text=str(error), remedy=remedy(error))
        return
    rules, routes = len(policy.retention.rule_names), policy.replication.routes
    yield ok("policy", f"valid: {rules} rules, {len(routes)} routes, {policy.digest}")
    to_hub = any(template.registry == DOCKER_HUB for route in routes for template in route.targets)
    if to_hub and services.settings.docker_hub is None:
        yield Finding(
            check="policy",
            level="failure",
            text="routes go to Docker Hub, and there are no credentials for it",
            remedy="set DOCKERHUB_USERNAME and DOCKERHUB_TOKEN",
        )


def check_storage(services: Services) -> Iterator[Finding]:
    """Yield whether blobs and queues answer, and whether anything was given up."""

    def blobs() -> str:
        services.runs.read_run("doctor")
        return f"container {services.settings.runs_container} is readable"

    def waiting(queue: WorkQueue) -> str:
        return f"queue {queue.name}: {queue.length():,} waiting"

    queues = (services.events_queue, services.replication_queue, services.cleanup_queue)
    looks: list[tuple[Callable[[], str], str]] = [(blobs, "Storage Blob Data Contributor")]
    looks += [(partial(waiting, queue), "Storage Queue Data Contributor") for queue in queues]
    with ThreadPoolExecutor(len(looks)) as pool:  # what cannot be reached takes seconds to say so
        findings = [
            each for found in pool.map(lambda look: list(_tried_storage(*look)), looks) for each in found
        ]
    yield from findings
    if findings[0].level == "failure":
        return
    given_up = sum(1 for _ in services.poison.names())
    if given_up:
        yield Finding(
            check="storage",
            level="warning",
            text=f"{given_up:,} messages were given up",
            remedy="steward replay lists them",
        )


def _tried_storage(act: Callable[[], str], role: str) -> Iterator[Finding]:
    return tried("storage", act, lambda error: _storage_remedy(error, role))


def _storage_remedy(error: StewardError, role: str) -> str:
    if any(code in str(error) for code in ("403", "401", "Authorization")):
        return (
            f'grant the role "{role}": az role assignment create --assignee PRINCIPAL --role "{role}" '
            "--scope STORAGE_ACCOUNT_ID"
        )
    return "check the StewardStorage settings, and that the account can be reached from here"
