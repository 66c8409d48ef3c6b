"""A registry in the small: repositories written down as tests need them, with digests that read as names."""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from shared.oci import media_types
from shared.oci.graph import Edges
from shared.oci.names import Digest, LoginServer, RepositoryName, TagName
from shared.policy import parse_policy
from shared.retention.plan import RepositoryPlan, plan_repository
from shared.retention.rules import RetentionPolicy
from shared.retention.snapshot import ManifestRecord, RepositorySnapshot, TagRecord

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
REGISTRY = LoginServer("demo.azurecr.io")
REPOSITORY = RepositoryName("team/app")


def digest(name: str) -> Digest:
    return Digest(f"sha256:{hashlib.sha256(name.encode()).hexdigest()}")


def cosign_tag(name: str, suffix: str = ".sig") -> TagName:
    return TagName(digest(name).replace(":", "-") + suffix)


def retention(rules: str, *, protect: str = "", grace: str = "24h") -> RetentionPolicy:
    """Return the policy with these rules, each a line in YAML's flow style."""
    lines = ["version: 1", "retention:", f"  grace: {grace}"]
    if protect:
        lines += ["  protect:", *(f"  - {{repositories: ['**'], tags: {tags}}}" for tags in [protect])]
    lines += ["  rules:", *(f"  - {rule.strip()}" for rule in rules.strip().splitlines())]
    return parse_policy("\n".join(lines)).retention


class Repository:
    """A repository being written down; ages are in days."""

    def __init__(self) -> None:
        self.tags: list[TagRecord] = []
        self.manifests: dict[Digest, ManifestRecord] = {}
        self.edges: dict[Digest, Edges] = {}
        self.unreadable: dict[Digest, str] = {}
        self.locked = False

    def manifest(
        self,
        name: str,
        *,
        age: float = 40,
        children: Iterable[str] | None = None,
        subject: str | None = None,
        tags: Iterable[str] = (),
        locked: bool = False,
        media_type: str | None = media_types.OCI_MANIFEST,
    ) -> Digest:
        made = NOW - timedelta(days=age)
        if children is not None:
            media_type = media_types.OCI_INDEX
        key = digest(name)
        self.manifests[key] = ManifestRecord(key, media_type, made, made, 100, locked)
        if children is not None or subject is not None:
            self.edges[key] = Edges(
                tuple(digest(child) for child in children or ()), None if subject is None else digest(subject)
            )
        for tag in tags:
            self.tag(tag, name, age=age)
        return key

    def tag(
        self, tag: str, name: str, *, age: float = 40, created: float | None = None, locked: bool = False
    ) -> None:
        updated = NOW - timedelta(days=age)
        made = updated if created is None else NOW - timedelta(days=created)
        self.tags.append(TagRecord(TagName(tag), digest(name), made, updated, locked))

    def snapshot(self) -> RepositorySnapshot:
        return RepositorySnapshot(
            registry=REGISTRY,
            repository=REPOSITORY,
            taken_at=NOW,
            tags=tuple(self.tags),
            manifests=tuple(self.manifests.values()),
            edges=self.edges,
            unreadable=self.unreadable,
            locked=self.locked,
        )

    def plan(self, policy: RetentionPolicy) -> RepositoryPlan:
        return plan_repository(self.snapshot(), policy, now=NOW)


def untagged(plan: RepositoryPlan) -> set[str]:
    return {str(entry.tag) for entry in plan.untag}


def deleted(plan: RepositoryPlan, names: Iterable[str]) -> set[str]:
    """Return which of the manifests go, by the names that the test gave them; no other may."""
    by_digest = {digest(name): name for name in names}
    return {by_digest[entry.digest] for entry in plan.delete}


def why(plan: RepositoryPlan, what: str) -> str:
    """Return the reason of the verdict on a tag, or on a manifest by the test's name for it."""
    verdicts: Mapping[str, str] = {
        **{str(verdict.tag): str(verdict.reason) for verdict in plan.tag_verdicts},
        **{str(verdict.digest): str(verdict.reason) for verdict in plan.manifest_verdicts},
    }
    return verdicts.get(what) or verdicts[digest(what)]
