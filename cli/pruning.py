"""Removing untagged manifests of a repository by the planner's own rules, without a policy document."""

from collections.abc import Sequence
from datetime import UTC, datetime

from cli.cleanable import Cleanable, client_to_clean
from cli.cleaning import apply_after_asking
from cli.exits import Failure
from cli.output import Output
from cli.places import parse_repository_place
from cli.planning import Planned, plan_all
from cli.planview import show_failures, show_plans
from cli.registries import Registries
from shared.policy import Policy
from shared.retention.durations import parse_duration
from shared.retention.limits import Limit, Limits
from shared.retention.rules import RetentionPolicy, UntaggedRule
from shared.selection import RepositorySelection, parse_glob


def prune(
    output: Output,
    registries: Registries,
    places: Sequence[str],
    *,
    older_than: str,
    yes: bool,
    dry_run: bool,
) -> int:
    """Plan, show and, once agreed, remove what no tag names and nothing kept holds."""
    references = list(dict.fromkeys(parse_repository_place(place) for place in places))
    registry = references[0].registry
    if any(reference.registry != registry for reference in references):
        raise Failure("one registry at a time")
    now = datetime.now(UTC)
    policy = _policy(older_than)
    rules = policy.retention
    client = client_to_clean(registries, registry, purpose="be pruned")
    cleaned = Cleanable(login_server=registry, client=client, policy=rules, rules=rules)
    plans, failures = plan_all(output, cleaned, [each.repository for each in references], at=now)
    planned = Planned(registry=registry, at=now, policy=policy, rules=rules, plans=plans, failures=failures)
    if not output.json:
        show_plans(output, planned, complete=False)
    show_failures(output, planned)
    wanted = [] if dry_run else [plan for plan in plans if not plan.is_empty]
    return apply_after_asking(output, registries, planned, wanted, yes=yes)


def _policy(older_than: str) -> Policy:
    """Return a policy with the one rule; a person who names a repository needs no limits."""
    age = parse_duration(older_than, zero=True)
    rule = UntaggedRule(
        name="untagged",
        repositories=RepositorySelection(repositories=(parse_glob("**", "repository"),)),
        older_than=age,
    )
    none = Limits(repository=Limit(), run=Limit())
    retention = RetentionPolicy(digest="", grace=age, untagged_rules=(rule,), limits=none)
    return Policy(digest="", retention=retention)
