"""What a policy says about retention, as values that the planner reads."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Literal

from shared.oci.names import LoginServer, RepositoryName
from shared.retention.caps import Caps
from shared.retention.durations import Duration
from shared.retention.limits import Limits
from shared.selection import RepositorySelection, TagSelection

type AgeBy = Literal["updated", "created"]
type OrderBy = Literal["updated", "created", "semver"]

DEFAULT_GRACE = Duration(timedelta(hours=24), "24h")


@dataclass(frozen=True, slots=True, kw_only=True)
class Newest:
    """The first ``count`` tags of a repository, or of each stream, in the order given.

    ``per`` names the group of the tag expressions whose capture tells the streams apart.
    """

    count: int
    order_by: OrderBy = "updated"
    per: str | None = None

    def __str__(self) -> str:
        """Read as ``newest 2``."""
        return f"highest {self.count} versions" if self.order_by == "semver" else f"newest {self.count}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """Tags that stay whatever any rule says."""

    name: str
    repositories: RepositorySelection
    tags: TagSelection


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepRule:
    """Tags that stay; with ``newest``, only the newest of those that match."""

    name: str
    repositories: RepositorySelection
    tags: TagSelection
    newest: Newest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TagRule:
    """Tags that go: older than an age and outside the newest N, or, with ``any``, one of the two.

    With ``all``, what is among the newest N is also kept from every other rule. ``only_if_more_than`` is
    how many tags a repository may have without the rule acting on it.
    """

    name: str
    repositories: RepositorySelection
    tags: TagSelection
    older_than: Duration | None = None
    age_by: AgeBy = "updated"
    newest: Newest | None = None
    when: Literal["all", "any"] = "all"
    only_if_more_than: int | None = None
    untag_only: bool = False
    on_push: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UntaggedRule:
    """Manifests that no tag names and nothing kept holds go, once older than an age."""

    name: str
    repositories: RepositorySelection
    older_than: Duration | None = None
    on_push: bool = False


type Rule = KeepRule | TagRule | UntaggedRule


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPolicy:
    """The retention half of a policy document; ``digest`` is that of the whole document's bytes."""

    digest: str = ""
    grace: Duration = DEFAULT_GRACE
    protections: tuple[Protection, ...] = ()
    keep_rules: tuple[KeepRule, ...] = ()
    tag_rules: tuple[TagRule, ...] = ()
    untagged_rules: tuple[UntaggedRule, ...] = ()
    limits: Limits = field(default_factory=Limits)
    at_most: Caps = field(default_factory=Caps)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Return all rules, sorted by name; protections are not rules."""
        rules: tuple[Rule, ...] = (*self.keep_rules, *self.tag_rules, *self.untagged_rules)
        return tuple(sorted(rules, key=lambda rule: rule.name))

    @property
    def rule_names(self) -> tuple[str, ...]:
        """Return the names of all rules, sorted."""
        return tuple(rule.name for rule in self.rules)

    def covers(self, registry: LoginServer, repository: RepositoryName) -> bool:
        """Tell whether any rule could remove something there: without one, nothing needs to be read."""
        removing: tuple[TagRule | UntaggedRule, ...] = (*self.tag_rules, *self.untagged_rules)
        return any(rule.repositories.covers(registry, repository) for rule in removing)

    def on_push(self) -> "RetentionPolicy":
        """Return the policy for right after a push: only rules marked for it remove, and all keep."""
        keeping = tuple(
            KeepRule(name=rule.name, repositories=rule.repositories, tags=rule.tags, newest=rule.newest)
            for rule in self.tag_rules
            if not rule.on_push and rule.newest is not None and rule.when == "all"
        )
        return replace(
            self,
            keep_rules=(*self.keep_rules, *keeping),
            tag_rules=tuple(rule for rule in self.tag_rules if rule.on_push),
            untagged_rules=tuple(rule for rule in self.untagged_rules if rule.on_push),
        )
