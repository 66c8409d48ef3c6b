"""Docker Hub without the app's ledger: what may be judged by its own times, and what is kept in doubt.

Docker Hub dates a replica by its replication (goharbor/harbor #17401), which comes after the push that it
copies. So what is too young there may be old at its source, never the other way round: an age that is
reached on Docker Hub is reached. The order is another matter: a backfill pushes old tags last. Which tags
are the newest is not known then, and all that might be among them stay.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from shared.oci.names import LoginServer, RepositoryName
from shared.retention.rules import KeepRule, Newest, RetentionPolicy, TagRule
from shared.selection import RepositorySelection

LATER: Final = (
    "ages are counted from the push to Docker Hub, which for replicas is later than that to their source: "
    "some that are old may stay"
)
REMEDY: Final = (
    "--settings FILE reads the app's ledger, which knows the times at the sources; --own-times says that "
    "nothing is replicated there"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """That a rule asks for what is not known."""

    repositories: RepositorySelection
    text: str

    def about(self, registry: LoginServer, repository: RepositoryName) -> bool:
        """Tell whether the rule is about the repository."""
        return self.repositories.covers(registry, repository)


def in_doubt(policy: RetentionPolicy) -> tuple[RetentionPolicy, tuple[Doubt, ...]]:
    """Return the policy for tags that may be older than they look, and what it leaves undone.

    It removes nothing that the policy as written keeps, were the true times known.
    """
    rules: tuple[KeepRule | TagRule, ...] = (*policy.keep_rules, *policy.tag_rules)
    ordered = [rule for rule in rules if _by_time(rule.newest)]
    careful = replace(
        policy,
        keep_rules=(
            *(replace(rule, newest=None) if _by_time(rule.newest) else rule for rule in policy.keep_rules),
            *(_keeping(rule) for rule in policy.tag_rules if _by_time(rule.newest) and rule.when == "all"),
        ),
        tag_rules=tuple(_careful(policy.tag_rules)),
    )
    return careful, tuple(_doubt(rule) for rule in ordered)


def _by_time(newest: Newest | None) -> bool:
    return newest is not None and newest.order_by != "semver"


def _careful(rules: tuple[TagRule, ...]) -> Iterator[TagRule]:
    """Yield the rules that act without an order by time; of either-or rules the half about age."""
    for rule in rules:
        if not _by_time(rule.newest):
            yield rule
        elif rule.when == "any" and rule.older_than is not None:
            yield replace(rule, newest=None)


def _keeping(rule: TagRule) -> KeepRule:
    return KeepRule(name=rule.name, repositories=rule.repositories, tags=rule.tags)


def _doubt(rule: KeepRule | TagRule) -> Doubt:
    what = "goes by its age only" if isinstance(rule, TagRule) and rule.when == "any" else "stays"
    text = f"rule {rule.name}: which tags are the {rule.newest} is not known; all that it matches {what}"
    return Doubt(repositories=rule.repositories, text=text)
