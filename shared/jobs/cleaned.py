"""What is cleaned: Azure registries, and repositories of Docker Hub that tags are replicated to."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from shared.errors import InvalidSettings, Problem
from shared.jobs.services import Services
from shared.oci.graph import Edges
from shared.oci.names import DOCKER_HUB, Digest, LoginServer, RepositoryName, TagName
from shared.policy import Policy
from shared.registry.acr_attributes import ManifestAttributes, RepositoryAttributes
from shared.registry.hub_replica import HubReplica
from shared.registry.repository import RepositoryClient
from shared.replication.replicas import Replica
from shared.retention.explicit import rules_for
from shared.retention.snapshot import ManifestRecord, RepositorySnapshot, TagRecord
from shared.storage.ledger import Ledger


class CleanedRegistry(Protocol):
    """What planning and applying need of a registry."""

    def repository(self, name: RepositoryName) -> RepositoryClient:
        """Return the client of one repository's content."""

    def repository_attributes(self, name: RepositoryName) -> RepositoryAttributes:
        """Return the repository's attributes.

        :raises NotFound: when it does not exist.
        """

    def snapshot(
        self,
        name: RepositoryName,
        *,
        edges_known: Mapping[Digest, Edges] | None = None,
        edges_read: dict[Digest, Edges] | None = None,
    ) -> RepositorySnapshot:
        """Return all that a plan needs to know of the repository.

        ``edges_known`` need not be read again; what is read is added to ``edges_read``, also when this fails.

        :raises NotFound: when it does not exist.
        """

    def tag_attributes(self, name: RepositoryName, tag: TagName) -> TagRecord | None:
        """Return the tag as it is now, ``None`` when it does not exist."""

    def manifest_attributes(self, name: RepositoryName, digest: Digest) -> ManifestAttributes | None:
        """Return the manifest as it is now, ``None`` when it does not exist."""

    def list_manifest_records(
        self, name: RepositoryName, *, newest_first: bool = False
    ) -> Iterator[ManifestAttributes]:
        """Yield the manifests, each with the tags on it."""

    def read_edges(self, name: RepositoryName, record: ManifestRecord) -> Edges:
        """Return what the body of one manifest points at."""

    def untag(self, name: RepositoryName, tag: TagName) -> bool:
        """Remove the tag and leave the manifest; ``False`` when it was already gone."""

    def delete_manifest(self, name: RepositoryName, digest: Digest) -> bool:
        """Delete the manifest; ``False`` when it was already gone."""


def cleaned_registry(services: Services, registry: LoginServer) -> CleanedRegistry:
    """Return the client of a registry that a run cleans.

    :raises InvalidSettings: when no setting says how to reach it.
    """
    if registry != DOCKER_HUB:
        return services.registries.acr(registry)
    hub = services.registries.docker_hub()
    if hub is None:
        problem = Problem(path="DOCKERHUB_TOKEN", message="missing, and a rule cleans docker.io")
        raise InvalidSettings("app settings", [problem])
    return HubReplica(
        hub,
        services.registries.target(DOCKER_HUB),
        source_times=LedgerTimes(services.ledger),
        memory=services.edges,
        pull_reserve=services.settings.pull_reserve,
    )


def known_edges(services: Services, registry: LoginServer, repository: RepositoryName) -> dict[Digest, Edges]:
    """Return what is remembered of the repository's manifests, and for a replica of its sources', too.

    A digest means the same everywhere, and every body that need not be read is a pull less.
    """
    known: dict[Digest, Edges] = {}
    if registry == DOCKER_HUB:
        replicas = services.ledger.replicas(registry, repository).values()
        for source in {(replica.source.registry, replica.source.repository) for replica in replicas}:
            known |= services.edges.load(*source)
    return known | services.edges.load(registry, repository)


def replicas_to_clean(services: Services, policy: Policy) -> Iterator[tuple[LoginServer, RepositoryName]]:
    """Yield the repositories of Docker Hub that rules name, in the namespaces that routes replicate to.

    :raises RegistryError: when Docker Hub cannot be asked.
    """
    retention = rules_for(policy.retention, DOCKER_HUB)
    hub = services.registries.docker_hub()
    if hub is None or not (retention.tag_rules or retention.untagged_rules):
        return
    for namespace in replicated_namespaces(policy):
        for found in hub.list_repositories(namespace):
            if retention.covers(DOCKER_HUB, found.name):
                yield DOCKER_HUB, found.name


def replicated_namespaces(policy: Policy) -> Sequence[str]:
    """Return the namespaces of Docker Hub that routes replicate to: no others are ever cleaned."""
    templates = (template for route in policy.replication.routes for template in route.targets)
    found = {each.path.partition("/")[0] for each in templates if each.registry == DOCKER_HUB}
    return sorted(namespace for namespace in found if "{" not in namespace)


class LedgerTimes:
    """Tells the times of replicated tags at their sources; reads the ledger of a repository once."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._read: dict[RepositoryName, dict[TagName, Replica]] = {}

    def __call__(
        self, repository: RepositoryName, tag: TagName, digest: Digest
    ) -> tuple[datetime, datetime] | None:
        """Return when the tag was created and last pushed at its source, if it holds what came from there."""
        if repository not in self._read:
            self._read[repository] = self._ledger.replicas(DOCKER_HUB, repository)
        replica = self._read[repository].get(tag)
        if replica is None or replica.digest != digest or replica.pushed is None:
            return None
        return replica.created or replica.pushed, replica.pushed
