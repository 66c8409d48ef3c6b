from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from emulators.certificates import CertificateAuthority
from emulators.registry.records import digest_of
from emulators.registry.storage import BlobStorage
from emulators.server import Server
from tests.emulators.conftest import TurnedClock

CONTENT = b"0123456789"
DIGEST = digest_of(CONTENT)


@pytest.fixture
def storage(ca: CertificateAuthority, clock: TurnedClock) -> Iterator[BlobStorage]:
    storage = BlobStorage({DIGEST: CONTENT}.get, clock=clock, lifetime=60)
    with Server(storage, ca=ca) as server:
        storage.base_url = server.url
        yield storage


def test_a_signed_url_serves_the_blob_whole_and_in_ranges(
    storage: BlobStorage, http: requests.Session
) -> None:
    whole = http.get(storage.url_for(DIGEST))
    assert whole.content == CONTENT
    assert whole.headers["x-ms-blob-type"] == "AppendBlob"
    assert "Docker-Content-Digest" not in whole.headers
    part = http.get(storage.url_for(DIGEST), headers={"Range": "bytes=0-2"})
    assert (part.status_code, part.content, part.headers["Content-Range"]) == (206, b"012", "bytes 0-2/10")
    assert http.get(storage.url_for(DIGEST), headers={"Range": "bytes=99-"}).status_code == 416
    assert http.head(storage.url_for(DIGEST)).headers["Content-Length"] == "10"


def test_credentials_for_the_registry_are_refused(storage: BlobStorage, http: requests.Session) -> None:
    answer = http.get(storage.url_for(DIGEST), headers={"Authorization": "Bearer registry"})
    assert answer.status_code == 400
    assert "<Code>InvalidAuthenticationInfo</Code>" in answer.text


def test_a_url_expires_and_cannot_be_rewritten(
    storage: BlobStorage, http: requests.Session, clock: TurnedClock
) -> None:
    url = storage.url_for(DIGEST)
    other = digest_of(b"other")
    assert http.get(url.replace(DIGEST[7:], other[7:])).status_code == 403
    assert http.get(storage.url_for(other)).status_code == 404
    clock.turn(60)
    assert http.get(url).status_code == 403
    assert http.put(storage.url_for(DIGEST), data=b"x").status_code == 405
