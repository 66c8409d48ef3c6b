"""Registries that are cleaned only by rules that name them: Docker Hub is where other people pull from."""

from dataclasses import replace
from typing import Final

from shared.oci.names import DOCKER_HUB, LoginServer
from shared.retention.rules import RetentionPolicy, TagRule, UntaggedRule

_EXPLICIT: Final = frozenset({DOCKER_HUB})


def rules_for(policy: RetentionPolicy, registry: LoginServer) -> RetentionPolicy:
    """Return the policy as it is for one registry: for Docker Hub without the rules that do not name it.

    To name it is to have ``docker.io`` under ``registries``; a glob that happens to match it is not enough.
    What keeps tags needs no naming.
    """
    if registry not in _EXPLICIT:
        return policy
    return replace(
        policy,
        tag_rules=tuple(rule for rule in policy.tag_rules if _names(rule, registry)),
        untagged_rules=tuple(rule for rule in policy.untagged_rules if _names(rule, registry)),
    )


def _names(rule: TagRule | UntaggedRule, registry: LoginServer) -> bool:
    return any(glob.is_literal and glob.matches(registry) for glob in rule.repositories.registries)
