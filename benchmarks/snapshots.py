"""A snapshot of a large repository, beside the loop that anyone would write with ``requests``."""

from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urljoin

import requests

from benchmarks.figures import Figure, Target
from benchmarks.registry_process import RegistryProcess
from benchmarks.sampling import interleave, seconds
from shared.oci.names import RepositoryName

_REPOSITORY = RepositoryName("team/app")


def time_snapshot(*, quick: bool) -> Iterator[Figure]:
    """Take a snapshot whose bodies are known already, and page through the same two lists plainly."""
    count = 400 if quick else 100_000
    with ExitStack() as running:
        registry = running.enter_context(RegistryProcess())
        registry.fill(_REPOSITORY, count, kind="indexes")
        client = running.enter_context(registry.place.client(paces={}))
        known = client.snapshot(_REPOSITORY).edges
        session = running.enter_context(registry.session(_REPOSITORY, "metadata_read"))
        home = f"{registry.place.url}/acr/v1/{_REPOSITORY.replace('/', '%2F')}"

        def ours() -> float:
            found = []
            taken = seconds(lambda: found.append(client.snapshot(_REPOSITORY, edges_known=known)))
            assert len(found[0].manifests) == count
            return taken

        def plainly() -> float:
            found: list[object] = []

            def read() -> None:
                for kind in ("manifests", "tags"):
                    found.extend(_pages(session, f"{home}/_{kind}?n=1000", kind))

            taken = seconds(read)
            assert len(found) > count
            return taken

        samples, beside = interleave(ours, plainly, rounds=1 if quick else 5)
    yield Figure(
        what=f"snapshot of {count:,} manifests / a requests paging loop",
        ours=min(samples),
        reference=min(beside),
        target=Target(bound=1.3),
        samples=samples,
        reference_samples=beside,
    )


def _pages(session: requests.Session, url: str | None, kind: str) -> Iterator[object]:
    while url is not None:
        answer = session.get(url, timeout=30)
        answer.raise_for_status()
        yield from answer.json()[kind]
        link = answer.links.get("next")
        url = None if link is None else urljoin(url, link["url"])
