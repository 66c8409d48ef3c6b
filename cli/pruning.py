"""Removing untagged manifests of a repository by the planner's own rules, without a policy document."""

from collections.abc import Sequence
from datetime import UTC, datetime

from cli.cleaning import apply_after_asking
from cli.exits import Failure
from cli.output import Output
from cli.places import parse_repository_place
from cli.planning import Planned
from cli.planview import show_failures, show_plans
from cli.registries import Registries
from shared.errors import StewardError
from shared.oci.names import LoginServer
from shared.policy import Policy
from shared.retention.durations import parse_duration
from shared.retention.limits import Limit, Limits
from shared.retention.plan import RepositoryPlan, plan_repository
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
    references = [parse_repository_place(place) for place in places]
    registry: LoginServer = references[0].registry
    if any(reference.registry != registry for reference in references):
        raise Failure("one registry at a time")
    now = datetime.now(UTC)
    policy = _policy(older_than)
    plans: list[RepositoryPlan] = []
    failures: list[tuple[str, StewardError]] = []
    acr = registries.acr(registry, purpose="be pruned")
    for reference in references:
        try:
            plans.append(plan_repository(acr.snapshot(reference.repository), policy.retention, now=now))
        except StewardError as error:
            failures.append((f"{registry}/{reference.repository}", error))
    planned = Planned(registry=registry, at=now, policy=policy, plans=tuple(plans), failures=tuple(failures))
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
