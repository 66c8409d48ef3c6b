"""Deleting from a registry that counts: how much of the quota is used, and how often it is exceeded."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

from benchmarks.children import Worker
from benchmarks.figures import Figure, Target
from benchmarks.registry_process import RegistryProcess

_PER_MINUTE = 500
"""Deletes that a Standard registry allows one identity, all of which may come at once."""

_FILLED = 4


def time_apply_under_quota(*, quick: bool) -> Iterator[Figure]:
    """Let one instance clean a registry for some minutes, and four of them another at the same time."""
    duration = 2.0 if quick else 240.0
    with ThreadPoolExecutor(2) as pool:
        contests = [pool.submit(_clean, instances, duration) for instances in (1, 2 if quick else 4)]
        for contest in contests:
            yield from contest.result()


def _clean(instances: int, duration: float) -> list[Figure]:
    """Compare what was deleted with the quota: what was in store, what came in, less what is still there.

    So a quota is lost only while it is full and more would have come in.
    """
    expected = int(_PER_MINUTE * (1 + duration / 60))
    share = expected // instances
    with ExitStack() as running:
        registry = running.enter_context(RegistryProcess(sku="Standard", enforce_quotas=True))
        workers = [running.enter_context(Worker("benchmarks.applier")) for _ in range(instances)]
        for number, worker in enumerate(workers):
            registry.fill(f"team/app{number}", min(share * _FILLED, expected), kind="docker")
            worker.ask(
                ask="prepare",
                place=registry.place._asdict(),
                repository=f"team/app{number}",
                options={},
            )
        registry.forget()
        began = time.monotonic()
        until = time.time() + duration
        with ThreadPoolExecutor(instances) as pool:
            answers: list[dict[str, Any]] = list(
                pool.map(lambda worker: worker.ask(ask="apply", threads=16, until=until), workers)
            )
        done = sum(answer["results"].get("done", 0) for answer in answers)
        left = registry.deletes_left()
        allowed = _PER_MINUTE * (1 + (time.monotonic() - began) / 60) - left
        refused = registry.count(status=429)
        asked = registry.count()
    who = "one instance" if instances == 1 else f"{instances} instances"
    return [
        Figure(
            what=f"deletes under a quota by {who} / what it allows in {duration:g} s",
            unit="",
            ours=done,
            reference=allowed,
            target=Target(bound=0.95, kind="at least"),
        ),
        Figure(
            what="  requests that were refused",
            unit="%",
            ours=100 * refused / asked,
            target=Target(bound=1, of="ours"),
        ),
    ]
