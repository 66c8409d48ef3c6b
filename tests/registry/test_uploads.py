import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest

from emulators.dockerhub import DockerHubEmulator
from shared.errors import (
    AuthenticationFailed,
    ContentRejected,
    DigestMismatch,
    ProtocolViolation,
    RateLimited,
    RegistryUnavailable,
)
from shared.oci.manifest import Descriptor, digest_of
from shared.oci.names import RepositoryName, parse_repository
from shared.registry.client import RegistryClient
from shared.registry.content import OpenBlob
from shared.registry.credentials import BasicCredential
from shared.registry.repository import RepositoryClient
from shared.registry.transport import TransportOptions
from shared.registry.uploads import CHUNK
from tests.registry.scripted import Answer, Asked, Script, ScriptedServer

LARGE = os.urandom(20_000_000)
SMALL = os.urandom(20_000)
UPLOADS = r"/v2/.*/blobs/uploads/.*"

type Hubs = Callable[..., RegistryClient]


def descriptor_of(content: bytes) -> Descriptor:
    return Descriptor(media_type="x/y", digest=digest_of(content), size=len(content))


class Source:
    """Opens content as often as it is asked to, in pieces, and counts."""

    def __init__(self, content: bytes, *, piece: int = 1_000_000) -> None:
        self.content = content
        self.opened = 0
        self._piece = piece

    @contextmanager
    def __call__(self) -> Iterator[Iterator[bytes]]:
        self.opened += 1
        content, piece = self.content, self._piece
        yield (content[start : start + piece] for start in range(0, len(content), piece))


@pytest.fixture
def repository(hub: DockerHubEmulator, hub_registry: Hubs) -> RepositoryClient:
    return hub_registry(hub).repository(parse_repository("acme/app"))


@pytest.mark.parametrize("content", [b"", b"x", SMALL, LARGE], ids=["empty", "byte", "small", "large"])
def test_a_blob_goes_up_in_one_put(
    hub: DockerHubEmulator, repository: RepositoryClient, content: bytes
) -> None:
    source = Source(content)
    repository.push_blob(descriptor_of(content), source)
    assert repository.blob_exists(descriptor_of(content))
    assert source.opened == 1
    assert hub.traffic.count("POST", UPLOADS, status=202) == 1
    assert hub.traffic.count("PUT", UPLOADS) == 1
    assert hub.traffic.count("PATCH") == 0


@pytest.mark.parametrize("content", [b"", b"x", SMALL, LARGE], ids=["empty", "byte", "small", "large"])
def test_a_real_registry_takes_it_too(docker_client: RegistryClient, content: bytes) -> None:
    repository = docker_client.repository(parse_repository("uploads/real"))
    repository.push_blob(descriptor_of(content), Source(content))
    with repository.open_blob(descriptor_of(content)) as pieces:
        assert b"".join(pieces) == content


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("wrong", ["shorter", "longer", "other"])
def test_wrong_bytes_are_never_committed_and_the_session_is_cancelled(
    hub: DockerHubEmulator, repository: RepositoryClient, content: bytes, wrong: str
) -> None:
    sent = {
        "shorter": content[:-1],
        "longer": content + b"x",
        "other": content[:-1] + bytes([content[-1] ^ 1]),
    }[wrong]
    with pytest.raises(DigestMismatch):
        repository.push_blob(descriptor_of(content), Source(sent))
    assert not repository.blob_exists(descriptor_of(content))
    assert hub.traffic.count("PUT", UPLOADS, status=201) == 0
    assert hub.traffic.count("DELETE", UPLOADS, status=204) == 1


def test_a_source_that_fails_cancels_the_session(
    hub: DockerHubEmulator, repository: RepositoryClient
) -> None:
    @contextmanager
    def broken() -> Iterator[Iterator[bytes]]:
        def pieces() -> Iterator[bytes]:
            yield LARGE[:5_000_000]
            raise KeyError("the source broke")

        yield pieces()

    with pytest.raises(KeyError, match="the source broke"):
        repository.push_blob(descriptor_of(LARGE), broken)
    assert not repository.blob_exists(descriptor_of(LARGE))
    assert hub.traffic.count("DELETE", UPLOADS, status=204) == 1


