"""What became of one copy."""

import threading
from dataclasses import dataclass

from shared.oci.names import Digest, TagName


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyReport:
    """One copy, counted.

    ``up_to_date`` means that the target had it already; ``superseded`` that the copy stopped because it was
    overtaken, without touching the tag.
    """

    digest: Digest
    tag: TagName | None
    up_to_date: bool = False
    superseded: bool = False
    blobs_copied: int = 0
    blobs_mounted: int = 0
    blobs_skipped: int = 0
    manifests_copied: int = 0
    manifests_skipped: int = 0
    referrers: int = 0
    bytes_copied: int = 0
    healed: bool = False
    seconds: float = 0.0


class Tally:
    """The counts of a copy in the making, added to by many threads."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._counts: dict[str, int] = {}

    def add(self, name: str, amount: int = 1) -> None:
        """Count."""
        with self._guard:
            self._counts[name] = self._counts.get(name, 0) + amount

    def counts(self) -> dict[str, int]:
        """Return the counts by the names of the report's fields."""
        with self._guard:
            return dict(self._counts)
