"""Plans as the one JSON document that ``plan`` and ``clean`` print; its shape is kept."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from cli.planning import Planned
from shared.render import plan_to_json
from shared.retention.plan import RepositoryPlan

_PLAN: Final = ("repository", "untag", "delete", "keep", "warnings", "refused")
_UNTAG: Final = ("tag", "digest", "rule", "reason")
_DELETE: Final = ("digest", "rule", "reason")


def plans_document(planned: Planned) -> dict[str, Any]:
    """Return everything that was planned."""
    return {
        "registry": planned.registry,
        "at": planned.at.isoformat(),
        "policy_digest": planned.policy.digest,
        "repositories": [plan_document(plan) for plan in planned.plans],
    }


def plan_document(plan: RepositoryPlan) -> dict[str, Any]:
    """Return one repository's plan."""
    whole = plan_to_json(plan)
    document = {name: whole[name] for name in _PLAN}
    if plan.postponed is not None:
        document["warnings"].append(str(plan.postponed))
    document["untag"] = _only(_UNTAG, whole["untag"])
    document["delete"] = _only(_DELETE, whole["delete"])
    return document


def _only(names: Iterable[str], entries: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{name: entry[name] for name in names} for entry in entries]
