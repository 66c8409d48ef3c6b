"""A policy document that was read, as the values that planning and routing take."""

from dataclasses import dataclass, field

from shared.replication.routes import ReplicationPolicy
from shared.retention.rules import RetentionPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One document; ``digest`` is that of its bytes, and stands in every plan made from it."""

    version: int = 1
    digest: str
    retention: RetentionPolicy = field(default_factory=RetentionPolicy)
    replication: ReplicationPolicy = field(default_factory=ReplicationPolicy)
