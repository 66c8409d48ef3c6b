"""Instances that delete from one emulated registry's quota, in virtual time: minutes pass in milliseconds."""

import heapq
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from emulators.acr.quotas import Quotas, Sku
from shared.registry.pacing import ACR_BASIC_PACES
from shared.registry.turns import Turn, Turns

QUOTA: Final[dict[Sku, int]] = {"Standard": 500, "Premium": 2000}
"""Deletes a minute that one identity may ask for."""

_PATIENCE: Final = 45.0
_WINDOW: Final = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the registry answered to whom, and when it was asked."""

    at: float
    instance: int
    refused: bool


class SharedQuota:
    """A registry and its callers: each instance paces alone, and all its workers always want to delete."""

    def __init__(
        self, sku: Sku, *, joining: Sequence[float], workers: int = 16, latency: float = 0.03
    ) -> None:
        """Let an instance join at each of the times, in seconds; ``latency`` is an average."""
        self.now = 0.0
        self.answers: list[Answer] = []
        self._random = random.Random(7)  # noqa: S311 - the same race each time
        self._latency = latency
        self._per_second = QUOTA[sku] / 60
        self._quotas = Quotas(sku=sku, enforced=True, clock=lambda: datetime.fromtimestamp(self.now, UTC))
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._entries = 0
        start = ACR_BASIC_PACES["delete"].per_minute
        self.instances = [
            Turns(per_minute=start, clock=lambda: self.now, spread=self._random.random) for _ in joining
        ]
        for instance, time in enumerate(joining):
            for _ in range(workers):
                self._after(time, lambda instance=instance: self._ask(instance))  # type: ignore[misc]

    def run(self, *, until: float) -> None:
        """Let the time pass."""
        while self._agenda[0][0] < until:
            self.now, _, act = heapq.heappop(self._agenda)
            act()

    def accepted(self, *, since: float, until: float, instance: int | None = None) -> int:
        """Count the deletes that were done, by all or by one."""
        return sum(
            not each.refused and since < each.at <= until and instance in {None, each.instance}
            for each in self.answers
        )

    def use(self) -> float:
        """Return the part of the quota that was used between the first and the last time it ran out.

        In between, all that was refilled was either used or lost: the bucket was empty at both times.
        """
        first, last = self._ran_out()
        return self.accepted(since=first, until=last) / ((last - first) * self._per_second)

    def refusals(self) -> float:
        """Return the part of all requests that was answered 429."""
        return sum(each.refused for each in self.answers) / len(self.answers)

    def _ran_out(self) -> tuple[float, float]:
        """Return the first and the last time that a minute of refusals began."""
        refused = [each.at for each in self.answers if each.refused]
        first = last = refused[0]
        for at in refused:
            if at - last >= _WINDOW:
                last = at
        return first, last

    def _after(self, wait: float, act: Callable[[], None]) -> None:
        self._entries += 1
        heapq.heappush(self._agenda, (self.now + wait, self._entries, act))

    def _ask(self, instance: int, patience: float = _PATIENCE) -> None:
        """Do as the pacing layer does; who is told to come back later does so then, as the queue would."""
        turn = self.instances[instance].take(patience)
        if turn.wait > patience:
            self._after(turn.wait, lambda: self._ask(instance))
        else:
            self._after(turn.wait, lambda: self._send(instance, turn, patience - turn.wait))

    def _send(self, instance: int, turn: Turn, patience: float) -> None:
        if self.instances[instance].stands(turn):
            self._after(self._one_way(), lambda: self._count(instance, turn))
        else:
            self._ask(instance, patience)

    def _count(self, instance: int, turn: Turn) -> None:
        retry_after = self._quotas.take("steward", "delete")
        self.answers.append(Answer(self.now, instance, retry_after is not None))
        self._after(self._one_way(), lambda: self._answered(instance, turn, retry_after))

    def _answered(self, instance: int, turn: Turn, retry_after: int | None) -> None:
        if retry_after is not None:
            self.instances[instance].refused(turn, retry_after)
        self._ask(instance)

    def _one_way(self) -> float:
        return self._latency * self._random.random()
