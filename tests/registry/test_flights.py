"""Many images that want one layer on a registry at once: it goes up once, wherever they want it."""

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from emulators.dockerhub import DockerHubEmulator
from emulators.registry.images import build_image
from shared.errors import DigestMismatch
from shared.oci.manifest import Descriptor, digest_of
from shared.oci.names import TagName, parse_repository
from shared.registry.client import RegistryClient
from shared.registry.copy import CopyReport, copy_graph
from tests.registry.memory import MemoryPlace
from tests.registry.test_copy import holding

LAYER = os.urandom(3_000_000)
DESCRIPTOR = Descriptor(media_type="x/y", digest=digest_of(LAYER), size=len(LAYER))
UPLOADS = r"/v2/.*/blobs/uploads/.*"
V1 = TagName("v1")


@pytest.fixture
def client(hub: DockerHubEmulator, hub_registry: Callable[..., RegistryClient]) -> RegistryClient:
    return hub_registry(hub)


class Slow:
    """Opens the layer, and lets nothing through before it is told to."""

    def __init__(self, content: bytes = LAYER) -> None:
        self.begun = threading.Event()
        self.go = threading.Event()
        self._content = content

    @contextmanager
    def __call__(self) -> Iterator[Iterator[bytes]]:
        def pieces() -> Iterator[bytes]:
            self.begun.set()
            assert self.go.wait(10)
            yield self._content

        yield pieces()


def push_while_another_is_under_way(client: RegistryClient, first: Slow, *others: str) -> list[object]:
    """Push the layer to acme/app, and to the others while that is going on; return what they raised."""

    def push(name: str) -> object:
        source = Slow()
        source.go.set()
        try:
            client.repository(parse_repository(name)).push_blob(DESCRIPTOR, source)
        except DigestMismatch as error:
            return error
        return source.begun.is_set()

    with ThreadPoolExecutor(8) as pool:
        uploading = pool.submit(client.repository(parse_repository("acme/app")).push_blob, DESCRIPTOR, first)
        assert first.begun.wait(10)
        waiting = [pool.submit(push, name) for name in others]
        assert all(not each.done() for each in waiting)
        first.go.set()
        assert uploading.exception() is None or isinstance(uploading.exception(), DigestMismatch)
        return [each.result() for each in waiting]


def test_who_wants_it_in_another_repository_waits_and_mounts_it(
    hub: DockerHubEmulator, client: RegistryClient
) -> None:
    others = ["acme/one", "acme/two", "acme/three", "acme/app"]
    read = push_while_another_is_under_way(client, Slow(), *others)
    assert read == [False] * 4
    assert hub.traffic.count("PUT", UPLOADS, status=201) == 1
    assert all(client.repository(parse_repository(name)).blob_exists(DESCRIPTOR) for name in others)


def test_a_registry_that_does_not_mount_is_sent_it_for_each_repository_and_not_waited_for_again(
    hub: DockerHubEmulator, client: RegistryClient
) -> None:
    hub.faults.inject(method="POST", path=UPLOADS, query="mount=", status=405, times=None)
    assert push_while_another_is_under_way(client, Slow(), "acme/one", "acme/two") == [True, True]
    assert hub.traffic.count("PUT", UPLOADS, status=201) == 3
    hub.state.delete_repository("acme/app")
    hub.state.delete_repository("acme/one")
    slow, quick = Slow(), Slow()
    quick.go.set()
    with ThreadPoolExecutor(2) as pool:
        uploading = pool.submit(client.repository(parse_repository("acme/app")).push_blob, DESCRIPTOR, slow)
        assert slow.begun.wait(10)
        client.repository(parse_repository("acme/one")).push_blob(DESCRIPTOR, quick)
        slow.go.set()
        uploading.result()


def test_an_upload_that_fails_is_taken_over_by_one_that_waited(
    hub: DockerHubEmulator, client: RegistryClient
) -> None:
    rotten = Slow(LAYER[::-1])
    read = push_while_another_is_under_way(client, rotten, "acme/one", "acme/two", "acme/three")
    assert sorted(map(str, read)) == ["False", "False", "True"]
    assert hub.traffic.count("PUT", UPLOADS, status=201) == 1


def test_a_session_that_is_not_needed_any_more_is_cancelled(
    hub: DockerHubEmulator, client: RegistryClient
) -> None:
    repository = client.repository(parse_repository("acme/app"))
    assert repository.mount_blob(DESCRIPTOR, parse_repository("acme/none")) is False
    assert repository.mount_blob(DESCRIPTOR, parse_repository("acme/nobody")) is False
    assert hub.traffic.count("DELETE", UPLOADS, status=204) == 1
    repository.push_blob(DESCRIPTOR, LAYER)
    assert hub.traffic.count("POST", UPLOADS, status=202) == 2, "the second session is the one that is used"


def test_bytes_count_for_the_copy_that_sent_them(hub: DockerHubEmulator, client: RegistryClient) -> None:
    image = build_image(layers=4)
    total = sum(map(len, image.blobs.values()))
    sources = [holding(image, tags={V1: image}) for _ in range(6)]
    repository = client.repository(parse_repository("acme/app"))

    def copy(numbered: tuple[int, MemoryPlace]) -> CopyReport:
        number, source = numbered
        return copy_graph(source, repository, V1, tag=TagName(f"v{number}"))

    with ThreadPoolExecutor(6) as pool:
        reports = list(pool.map(copy, enumerate(sources)))
    assert sum(report.bytes_copied for report in reports) == total
    assert sum(report.blobs_copied for report in reports) == len(image.blobs)
    counts = [report.blobs_copied + report.blobs_skipped for report in reports if report.blobs_skipped]
    assert all(count == len(image.blobs) for count in counts)
    assert hub.traffic.count("PUT", UPLOADS, status=201) == len(image.blobs)
