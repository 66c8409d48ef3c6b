"""What a night looks at: the catalogs of the registries, and what makes them look incomplete.

A repository that the catalog does not list is not cleaned, and nobody would notice: ACR has been seen to list
a part of its repositories without a word (Azure/acr #875).
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from shared.errors import InvalidName, RegistryError
from shared.jobs.cleaned import replicas_to_clean
from shared.jobs.native import native_policy_warnings
from shared.jobs.runs import Run, read_run
from shared.jobs.services import Services
from shared.oci.names import LoginServer, RepositoryName, parse_repository
from shared.policy import Policy
from shared.selection import RepositorySelection

_NAMED = 3
_ASKED = 20
"""How many repositories of one registry that rules name are asked for where the catalog lacks them."""


@dataclass(slots=True, kw_only=True)
class Catalogs:
    """The repositories that rules name, and what is to be said of the registries that have them."""

    repositories: list[tuple[LoginServer, RepositoryName]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    registry_warnings: list[tuple[LoginServer, str]] = field(default_factory=list)


def read_catalogs(services: Services, policy: Policy) -> Catalogs:
    """Return what tonight is about; a registry whose catalog cannot be read is a problem, and left out.

    :raises StorageError: when the last night cannot be read.
    """
    found = Catalogs()
    last = _last_night(services)
    for registry in services.settings.login_servers:
        try:
            listed = list(services.registries.acr(registry).list_repositories())
        except RegistryError as error:
            found.problems.append(f"the catalog of {registry} could not be read: {error}")
            continue
        covered = [name for name in listed if policy.retention.covers(registry, name)]
        found.repositories.extend((registry, name) for name in covered)
        found.warnings.extend(_vanished(policy, registry, listed, last))
        found.warnings.extend(_unlisted(services, policy, registry, listed))
        about = native_policy_warnings(services, registry)
        found.registry_warnings.extend((registry, warning) for warning in about)
        found.warnings.extend(about)
    try:
        found.repositories.extend(replicas_to_clean(services, policy))
    except RegistryError as error:
        found.problems.append(f"the repositories of docker.io could not be read: {error}")
    return found


def _last_night(services: Services) -> Run | None:
    latest = max(services.runs.list_runs("night"), default=None)
    return None if latest is None else read_run(services, latest)


def _vanished(
    policy: Policy, registry: LoginServer, listed: Sequence[RepositoryName], last: Run | None
) -> Iterator[str]:
    """Say when more than half of what the last night cleaned is not listed any more."""
    before = {
        name
        for server, name in (() if last is None else last.repositories)
        if server == registry and policy.retention.covers(server, name)
    }
    gone = sorted(before.difference(listed))
    if 2 * len(gone) > len(before):
        yield (
            f"the catalog of {registry} may be incomplete: it lacks {len(gone)} of the {len(before)} "
            f"repositories of the last night, such as {', '.join(gone[:_NAMED])}"
        )


def _unlisted(
    services: Services, policy: Policy, registry: LoginServer, listed: Sequence[RepositoryName]
) -> Iterator[str]:
    """Say which repositories rules name, without a wildcard, that exist and are not listed."""
    there = set(listed)
    named = {
        (name, rule.name)
        for rule in policy.retention.rules
        for name in _literal_names(rule.repositories)
        if name not in there and rule.repositories.covers(registry, name)
    }
    for name, rule in sorted(named)[:_ASKED]:
        try:
            services.registries.acr(registry).repository_attributes(name)
        except RegistryError:
            continue
        yield (
            f"the catalog of {registry} is incomplete: it lacks {name}, which rule {rule} names and which "
            "exists; may this app list all repositories?"
        )


def _literal_names(selection: RepositorySelection) -> Iterator[RepositoryName]:
    for glob in selection.repositories:
        if glob.is_literal:
            with suppress(InvalidName):
                yield parse_repository(glob.text)
