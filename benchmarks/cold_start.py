"""How long a fresh interpreter takes until the host has its functions."""

from collections.abc import Iterator
from functools import partial
from typing import Final

from benchmarks.children import run_python
from benchmarks.figures import Figure, Target
from benchmarks.sampling import interleave

_TIMED: Final = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"
_PACKAGES: Final = "azure.functions, azure.identity, azure.containerregistry, azure.eventgrid, requests"
_INDEXING: Final = "function_app"
_EVERYTHING: Final = (
    "function_app, shared.settings, shared.wiring, shared.jobs.receiving, shared.jobs.replicating, "
    "shared.jobs.reconciling, shared.jobs.nightly, shared.jobs.cleaning, shared.jobs.poisoned"
)


def time_cold_start(*, quick: bool) -> Iterator[Figure]:
    """Import the app, and the five packages that it is built on, each in fresh interpreters.

    Indexing is what the host waits for; the first invocation imports the rest.
    """
    packages, indexing, everything = interleave(
        *(partial(_import, modules) for modules in (_PACKAGES, _INDEXING, _EVERYTHING)),
        rounds=1 if quick else 9,
        warm=not quick,
    )
    for what, samples, target in (
        ("cold start: import function_app / the five packages", indexing, Target(bound=1.3)),
        ("cold start: and all that a first invocation imports", everything, None),
    ):
        yield Figure(
            what=what,
            ours=min(samples),
            reference=min(packages),
            target=target,
            samples=samples,
            reference_samples=packages,
        )


def _import(modules: str) -> float:
    return float(run_python(_TIMED.format(modules)).output)
