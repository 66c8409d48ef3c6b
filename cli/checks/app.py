"""The app's settings, its policy, and its storage."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from cli.appservices import HINT, app_services
from cli.appsettings import environment
from cli.checks.findings import Finding, failure, ok, tried, warning
from cli.checks.roles import grant_storage
from cli.remedies import remedy
from cli.sentences import in_words
from cli.threads import threads
from cli.words import count
from shared.errors import InvalidPolicy, InvalidSettings, StewardError
from shared.jobs.services import Services
from shared.oci.names import DOCKER_HUB
from shared.settings import load_settings
from shared.storage.queues import WorkQueue

_REFUSALS: Final = ("403", "401", "Authorization")


def check_settings(settings_file: Path | None) -> tuple[Services | None, list[Finding]]:
    """Return the services, if the settings can be used, and one finding per problem."""
    values: Mapping[str, str] = environment(settings_file)
    try:
        found = load_settings(values)
    except InvalidSettings as error:
        return None, [failure("settings", str(problem), HINT) for problem in error.problems]
    mode = "deletes" if found.cleanup_mode == "apply" else "only plans"
    findings = [ok("settings", f"complete; the app {mode} (CLEANUP_MODE={found.cleanup_mode})")]
    return app_services(settings_file), findings


def check_policy(services: Services) -> Iterator[Finding]:
    """Yield whether the policy in force can be used, and what it needs that is not there."""
    try:
        policy = services.policy.current()
    except InvalidPolicy as error:
        for problem in error.problems:
            yield failure("policy", str(problem), "steward policy check FILE")
        return
    except StewardError as error:
        yield failure("policy", in_words(error), remedy(error))
        return
    rules, routes = policy.retention.rule_names, policy.replication.routes
    holds = f"{count(len(rules), 'rule')}, {count(len(routes), 'route')}"
    yield ok("policy", f"valid: {holds}, {policy.digest}")
    to_hub = any(template.registry == DOCKER_HUB for route in routes for template in route.targets)
    if to_hub and services.settings.docker_hub is None:
        yield failure(
            "policy",
            "routes go to Docker Hub, and there are no credentials for it",
            "set DOCKERHUB_USERNAME and DOCKERHUB_TOKEN",
        )


def check_storage(services: Services) -> Iterator[Finding]:
    """Yield whether blobs and queues answer, and whether anything was given up."""

    def blobs() -> str:
        services.runs.read_run("doctor")
        return f"container {services.settings.runs_container} is readable"

    def remedy_for(error: StewardError, role: str) -> str:
        if any(code in str(error) for code in _REFUSALS):
            settings = services.settings
            assignee = settings.storage_client_id or settings.client_id
            return grant_storage(role, assignee=assignee, account=_account(services))
        return "check the StewardStorage settings, and that the account can be reached from here"

    def look(act: Callable[[], str], role: str) -> list[Finding]:
        return list(tried("storage", act, lambda error: remedy_for(error, role)))

    def waiting(queue: WorkQueue) -> str:
        return f"queue {queue.name}: {queue.length():,} waiting"

    queues = (services.events_queue, services.replication_queue, services.cleanup_queue)
    looks: list[tuple[Callable[[], str], str]] = [(blobs, "Storage Blob Data Contributor")]
    looks += [(partial(waiting, queue), "Storage Queue Data Contributor") for queue in queues]
    with threads(len(looks)) as pool:  # what cannot be reached takes seconds to say so
        findings = [each for found in pool.map(lambda each: look(*each), looks) for each in found]
    yield from findings
    if findings[0].level == "failure":
        return
    given_up = sum(1 for _ in services.poison.names())
    if given_up:
        yield warning("storage", f"{count(given_up, 'message')} given up", "steward replay lists them")


def _account(services: Services) -> str:
    """Return the name of the storage account: the first label of its host (of Azurite's path)."""
    settings = services.settings
    if settings.storage is not None:
        parts = dict(part.split("=", 1) for part in settings.storage.reveal().split(";") if "=" in part)
        return parts.get("AccountName", "ACCOUNT")
    return (urlsplit(settings.storage_blob_uri or "").hostname or "ACCOUNT").partition(".")[0]
