"""Two sources with one target: what no policy shows, only a registry's names, such as flattened ones."""

from shared.jobs.services import Services
from shared.messages import ReplicateTag
from shared.oci.names import Reference
from shared.replication.routes import route_push


def find_rival(services: Services, message: ReplicateTag) -> Reference | None:
    """Return another source whose tag the target holds by right: a copy would only take turns with it.

    By right means that the ledger says so, that the policy routes it there today, and that it still exists.

    :raises StewardError: when ledger or registry cannot be asked.
    """
    replica = services.ledger.find(message.target)
    if replica is None or replica.source == message.source or replica.source.tag is None:
        return None
    other, tag = replica.source, replica.source.tag
    routed = route_push(other, services.policy.current().replication)
    if not any(each.target == message.target for each in routed):
        return None
    if other.registry not in services.settings.login_servers:
        return None
    there = services.registries.source(other.registry).repository(other.repository).resolve(tag)
    return None if there is None else other


def describe_rival(message: ReplicateTag, rival: Reference) -> str:
    """Return what a person has to know and to do."""
    return (
        f"{message.source} and {rival} have the same target, {message.target}, which holds the latter. "
        "To mend it: narrow the route's repositories, or tell them apart in its target"
    )
