"""Telling a registry that is out from one request that failed."""

from threading import Lock
from typing import Final

from shared.retention.report import Outcome

_FEW: Final = 3


class Outages:
    """Actions that met no answer. Safe to use from several threads.

    A few in a row say that the registry is out: what they were about can be done later. One between others
    that were answered says something of that one thing; of one at the end nobody knows yet.
    """

    def __init__(self) -> None:
        self._guard = Lock()
        self._in_a_row = 0
        self._met: list[Outcome] = []

    @property
    def going_on(self) -> bool:
        """Tell whether the latest action met no answer."""
        return self._in_a_row > 0

    def met(self, failure: Outcome) -> bool:
        """Note the failure of one action; tell whether the registry seems to be out."""
        with self._guard:
            self._in_a_row += 1
            self._met.append(failure)
            return self._in_a_row >= _FEW

    def answered(self) -> None:
        """Note that the registry answered."""
        with self._guard:
            self._in_a_row = 0

    def take(self) -> list[Outcome]:
        """Return the failures that were noted, and forget them."""
        with self._guard:
            found, self._met = self._met, []
            return found
