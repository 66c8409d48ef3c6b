"""How fast the emulator answers from another process over TLS: the ceiling of what is measured against it."""

import socket
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from urllib.parse import urlsplit

from benchmarks.figures import Figure
from benchmarks.registry_process import RegistryProcess
from benchmarks.sampling import interleave, rate, seconds
from shared.oci.names import RepositoryName

_REPOSITORY = RepositoryName("team/app")
_CONNECTIONS = 4
_PAGE = 100


def time_emulator(*, quick: bool) -> Iterator[Figure]:
    """Ask for a manifest, and for a page of a list, by bare sockets and by the usual clients."""
    manifests, asked = (200, 32) if quick else (1000, 2000)
    with ExitStack() as running:
        registry = running.enter_context(RegistryProcess())
        digest = registry.fill(_REPOSITORY, manifests, kind="oci")[-1]
        session = running.enter_context(registry.session(_REPOSITORY, "pull", "metadata_read"))
        repository = running.enter_context(registry.place.client(paces={})).repository(_REPOSITORY)
        manifest = f"/v2/{_REPOSITORY}/manifests/{digest}"
        page = f"/acr/v1/{_REPOSITORY.replace('/', '%2F')}/_manifests?n={_PAGE}"

        def by_sockets(url: str, count: int) -> Callable[[], float]:
            return partial(
                _rate_by_sockets, registry.place.ca_file, str(session.headers["Authorization"]), url, count
            )

        def by_session() -> float:
            return rate(lambda: session.get(registry.place.url + manifest).raise_for_status(), asked // 4)

        def by_client() -> float:
            return rate(lambda: repository.fetch_manifest(digest), asked // 4)

        bare, got, listed, plain, ours = interleave(
            by_sockets(registry.place.bare_url + "/", asked),
            by_sockets(registry.place.url + manifest, asked),
            by_sockets(registry.place.url + page, asked // 4),
            by_session,
            by_client,
            rounds=1 if quick else 5,
        )
    for what, samples, reference in (
        ("emulator: manifest GET by bare sockets / any ASGI answer", got, bare),
        (f"emulator: list pages of {_PAGE} by bare sockets / any ASGI answer", listed, bare),
        ("emulator: manifest GET by our client / a requests session", ours, plain),
    ):
        yield Figure(
            what=what,
            unit="/s",
            ours=max(samples),
            reference=max(reference),
            samples=samples,
            reference_samples=reference,
        )


def _rate_by_sockets(ca_file: str, authorization: str, url: str, count: int) -> float:
    parts = urlsplit(url)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    request = (
        f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: {authorization}\r\n\r\n".encode()
    )
    context = ssl.create_default_context(cafile=ca_file)
    address = (parts.hostname or "", parts.port or 0)
    share = count // _CONNECTIONS
    with ThreadPoolExecutor(_CONNECTIONS) as pool, ExitStack() as opened:
        lines = [
            opened.enter_context(
                context.wrap_socket(socket.create_connection(address), server_hostname="localhost")
            )
            for _ in range(_CONNECTIONS)
        ]
        taken = seconds(lambda: list(pool.map(lambda line: _ask(line, request, share), lines)))
    return share * _CONNECTIONS / taken


def _ask(line: ssl.SSLSocket, request: bytes, count: int) -> None:
    """Send the request and read its answer, which says its length, again and again."""
    for _ in range(count):
        line.sendall(request)
        answer = b""
        while (end := answer.find(b"\r\n\r\n")) < 0:
            answer += line.recv(65536)
        head = answer[:end].lower()
        assert head.startswith(b"http/1.1 200"), head
        left = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]) - (len(answer) - end - 4)
        while left > 0:
            left -= len(line.recv(65536))