def test_a_line_that_breaks_is_followed_by_chunks(
    hub: DockerHubEmulator, repository: RepositoryClient
) -> None:
    hub.faults.inject(method="PUT", path=UPLOADS, cut=True)
    source = Source(LARGE)
    repository.push_blob(descriptor_of(LARGE), source)
    assert repository.blob_exists(descriptor_of(LARGE))
    assert source.opened == 2
    chunks = [request for request in hub.traffic.requests if request.method == "PATCH"]
    assert [request.headers["content-range"] for request in chunks] == [
        "0-8388607",
        "8388608-16777215",
        f"16777216-{len(LARGE) - 1}",
    ]


@pytest.mark.parametrize("fault", [{"cut": True}, {"status": 500}, {"status": 503}])
def test_a_chunk_that_fails_is_sent_again_from_where_the_registry_stands(
    hub: DockerHubEmulator, repository: RepositoryClient, fault: dict[str, object]
) -> None:
    hub.faults.inject(method="PUT", path=UPLOADS, status=500)
    hub.faults.inject(method="PATCH", path=UPLOADS, nth=2, **fault)  # type: ignore[arg-type]
    source = Source(LARGE)
    repository.push_blob(descriptor_of(LARGE), source)
    assert repository.blob_exists(descriptor_of(LARGE))
    assert source.opened == 2
    assert hub.traffic.count("GET", UPLOADS, status=204) == 1


def test_chunks_go_to_a_real_registry_too(docker_client: RegistryClient) -> None:
    repository = docker_client.repository(parse_repository("uploads/chunks"))
    session = repository._uploads._open()
    with Source(LARGE)() as pieces:
        repository._uploads._send_chunks(session, descriptor_of(LARGE), pieces)
    with repository.open_blob(descriptor_of(LARGE)) as read_back:
        assert b"".join(read_back) == LARGE


def test_a_lost_answer_is_not_followed_by_a_second_upload(
    scripted: Callable[[Script], ScriptedServer], scripted_client: Callable[..., RegistryClient]
) -> None:
    committed = threading.Event()

    def script(asked: Asked) -> Answer:
        if asked.method == "POST":
            return Answer(status=202, headers={"Location": "/v2/a/blobs/uploads/1"})
        if asked.method == "PUT":
            committed.set()
            return Answer(status=500)
        return Answer(status=200 if committed.is_set() and asked.method == "HEAD" else 404)

    server = scripted(script)
    scripted_client(server).repository(RepositoryName("a")).push_blob(descriptor_of(SMALL), SMALL)
    assert [asked.method for asked in server.asked].count("PUT") == 1


def test_a_token_that_ends_in_mid_upload_costs_a_fresh_start(
    hub: DockerHubEmulator, repository: RepositoryClient
) -> None:
    hub.faults.inject(
        method="PUT",
        path=UPLOADS,
        status=401,
        headers={"WWW-Authenticate": f'Bearer realm="{hub.auth_url}/token",service="registry.docker.io"'},
    )
    source = Source(LARGE)
    repository.push_blob(descriptor_of(LARGE), source)
    assert repository.blob_exists(descriptor_of(LARGE))
    assert source.opened == 2


def test_a_limit_in_mid_upload_is_waited_for_or_handed_on(
    hub: DockerHubEmulator, repository: RepositoryClient
) -> None:
    hub.faults.inject(method="PUT", path=UPLOADS, status=429, headers={"Retry-After": "1"})
    repository.push_blob(descriptor_of(LARGE), Source(LARGE))
    other = LARGE[::-1]
    hub.faults.inject(method="PUT", path=UPLOADS, status=429, headers={"Retry-After": "60"})
    with pytest.raises(RateLimited) as caught:
        repository.push_blob(descriptor_of(other), Source(other))
    assert caught.value.retry_after == 60.0


def test_a_registry_that_is_down_is_given_up(hub: DockerHubEmulator, repository: RepositoryClient) -> None:
    hub.faults.inject(method="PUT", path=UPLOADS, status=503, times=None)
    source = Source(SMALL)
    with pytest.raises(RegistryUnavailable):
        repository.push_blob(descriptor_of(SMALL), source)
    assert source.opened == 3
    assert hub.traffic.count("DELETE", UPLOADS, status=204) == 3


