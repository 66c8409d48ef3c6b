"""Our copier in a process of its own, warm as a Functions worker is: ``python -m benchmarks.copier``."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from benchmarks.children import serve
from benchmarks.memory import peak_mebibytes
from shared.oci.names import parse_login_server, parse_repository, parse_tag
from shared.registry.client import RegistryClient
from shared.registry.copy import copy_graph
from shared.registry.transport import TransportOptions

_BATCH: Final = 8
"""Messages that a worker takes from the queue at a time (``batchSize`` in ``host.json``)."""


def copy(source: str, target: str, repository: str, tags: Sequence[str]) -> dict[str, float]:
    """Copy tags from one loopback registry to another; answer with the seconds and the peak in MiB."""
    started = time.perf_counter()
    name = parse_repository(repository)
    options = TransportOptions(threads=_BATCH * 8)
    with _client(source, options) as origin, _client(target, options) as destination:
        near, far = origin.repository(name), destination.repository(name)
        with ThreadPoolExecutor(_BATCH) as pool:
            reports = list(
                pool.map(lambda tag: copy_graph(near, far, parse_tag(tag), tag=parse_tag(tag)), tags)
            )
    return {
        "seconds": time.perf_counter() - started,
        "peak": peak_mebibytes(),
        "bytes": sum(report.bytes_copied for report in reports),
        "up_to_date": sum(report.up_to_date for report in reports),
    }


def _client(netloc: str, options: TransportOptions) -> RegistryClient:
    return RegistryClient(parse_login_server(netloc), endpoint=f"http://{netloc}", options=options)


if __name__ == "__main__":
    serve({"copy": copy}, {})
