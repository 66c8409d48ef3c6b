import os
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.acr import AcrEmulator
from shared.errors import AccessDenied, DigestMismatch, NotFound, ProtocolViolation, RegistryUnavailable
from shared.oci.manifest import Descriptor, digest_of
from shared.oci.names import RepositoryName, parse_repository
from shared.registry.acr import AcrClient
from shared.registry.blobs import verified
from shared.registry.client import RegistryClient
from shared.registry.repository import RepositoryClient
from tests.registry.scripted import Answer, Asked, Script, ScriptedServer

APP = parse_repository("team/app")
CONTENT = os.urandom(3_000_000)


def descriptor_of(content: bytes) -> Descriptor:
    return Descriptor(media_type="x/y", digest=digest_of(content), size=len(content))


BLOB = descriptor_of(CONTENT)


@given(st.lists(st.binary(max_size=8)))
def test_verified_pieces_are_the_content(pieces: list[bytes]) -> None:
    content = b"".join(pieces)
    assert b"".join(verified(pieces, descriptor_of(content), registry="r")) == content


@given(st.lists(st.binary(min_size=1, max_size=8), min_size=1), st.data())
def test_wrong_content_is_never_passed_on_whole(pieces: list[bytes], data: st.DataObject) -> None:
    content = b"".join(pieces)
    wrong = data.draw(st.sampled_from([content[:-1], content + b"x", bytes([content[0] ^ 1]) + content[1:]]))
    pieces_read = [wrong[start : start + 3] for start in range(0, len(wrong), 3)]
    passed_on = verified(pieces_read, descriptor_of(content), registry="r")
    received: list[bytes] = []
    with pytest.raises(DigestMismatch):
        received.extend(passed_on)
    assert sum(map(len, received)) < len(content)


@pytest.fixture
def repository(acr: AcrEmulator, acr_client: Callable[..., AcrClient]) -> RepositoryClient:
    acr.state.create_repository(APP)
    acr.state.put_blob(APP, CONTENT, digest=BLOB.digest)
    return acr_client(acr).repository(APP)


def read(repository: RepositoryClient) -> bytes:
    with repository.open_blob(BLOB) as pieces:
        return b"".join(pieces)


def test_a_blob_comes_from_storage_without_our_credential(
    acr: AcrEmulator, repository: RepositoryClient
) -> None:
    assert read(repository) == CONTENT
    (request,) = acr.storage_traffic.requests
    assert not request.authorized


def test_a_download_that_is_cut_goes_on_where_it_stopped(
    acr: AcrEmulator, repository: RepositoryClient
) -> None:
    acr.storage_faults.inject(cut_after=1_200_000)
    assert read(repository) == CONTENT
    first, second = acr.storage_traffic.requests
    assert "range" not in first.headers
    assert int(second.headers["range"].removeprefix("bytes=").removesuffix("-")) > 0
    assert acr.traffic.count("GET", r"/v2/.*/blobs/.*") == 2


def test_a_download_that_is_cut_again_and_again_is_given_up(
    acr: AcrEmulator, repository: RepositoryClient
) -> None:
    acr.storage_faults.inject(cut_after=10_000, times=None)
    with pytest.raises(RegistryUnavailable, match=r"was cut 5 times"):
        read(repository)


def test_a_signature_that_expired_on_the_way_is_asked_for_again(
    acr: AcrEmulator, repository: RepositoryClient
) -> None:
    acr.storage_faults.inject(status=403, body="<Error><Code>AuthenticationFailed</Code></Error>")
    assert read(repository) == CONTENT
    assert acr.traffic.count("GET", r"/v2/.*/blobs/.*", status=307) == 2


