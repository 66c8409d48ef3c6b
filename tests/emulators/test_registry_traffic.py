from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import requests
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from emulators.certificates import CertificateAuthority
from emulators.server import Server
from emulators.traffic import Edge

BODY = b"0123456789" * 10


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    await Response(BODY)(scope, receive, send)


@pytest.fixture
def edge() -> Edge:
    return Edge(answer)


@pytest.fixture(params=["http", "https"])
def url(edge: Edge, ca: CertificateAuthority, request: pytest.FixtureRequest) -> Iterator[str]:
    with Server(edge, ca=ca if request.param == "https" else None) as server:
        yield server.url


def test_requests_are_recorded_decoded_and_without_secrets(
    edge: Edge, url: str, http: requests.Session
) -> None:
    headers = {"Authorization": "Bearer secret", "X-Secret": "secret", "User-Agent": "test"}
    http.get(f"{url}/v2/a%2Fb/tags/list?n=1", headers=headers)
    http.delete(f"{url}/v2/a")
    first, second = edge.traffic.requests
    assert (first.method, first.path, first.query, first.status) == ("GET", "/v2/a/b/tags/list", "n=1", 200)
    assert (first.authorized, second.authorized) == (True, False)
    assert first.headers["user-agent"] == "test"
    assert "secret" not in repr(first)
    assert edge.traffic.count() == 2
    assert edge.traffic.count("GET") == 1
    assert edge.traffic.count(path_regex="/v2/a") == 1
    assert edge.traffic.count(status=404) == 0
    edge.traffic.clear()
    assert edge.traffic.requests == []


def test_a_fault_answers_from_the_nth_match_on_and_as_often_as_asked(
    edge: Edge, url: str, http: requests.Session
) -> None:
    fault = edge.faults.inject(
        method="GET", path="/x/.*", nth=2, times=2, status=503, headers={"Retry-After": "7"}, body="busy"
    )
    statuses = [http.get(f"{url}/x/{i}").status_code for i in range(4)]
    assert statuses == [200, 503, 503, 200]
    assert fault.fired == 2
    assert http.get(f"{url}/other").status_code == 200
    assert edge.traffic.count(status=503) == 2


def test_a_fault_can_begin_after_some_requests_and_last_for_ever(
    edge: Edge, url: str, http: requests.Session
) -> None:
    edge.faults.inject(after=1, times=None, status=429, headers={"Retry-After": "3"})
    answers = [http.get(url) for _ in range(3)]
    assert [each.status_code for each in answers] == [200, 429, 429]
    assert answers[1].headers["Retry-After"] == "3"
    edge.faults.clear()
    assert http.get(url).status_code == 200
    with pytest.raises(ValueError, match="not by both"):
        edge.faults.inject(nth=1, after=1, status=500)


def test_a_connection_is_cut_before_the_answer(edge: Edge, url: str, http: requests.Session) -> None:
    edge.faults.inject(cut=True)
    with pytest.raises(requests.ConnectionError):
        http.get(url)
    assert edge.traffic.requests[0].status == 0
    assert http.get(url).content == BODY


def test_an_answer_is_lost_after_the_request_was_carried_out(
    edge: Edge, url: str, http: requests.Session
) -> None:
    carried_out: list[str] = []

    async def note(scope: Scope, receive: Receive, send: Send) -> None:
        carried_out.append(scope["method"])
        await answer(scope, receive, send)

    edge.app = note
    edge.faults.inject(unanswered=True)
    with pytest.raises(requests.ConnectionError):
        http.post(url)
    assert carried_out == ["POST"]
    assert edge.traffic.requests[0].status == 0
    assert http.get(url).content == BODY


def test_a_connection_is_cut_in_the_middle_of_the_body(edge: Edge, url: str, http: requests.Session) -> None:
    edge.faults.inject(cut_after=25)
    received: list[bytes] = []
    with http.get(url, stream=True) as partial:
        pieces = partial.iter_content(5)
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            received.extend(pieces)
    assert b"".join(received) == BODY[:25]
    assert http.get(url).content == BODY


def test_a_body_is_corrupted_at_full_length(edge: Edge, url: str, http: requests.Session) -> None:
    edge.faults.inject(corrupt=True)
    content = http.get(url).content
    assert len(content) == len(BODY)
    assert content != BODY


def test_latency_and_delays_are_waited_for(edge: Edge, url: str, http: requests.Session) -> None:
    edge.latency = 0.05
    edge.faults.inject(delay=0.1)
    start = time.monotonic()
    assert http.get(url).content == BODY
    assert time.monotonic() - start >= 0.15


def test_a_stopped_server_frees_its_port(ca: CertificateAuthority, http: requests.Session) -> None:
    server = Server(answer, ca=ca)
    server.start()
    http.get(server.url)
    server.stop()
    server.stop()
    with pytest.raises(requests.ConnectionError):
        http.get(server.url, timeout=1)
    with Server(answer, ca=ca, port=server.port) as again:
        assert http.get(again.url).content == BODY


def test_only_the_authority_makes_the_certificate_valid(ca: CertificateAuthority) -> None:
    with (
        Server(answer, ca=ca) as server,
        requests.Session() as stranger,
        pytest.raises(requests.exceptions.SSLError),
    ):
        stranger.get(server.url)
