"""What a policy says, and what it would do to one repository as it is now; nothing is stored or removed."""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any

from shared.errors import NotFound
from shared.jobs.cleaned import cleaned_registry, known_edges, replicated_namespaces
from shared.jobs.services import Services
from shared.oci.names import DOCKER_HUB, LoginServer, RepositoryName
from shared.policy import Policy
from shared.replication.templates import TargetTemplate
from shared.retention.explicit import rules_for
from shared.retention.plan import RepositoryPlan, plan_within_limits


def preview_plan(
    services: Services,
    policy: Policy,
    registry: LoginServer,
    repository: RepositoryName,
    *,
    now: datetime,
) -> RepositoryPlan | None:
    """Return what the policy would remove; ``None`` when no night would ever look at such a repository.

    It is the plan of a night: the same snapshot, rules, planner, limits and caps.

    :raises InvalidSettings: when nothing says how to reach the registry.
    :raises RegistryError: when the registry cannot be read.
    """
    if not _is_ours(services, policy, registry, repository):
        return None
    known = known_edges(services, registry, repository)
    try:
        snapshot = cleaned_registry(services, registry).snapshot(repository, edges_known=known)
    except NotFound:
        return None
    return plan_within_limits(snapshot, rules_for(policy.retention, registry), now=now)


def _is_ours(services: Services, policy: Policy, registry: LoginServer, repository: RepositoryName) -> bool:
    if registry == DOCKER_HUB:
        return repository.partition("/")[0] in replicated_namespaces(policy)
    return registry in services.settings.login_servers


def policy_to_json(policy: Policy) -> dict[str, Any]:
    """Return the policy as it was understood: every rule with its defaults, empty selections left out."""
    retention, replication = policy.retention, policy.replication
    return {
        "version": policy.version,
        "digest": policy.digest,
        "retention": {
            "grace": _plain(retention.grace),
            "protections": _plain(retention.protections),
            "keep_rules": _plain(retention.keep_rules),
            "tag_rules": _plain(retention.tag_rules),
            "untagged_rules": _plain(retention.untagged_rules),
            "limits": _plain(retention.limits),
            "at_most": _plain(retention.at_most),
        },
        "replication": {"routes": _plain(replication.routes)},
    }


def _plain(value: object) -> Any:
    """Return JSON values; what was written as one text in the document reads as that text."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Sequence():
            return [_plain(each) for each in value]
    text = getattr(value, "text", None)
    if isinstance(text, str):
        return text
    if isinstance(value, TargetTemplate) or not is_dataclass(value):
        return str(value)
    found = {each.name: _plain(getattr(value, each.name)) for each in fields(value) if each.repr}
    return {name: each for name, each in found.items() if each not in (None, [], {})}