def test_what_can_be_read_once_is_sent_once(hub: DockerHubEmulator, repository: RepositoryClient) -> None:
    hub.faults.inject(method="PUT", path=UPLOADS, status=503)
    with pytest.raises(RegistryUnavailable):
        repository.push_blob(descriptor_of(SMALL), iter([SMALL[:100], SMALL[100:]]))
    repository.push_blob(descriptor_of(SMALL), iter([SMALL[:100], SMALL[100:]]))
    assert repository.blob_exists(descriptor_of(SMALL))


def test_threads_that_want_the_same_blob_make_one_upload(
    hub: DockerHubEmulator, repository: RepositoryClient
) -> None:
    sources: list[OpenBlob] = [Source(LARGE) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda source: repository.push_blob(descriptor_of(LARGE), source), sources))
    assert hub.traffic.count("PUT", UPLOADS, status=201) == 1


def uploading_to(*locations: str) -> Script:
    """A registry that sends each step to another place."""
    left = list(locations)

    def script(asked: Asked) -> Answer:
        if asked.method == "HEAD":
            return Answer(status=404)
        status = {"POST": 202, "PATCH": 202, "PUT": 201, "DELETE": 204}[asked.method]
        headers = {"Location": left.pop(0)} if left else {}
        return Answer(status=status, headers=headers)

    return script


@pytest.mark.parametrize(
    ("location", "path", "query"),
    [
        ("/v2/a/blobs/uploads/1", "/v2/a/blobs/uploads/1", "digest="),
        ("next/1?_state=a%2Bb%3D%3D&x=", "/v2/a/blobs/uploads/next/1", "_state=a%2Bb%3D%3D&x=&digest="),
        ("?_state=x", "/v2/a/blobs/uploads/", "_state=x&digest="),
    ],
)
def test_the_location_is_resolved_and_its_query_kept(
    scripted: Callable[[Script], ScriptedServer],
    scripted_client: Callable[..., RegistryClient],
    location: str,
    path: str,
    query: str,
) -> None:
    server = scripted(uploading_to(location))
    scripted_client(server).repository(RepositoryName("a")).push_blob(descriptor_of(b"x"), b"x")
    put = server.asked[-1]
    assert (put.method, put.path) == ("PUT", path)
    assert put.query == query + digest_of(b"x").replace(":", "%3A")


def test_an_upload_may_go_to_another_host_but_our_credential_not(
    scripted: Callable[[Script], ScriptedServer], scripted_client: Callable[..., RegistryClient]
) -> None:
    storage = scripted(uploading_to())

    def script(asked: Asked) -> Answer:
        if "Authorization" not in asked.headers:
            return Answer(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})
        return uploading_to(f"{storage.url}/store/1?key=2")(asked)

    client = scripted_client(scripted(script), credential=BasicCredential(username="u", secret="p"))
    client.repository(RepositoryName("a")).push_blob(descriptor_of(b"x"), b"x")
    (put,) = storage.asked
    assert put.body == b"x"
    assert "Authorization" not in put.headers


def test_an_upload_into_the_network_is_refused(
    scripted: Callable[[Script], ScriptedServer], scripted_client: Callable[..., RegistryClient]
) -> None:
    server = scripted(uploading_to("http://169.254.169.254/latest"))
    with pytest.raises(ProtocolViolation, match="points at"):
        scripted_client(server).repository(RepositoryName("a")).push_blob(descriptor_of(b"x"), b"x")


def test_an_upload_without_a_location_is_refused(
    scripted: Callable[[Script], ScriptedServer], scripted_client: Callable[..., RegistryClient]
) -> None:
    with pytest.raises(ProtocolViolation, match="without a location"):
        scripted_client(scripted(uploading_to())).repository(RepositoryName("a")).push_blob(
            descriptor_of(b"x"), b"x"
        )


def test_a_smallest_chunk_is_respected_up_to_what_memory_allows(
    hub: DockerHubEmulator, repository: RepositoryClient
) -> None:
    session = repository._uploads._open()
    for stated, sent in ((9_000_000, 9_000_000), (10**12, len(LARGE)), (1, 8 * 1024 * 1024)):
        hub.traffic.clear()
        fresh = replace(session, location=repository._uploads._open().location, smallest_chunk=stated)
        with Source(LARGE)() as pieces:
            repository._uploads._send_chunks(fresh, descriptor_of(LARGE), pieces)
        first = next(request for request in hub.traffic.requests if request.method == "PATCH")
        assert first.headers["content-range"] == f"0-{sent - 1}"