def test_a_signature_that_expires_while_the_download_is_cut_is_replaced(
    start_acr: Callable[..., AcrEmulator], acr_client: Callable[..., AcrClient]
) -> None:
    acr = start_acr(storage_url_lifetime=1.0)
    acr.state.create_repository(APP)
    acr.state.put_blob(APP, CONTENT, digest=BLOB.digest)
    acr.storage_faults.inject(cut_after=1_200_000)
    with acr_client(acr).repository(APP).open_blob(BLOB) as pieces:
        received = [next(pieces)]
        time.sleep(1.1)
        received.extend(pieces)
    assert b"".join(received) == CONTENT
    assert acr.storage_traffic.count(status=403) == 0


def test_storage_that_refuses_every_signature_may_do_better_later(
    acr: AcrEmulator, repository: RepositoryClient
) -> None:
    acr.storage_faults.inject(status=403, times=None)
    with pytest.raises(RegistryUnavailable, match="its storage refuses what it signed"):
        read(repository)
    assert acr.storage_traffic.count() == 2


def test_a_refusal_of_the_registry_itself_is_final(acr: AcrEmulator, repository: RepositoryClient) -> None:
    acr.faults.inject(path=r"/v2/.*/blobs/.*", status=403, times=None)
    with pytest.raises(AccessDenied):
        read(repository)
    assert acr.traffic.count("GET", r"/v2/.*/blobs/.*", status=403) == 1


def test_corrupt_bytes_are_not_passed_on_whole(acr: AcrEmulator, repository: RepositoryClient) -> None:
    acr.storage_faults.inject(corrupt=True)
    received: list[bytes] = []
    with repository.open_blob(BLOB) as pieces, pytest.raises(DigestMismatch):
        received.extend(pieces)
    assert sum(map(len, received)) < BLOB.size


def test_a_blob_that_is_not_there_is_not_found(acr: AcrEmulator, repository: RepositoryClient) -> None:
    del acr
    with pytest.raises(NotFound), repository.open_blob(descriptor_of(b"other")):
        pass


type Scripted = Callable[[Script], ScriptedServer]
type ScriptedClient = Callable[..., RegistryClient]


def half_then(answer: Callable[[Asked], Answer]) -> Script:
    asked_before: list[Asked] = []

    def script(asked: Asked) -> Answer:
        asked_before.append(asked)
        if len(asked_before) == 1:
            return Answer(body=CONTENT[:2_000_000], announced=len(CONTENT))
        return answer(asked)

    return script


def test_a_server_without_ranges_is_read_past_what_is_known(
    scripted: Scripted, scripted_client: ScriptedClient
) -> None:
    server = scripted(half_then(lambda _: Answer(body=CONTENT)))
    assert read(scripted_client(server).repository(RepositoryName("a"))) == CONTENT
    assert len(server.asked) == 2


def test_a_server_without_ranges_that_is_cut_again_before_what_is_known_is_asked_again(
    scripted: Scripted, scripted_client: ScriptedClient
) -> None:
    later = [Answer(body=CONTENT[:500_000], announced=len(CONTENT)), Answer(body=CONTENT)]
    server = scripted(half_then(lambda _: later.pop(0)))
    assert read(scripted_client(server).repository(RepositoryName("a"))) == CONTENT
    assert len(server.asked) == 3


def test_a_range_that_was_not_asked_for_is_refused(
    scripted: Scripted, scripted_client: ScriptedClient
) -> None:
    wrong = Answer(status=206, body=CONTENT, headers={"Content-Range": f"bytes 0-{len(CONTENT) - 1}/*"})
    server = scripted(half_then(lambda _: wrong))
    with pytest.raises(ProtocolViolation, match="asked for bytes from"):
        read(scripted_client(server).repository(RepositoryName("a")))


def test_more_bytes_than_announced_are_refused(scripted: Scripted, scripted_client: ScriptedClient) -> None:
    server = scripted(lambda _: Answer(body=CONTENT + b"more"))
    with pytest.raises(DigestMismatch, match=f"more than {BLOB.size} bytes"):
        read(scripted_client(server).repository(RepositoryName("a")))
