"""What became of one tag that was to be replicated."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from shared.oci.names import Digest, Reference

type ReplicationResult = Literal["copied", "up_to_date", "superseded", "gone", "deferred", "failed"]
"""``superseded``: the source tag moved on while it was copied, and a later message copies it. ``gone``: the
source tag does not exist any more. ``deferred``: a registry asked us to come back later, and the message
will; all others are final."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicationOutcome:
    """One message's outcome; ``digest`` is what the target tag holds now, where that is known.

    ``target`` is the text of the route's template where it makes no name for the source. ``pushed`` is when
    the source's tag was, and ``lag`` how many seconds later the target had it; both are known only of what
    was copied, and from a source that tells.
    """

    route: str
    source: Reference
    target: Reference | str
    result: ReplicationResult
    at: datetime
    digest: Digest | None = None
    bytes_copied: int = 0
    seconds: float = 0.0
    detail: str = ""
    pushed: datetime | None = None
    lag: float | None = None
    run: str = ""

    def log_fields(self) -> dict[str, Any]:
        """Return the fields of a structured log line."""
        return {"run": self.run, **self.to_json()}

    def to_json(self) -> dict[str, Any]:
        """Return the stored form."""
        return {
            "route": self.route,
            "source": str(self.source),
            "target": str(self.target),
            "result": self.result,
            "at": self.at.isoformat(),
            "digest": self.digest,
            "bytes_copied": self.bytes_copied,
            "seconds": round(self.seconds, 3),
            "detail": self.detail,
            "pushed": None if self.pushed is None else self.pushed.isoformat(),
            "lag_seconds": None if self.lag is None else round(self.lag, 3),
        }