def test_a_refusal_is_told_after_chunks_were_tried(
    hub: DockerHubEmulator, hub_registry: Hubs, options: TransportOptions
) -> None:
    repository = hub_registry(hub, replace(options, tries=1)).repository(parse_repository("acme/app"))
    hub.faults.inject(method="PUT", path=UPLOADS, status=413, times=None)
    with pytest.raises(ContentRejected, match="413"):
        repository.push_blob(descriptor_of(LARGE), Source(LARGE))
    assert hub.traffic.count("PATCH", UPLOADS) == 6


def test_a_right_that_is_missing_is_told(hub: DockerHubEmulator, hub_registry: Hubs) -> None:
    repository = hub_registry(hub).repository(parse_repository("stranger/app"))
    with pytest.raises(AuthenticationFailed):
        repository.push_blob(descriptor_of(SMALL), SMALL)


@pytest.mark.parametrize("lost", [{"unanswered": True}, {"status": 404}], ids=["stale", "gone"])
def test_a_location_that_is_stale_or_gone_costs_a_fresh_start(
    hub: DockerHubEmulator, repository: RepositoryClient, lost: dict[str, object]
) -> None:
    """Docker Hub's locations hold an offset, and one that an answer was lost for is 404 (regclient #323)."""
    hub.faults.inject(method="PUT", path=UPLOADS, status=500)
    hub.faults.inject(method="PATCH", path=UPLOADS, nth=2, **lost)  # type: ignore[arg-type]
    source = Source(LARGE)
    repository.push_blob(descriptor_of(LARGE), source)
    assert repository.blob_exists(descriptor_of(LARGE))
    assert source.opened == 3


def test_a_registry_that_stored_a_chunk_and_lost_its_answer_is_not_sent_it_again(
    scripted: Callable[[Script], ScriptedServer], scripted_client: Callable[..., RegistryClient]
) -> None:
    """One whose location stays good says where it stands, which is after the chunk."""
    stored = bytearray()
    opened: list[int] = []

    def script(asked: Asked) -> Answer:
        headers = {"Location": "/v2/a/blobs/uploads/1", "Range": f"0-{max(0, len(stored) - 1)}"}
        if asked.method == "HEAD":
            return Answer(status=404)
        if asked.method == "POST":
            stored.clear()
            opened.append(1)
        if asked.method == "PATCH":
            stored.extend(asked.body)
            return Answer(status=500 if len(stored) == 2 * CHUNK else 202, headers=headers)
        if asked.method == "PUT":
            return Answer(status=201 if len(stored) == len(LARGE) else 500)
        return Answer(status={"POST": 202, "GET": 204, "DELETE": 204}[asked.method], headers=headers)

    server = scripted(script)
    scripted_client(server).repository(RepositoryName("a")).push_blob(descriptor_of(LARGE), Source(LARGE))
    assert bytes(stored) == LARGE
    assert len(opened) == 2
    assert [asked.method for asked in server.asked].count("PATCH") == 3


def test_a_closing_put_whose_answer_is_lost_is_asked_about_by_head_before_anything_is_sent_again(
    hub: DockerHubEmulator, repository: RepositoryClient
) -> None:
    hub.faults.inject(method="PUT", path=UPLOADS, unanswered=True)
    source = Source(LARGE)
    repository.push_blob(descriptor_of(LARGE), source)
    assert source.opened == 1
    asked = [each.method for each in hub.traffic.requests if each.path.startswith("/v2/acme/app/blobs/")]
    assert asked[-1] == "HEAD"
    assert asked.count("PUT") == 1


def test_a_token_that_ends_between_the_steps_of_a_long_upload_is_replaced(
    start_hub: Callable[..., DockerHubEmulator], hub_registry: Hubs
) -> None:
    """Docker Hub's live five minutes; here one lives for a second, and each chunk takes half of one."""
    hub = start_hub(token_lifetime=1)
    repository = hub_registry(hub).repository(parse_repository("acme/app"))
    hub.faults.inject(method="PUT", path=UPLOADS, status=500)
    hub.faults.inject(method="PATCH", path=UPLOADS, delay=0.6, times=None)
    source = Source(LARGE)
    repository.push_blob(descriptor_of(LARGE), source)
    assert repository.blob_exists(descriptor_of(LARGE))
    assert source.opened == 2, "what was refused for its token was sent again, and nothing else"
    assert hub.traffic.count("PATCH", UPLOADS, status=401) > 0
