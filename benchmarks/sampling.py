"""Taking samples in turn, so that whatever else the machine does meets all contenders alike."""

import time
from collections.abc import Callable


def interleave(*contenders: Callable[[], float], rounds: int, warm: bool = True) -> list[list[float]]:
    """Run A B C, A B C, ... and return the samples of each contender; a warm-up round is thrown away.

    Every second round goes backwards, so that nobody always runs in the wake of the same neighbour.
    """
    samples: list[list[float]] = [[] for _ in contenders]
    turns = list(zip(contenders, samples, strict=True))
    if warm:
        for contender in contenders:
            contender()
    for number in range(rounds):
        for contender, taken in turns if number % 2 == 0 else reversed(turns):
            taken.append(contender())
    return samples


def seconds(action: Callable[[], object]) -> float:
    """Return how long the action takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def rate(action: Callable[[], object], times: int) -> float:
    """Return how often a second the action can be done, from doing it so many times."""

    def repeat() -> None:
        for _ in range(times):
            action()

    return times / seconds(repeat)
