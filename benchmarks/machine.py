"""What figures were taken on: ratios travel better than seconds, but not from a machine that is busy."""

import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Cores, Python, and how many processes wanted a core in the minute before."""

    date: str
    cores: int
    python: str
    load: float

    @classmethod
    def now(cls) -> Self:
        """Return this machine as it is."""
        return cls(
            date=f"{datetime.now(UTC):%Y-%m-%d}",
            cores=os.cpu_count() or 1,
            python=platform.python_version(),
            load=round(os.getloadavg()[0], 1),
        )

    @property
    def is_busy(self) -> bool:
        """Tell whether others leave too little for what runs several processes at once."""
        return self.load > self.cores / 2

    def __str__(self) -> str:
        """Read as ``2026-03-01, 2 cores, Python 3.13.2, load 0.4``."""
        busy = "; this machine is busy, and what needs several cores looks worse than it is"
        return (
            f"{self.date}, {self.cores} cores, Python {self.python}, load {self.load:g}"
            f"{busy if self.is_busy else ''}"
        )
