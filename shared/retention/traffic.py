"""What some work asked of registries, in numbers."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Requests by class of endpoint, every try counted; refusals as too many (429); and seconds of waiting.

    Threads that wait at the same time each count what they wait.
    """

    requests: Mapping[str, int] = field(default_factory=dict)
    throttled: int = 0
    waited: float = 0.0

    def __add__(self, other: "Traffic") -> "Traffic":
        return Traffic(
            requests=dict(Counter(self.requests) + Counter(other.requests)),
            throttled=self.throttled + other.throttled,
            waited=self.waited + other.waited,
        )

    @property
    def counts(self) -> dict[str, int]:
        """Return the numbers as whole ones, all requests together."""
        return {
            "requests": sum(self.requests.values()),
            "throttled": self.throttled,
            "waited_seconds": math.ceil(self.waited),
        }

    def to_json(self) -> dict[str, Any]:
        """Return the stored form."""
        return {
            "requests": dict(sorted(self.requests.items())),
            "throttled": self.throttled,
            "waited_seconds": round(self.waited, 3),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Traffic":
        """Return the traffic that :meth:`to_json` wrote."""
        return cls(
            requests=document["requests"],
            throttled=document["throttled"],
            waited=document["waited_seconds"],
        )
