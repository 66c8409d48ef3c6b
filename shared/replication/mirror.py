"""What became of a target's tag whose source is gone."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from shared.oci.names import Reference

type MirrorResult = Literal[
    "removed", "would_remove", "already_gone", "came_back", "overwritten", "locked", "refused", "failed"
]
"""``would_remove``: deleting is not switched on. ``came_back``: the source has the tag again.
``overwritten``: somebody else wrote the tag. ``refused``: a limit forbids to remove so many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorOutcome:
    """One tag's outcome."""

    target: Reference
    result: MirrorResult
    at: datetime
    detail: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the stored form."""
        return {
            "target": str(self.target),
            "result": self.result,
            "detail": self.detail,
            "at": self.at.isoformat(),
        }
