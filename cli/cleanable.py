"""Registries that plans are made of and carried out in: Azure's, and Docker Hub as the app sees it."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from cli.doubts import LATER, REMEDY, Doubt, in_doubt
from cli.exits import Failure
from cli.registries import Registries
from shared.jobs.cleaned import CleanedRegistry, LedgerTimes, known_edges, replicated_namespaces
from shared.jobs.services import Services
from shared.oci.graph import Edges
from shared.oci.names import DOCKER_HUB, Digest, LoginServer, RepositoryName
from shared.policy import Policy
from shared.registry.acr import AcrClient
from shared.registry.hub_replica import HubReplica, SourceTimes
from shared.retention.explicit import rules_for
from shared.retention.plan import RepositoryPlan, plan_within_limits
from shared.retention.rules import RetentionPolicy
from shared.retention.snapshot import RepositorySnapshot
from shared.selection import Glob

_STORAGE: Final = "StewardStorage"
_UNNAMED: Final = (
    "no rule removes anything on Docker Hub: those that shall must have docker.io under registries"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Where the times of replicas come from: the app's ledger, or Docker Hub if they are true there."""

    settings: Path | None = None
    own: bool = False

    def __post_init__(self) -> None:
        """Refuse to be told two things.

        :raises Failure: when both are given.
        """
        if self.own and self.settings is not None:
            raise Failure("--own-times and --settings exclude each other")

    def ledger(self) -> Services | None:
        """Return the services of the app, if the settings of its storage are there."""
        if self.own or (self.settings is None and not any(each.startswith(_STORAGE) for each in os.environ)):
            return None
        from cli.appservices import app_services  # noqa: PLC0415 - Azure's libraries, for the ledger only

        return app_services(self.settings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleanable:
    """A registry, and the policy as it holds there."""

    login_server: LoginServer
    client: CleanedRegistry
    policy: RetentionPolicy
    """What holds there; in doubt it removes less than ``rules``, which are as written."""
    rules: RetentionPolicy
    services: Services | None = None
    remarks: tuple[str, ...] = ()
    """What is to be said of every plan."""
    doubts: tuple[Doubt, ...] = ()

    def snapshot(self, name: RepositoryName) -> RepositorySnapshot:
        """Return the repository as it is now, with what is to be said of it."""
        snapshot = self.client.snapshot(name, edges_known=self._edges(name))
        doubts = [doubt.text for doubt in self.doubts if doubt.about(self.login_server, name)]
        return replace(snapshot, warnings=(*snapshot.warnings, *self.remarks, *doubts))

    def covers(self, name: RepositoryName) -> bool:
        """Tell whether any rule could remove something from the repository."""
        return self.rules.covers(self.login_server, name)

    def plan(self, name: RepositoryName, *, at: datetime) -> RepositoryPlan:
        """Return what is to go from the repository now, and whether that is too much."""
        return self.judge(self.snapshot(name), at=at)

    def judge(self, snapshot: RepositorySnapshot, *, at: datetime) -> RepositoryPlan:
        """Return what is to go now from the repository as it was seen, and whether that is too much."""
        return plan_within_limits(snapshot, self.policy, now=at)

    def _edges(self, name: RepositoryName) -> Mapping[Digest, Edges] | None:
        return None if self.services is None else known_edges(self.services, self.login_server, name)


def cleanable(
    registries: Registries, login_server: LoginServer, policy: RetentionPolicy, *, purpose: str, times: Times
) -> Cleanable:
    """Return the registry with what holds there of the policy.

    :raises Unsupported: for a registry that has neither ACR's API nor Docker Hub's, naming the purpose.
    """
    services = times.ledger() if login_server == DOCKER_HUB else None
    ages = None if services is None else LedgerTimes(services.ledger)
    careful = rules = rules_for(policy, login_server)
    remarks: tuple[str, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    if login_server == DOCKER_HUB:
        removing = (*rules.tag_rules, *rules.untagged_rules)
        remarks = () if removing else (_UNNAMED,)
        if ages is None and not times.own and rules.tag_rules:
            careful, doubts = in_doubt(rules)
            remarks = (f"{LATER}; {REMEDY}",)
    return Cleanable(
        login_server=login_server,
        client=client_to_clean(registries, login_server, purpose=purpose, ages=ages),
        policy=careful,
        rules=rules,
        services=services,
        remarks=remarks,
        doubts=doubts,
    )


def client_to_clean(
    registries: Registries, login_server: LoginServer, *, purpose: str, ages: SourceTimes | None = None
) -> CleanedRegistry:
    """Return a client for plans; ``ages`` are those of replicas, where they are known.

    :raises Unsupported: for a registry that has neither ACR's API nor Docker Hub's, naming the purpose.
    """
    if login_server != DOCKER_HUB:
        return registries.acr(login_server, purpose=purpose)
    client = registries.client(login_server)
    return HubReplica(registries.hub(), client, source_times=ages or (lambda *_: None))


def repository_names(
    registries: Registries, login_server: LoginServer, policy: Policy, globs: Sequence[Glob]
) -> Iterator[RepositoryName]:
    """Yield what a registry has, or Docker Hub in the namespaces that globs or else routes name.

    :raises Failure: when none is named.
    :raises RegistryError: when it does not list them.
    """
    if login_server != DOCKER_HUB:
        client = registries.client(login_server)
        assert isinstance(client, AcrClient)  # noqa: S101 - nothing else is planned for
        yield from client.list_repositories()
        return
    wanted = {glob.text.partition("/")[0] for glob in globs} or set(replicated_namespaces(policy))
    if not wanted or not all(map(_is_literal, wanted)):
        raise Failure(
            "Docker Hub lists one namespace at a time, and none is named",
            hint="name repositories, as acme/app or 'acme/*'; else those are looked at that a route goes to",
        )
    for namespace in sorted(wanted):
        for found in registries.hub().list_repositories(namespace):
            yield found.name


def _is_literal(namespace: str) -> bool:
    return not any(wild in namespace for wild in "*?[")
