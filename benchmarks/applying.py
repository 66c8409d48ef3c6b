"""Deleting from a registry that is 20 ms away, with 32 workers."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from statistics import median

from benchmarks.children import Worker
from benchmarks.figures import Figure, Target
from benchmarks.registry_process import RegistryProcess
from benchmarks.sampling import interleave, seconds

_LATENCY = 0.02
_WORKERS = 32
_LOOK_AND_DELETE = 2
_PATIENCE = 600


def time_apply_under_latency(*, quick: bool) -> Iterator[Figure]:
    """Apply plans, and let bare sessions look at and delete as many manifests, the same way."""
    deletes = 64 if quick else 3000
    ceiling = _WORKERS / (_LOOK_AND_DELETE * _LATENCY)
    requests_per_delete: list[float] = []
    names = (f"team/app{number}" for number in count())
    with RegistryProcess(latency=_LATENCY) as registry, Worker("benchmarks.applier") as instance:

        def ours() -> float:
            name = next(names)
            registry.fill(name, deletes, kind="docker")
            options = {"paces": {}, "threads": _WORKERS}
            planned = instance.ask(
                ask="prepare", place=registry.place._asdict(), repository=name, options=options
            )
            assert planned == deletes
            registry.forget()
            answer = instance.ask(ask="apply", threads=_WORKERS, until=time.time() + _PATIENCE)
            assert answer["results"] == {"done": deletes}, answer
            requests_per_delete.append(registry.count() / deletes)
            return float(deletes / answer["seconds"])

        def plainly() -> float:
            name = next(names)
            digests = registry.fill(name, deletes, kind="docker")
            return _delete_plainly(registry, name, digests)

        samples, beside = interleave(ours, plainly, rounds=1 if quick else 3, warm=not quick)
    yield Figure(
        what=f"deletes at {_LATENCY * 1000:g} ms by {_WORKERS} workers / what latency allows",
        unit="/s",
        ours=max(samples),
        reference=ceiling,
        target=Target(bound=0.85, kind="at least"),
        samples=samples,
    )
    yield Figure(
        what="  the same / bare requests sessions, which share our cores",
        unit="/s",
        ours=max(samples),
        reference=max(beside),
        samples=samples,
        reference_samples=beside,
    )
    yield Figure(
        what="  requests per delete",
        unit="requests",
        ours=median(requests_per_delete),
        target=Target(bound=2.1, of="ours"),
        samples=requests_per_delete,
    )


def _delete_plainly(registry: RegistryProcess, name: str, digests: Sequence[str]) -> float:
    metadata = f"{registry.place.url}/acr/v1/{name.replace('/', '%2F')}/_manifests"
    manifests = f"{registry.place.url}/v2/{name}/manifests"
    actions = ("metadata_read", "delete")
    with (
        registry.session(name, *actions, threads=_WORKERS) as session,
        ThreadPoolExecutor(_WORKERS) as pool,
    ):

        def delete(digest: str) -> None:
            session.get(f"{metadata}/{digest}", timeout=30).raise_for_status()
            session.delete(f"{manifests}/{digest}", timeout=30).raise_for_status()

        return len(digests) / seconds(lambda: list(pool.map(delete, digests)))
