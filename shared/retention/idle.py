"""Rules that found nothing to do: most likely a pattern that is wrong."""

from collections.abc import Container, Sequence

from shared.oci.names import LoginServer, RepositoryName
from shared.retention.rules import RetentionPolicy


def describe_idle_rules(
    policy: RetentionPolicy,
    matched: Container[str],
    repositories: Sequence[tuple[LoginServer, RepositoryName]],
) -> tuple[str, ...]:
    """Return one sentence for each rule that matched nothing in the repositories that a run looked at."""
    return tuple(
        f"rule {rule.name} matched nothing in any repository"
        if any(rule.repositories.covers(*place) for place in repositories)
        else f"rule {rule.name} names none of the repositories that there are"
        for rule in policy.rules
        if rule.name not in matched
    )
