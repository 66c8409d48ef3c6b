import gzip
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from email.utils import formatdate

import pytest

from shared.errors import (
    NotFound,
    OperationDisallowed,
    ProtocolViolation,
    RateLimited,
    RegistryError,
    RegistryUnavailable,
)
from shared.registry.layers import MAX_BODY
from shared.registry.transport import Transport, TransportOptions
from tests.registry.scripted import Answer, Asked, Script, ScriptedServer, in_turn

type Start = Callable[[Script], ScriptedServer]
type Build = Callable[..., Transport]


@pytest.fixture
def build(options: TransportOptions, running: ExitStack) -> Build:
    def to(server: ScriptedServer | str, **changes: object) -> Transport:
        url = server if isinstance(server, str) else server.url
        transport = Transport(registry="r.example", base_url=url, options=replace(options, **changes))  # type: ignore[arg-type]
        running.callback(transport.close)
        return transport

    return to


class Piecewise:
    def __init__(self, *pieces: bytes) -> None:
        self._pieces = pieces

    def __len__(self) -> int:
        return sum(map(len, self._pieces))

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)


def test_who_we_are_is_said_to_everyone_and_more_to_the_registry_only(scripted: Start, build: Build) -> None:
    storage = scripted(in_turn(Answer(body=b"blob")))
    registry = scripted(in_turn(Answer(status=307, headers={"Location": f"{storage.url}/x?sig=1"})))
    transport = build(registry, headers={"X-Meta-Source-Client": "azure/functions"})
    assert transport.request("GET", "/v2/").content == b"blob"
    assert registry.asked[0].headers["User-Agent"].startswith("registry-steward/")
    assert registry.asked[0].headers["X-Meta-Source-Client"] == "azure/functions"
    assert storage.asked[0].headers["User-Agent"].startswith("registry-steward/")
    assert "X-Meta-Source-Client" not in storage.asked[0].headers


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_passing_failures_are_tried_again(scripted: Start, build: Build, status: int) -> None:
    server = scripted(in_turn(Answer(status=status), Answer(status=status), Answer(body=b"fine")))
    assert build(server).request("GET", "/x").content == b"fine"
    assert len(server.asked) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 501])
def test_refusals_are_not_tried_again(scripted: Start, build: Build, status: int) -> None:
    server = scripted(in_turn(Answer(status=status)))
    with pytest.raises(RegistryError):
        build(server).request("GET", "/x")
    assert len(server.asked) == 1


def test_tries_are_limited(scripted: Start, build: Build) -> None:
    server = scripted(in_turn(Answer(status=502, body=b"bad gateway")))
    with pytest.raises(RegistryUnavailable, match="502 bad gateway"):
        build(server, tries=3).request("GET", "/x")
    assert len(server.asked) == 3


@pytest.mark.parametrize("stated", ["1", "date"])
def test_the_registry_says_how_long_to_wait(scripted: Start, build: Build, stated: str) -> None:
    def script(asked: Asked) -> Answer:
        del asked
        if len(server.asked) > 1:
            return Answer()
        # a date has whole seconds only, so it is between one and two seconds away
        wait = formatdate(time.time() + 2, usegmt=True) if stated == "date" else stated
        return Answer(status=429, headers={"Retry-After": wait})

    server = scripted(script)
    started = time.monotonic()
    build(server, patience=4.0).request("GET", "/x")
    assert 0.9 < time.monotonic() - started < 3


def test_a_wait_beyond_the_patience_is_handed_to_the_queue(scripted: Start, build: Build) -> None:
    server = scripted(in_turn(Answer(status=429, body=b"Too Many Requests", headers={"Retry-After": "60"})))
    started = time.monotonic()
    with pytest.raises(RateLimited, match="429 Too Many Requests") as caught:
        build(server).request("GET", "/x")
    assert caught.value.retry_after == 60.0
    assert time.monotonic() - started < 1
    assert len(server.asked) == 1


def test_after_a_429_nobody_else_asks_before_the_time_is_up(scripted: Start, build: Build) -> None:
    server = scripted(in_turn(Answer(status=429, headers={"Retry-After": "60"}), Answer()))
    transport = build(server)
    with pytest.raises(RateLimited):
        transport.request("GET", "/x")
    with pytest.raises(RateLimited, match="the next read request may be sent in") as caught:
        transport.request("GET", "/y")
    assert caught.value.retry_after == pytest.approx(60, abs=2)
    assert server.paths() == ["/x"]
    transport.request("DELETE", "/z")  # another class of endpoints, counted apart
    assert server.paths() == ["/x", "/z"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_bodies_in_memory_are_sent_again_whole(scripted: Start, build: Build, method: str) -> None:
    server = scripted(in_turn(Answer(status=503), Answer()))
    build(server).request(method, "/x", body=b"once more")
    assert [asked.body for asked in server.asked] == [b"once more", b"once more"]


def test_a_body_that_was_streamed_is_not_sent_again(scripted: Start, build: Build) -> None:
    server = scripted(in_turn(Answer(status=503), Answer()))
    with pytest.raises(RegistryUnavailable):
        build(server).request("PUT", "/x", body=Piecewise(b"only ", b"once"))
    assert [asked.body for asked in server.asked] == [b"only once"]
    assert server.asked[0].headers["Content-Length"] == "9"


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_a_step_of_an_upload_is_not_repeated_blindly(scripted: Start, build: Build, method: str) -> None:
    server = scripted(in_turn(Answer(status=503), Answer()))
    with pytest.raises(RegistryUnavailable):
        build(server).request(method, "/v2/app/blobs/uploads/1?_state=x", body=b"piece")
    assert len(server.asked) == 1


def test_a_step_of_an_upload_is_repeated_when_it_was_only_counted(scripted: Start, build: Build) -> None:
    server = scripted(in_turn(Answer(status=429), Answer()))
    build(server).request("PATCH", "/v2/app/blobs/uploads/1?_state=x", body=b"piece")
    assert len(server.asked) == 2


def test_a_delete_that_answers_500_is_not_repeated(scripted: Start, build: Build) -> None:
    server = scripted(in_turn(Answer(status=500), Answer()))
    with pytest.raises(RegistryUnavailable):
        build(server).request("DELETE", "/v2/app/manifests/x")
    assert len(server.asked) == 1


def test_a_cut_body_is_asked_for_again(scripted: Start, build: Build) -> None:
    server = scripted(in_turn(Answer(body=b"half", announced=8), Answer(body=b"complete")))
    assert build(server).request("GET", "/x").content == b"complete"


def test_nobody_at_home_is_told_after_all_tries(build: Build) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(
            RegistryUnavailable, match=r"no answer in 3 tries: ConnectionRefusedError of NewConnectionError"
        ):
            build(f"http://127.0.0.1:{port}", tries=3).request("GET", "/x?sig=secret")


def test_a_certificate_that_nobody_signed_is_told_at_once(acr_login: str, build: Build) -> None:
    started = time.monotonic()
    with pytest.raises(RegistryUnavailable, match="no answer: SSLCertVerificationError of"):
        build(f"https://{acr_login}", ca_file=None, backoff=5.0, patience=60.0).request("GET", "/v2/")
    assert time.monotonic() - started < 4


@pytest.fixture
def acr_login(start_acr: Callable[..., object]) -> str:
    return str(start_acr().login_server)  # type: ignore[attr-defined]


def test_a_slow_server_is_given_up(scripted: Start, build: Build) -> None:
    held = threading.Event()

    def script(_: Asked) -> Answer:
        held.wait(2)
        return Answer()

    server = scripted(script)
    with pytest.raises(RegistryUnavailable, match="ReadTimeout"):
        build(server, read_timeout=0.1, tries=1).request("GET", "/x")
    held.set()


def test_answers_are_bounded(scripted: Start, build: Build) -> None:
    server = scripted(in_turn(Answer(body=b" " * (MAX_BODY + 1))))
    with pytest.raises(ProtocolViolation, match=f"longer than {MAX_BODY} bytes"):
        build(server).request("GET", "/x")


def test_a_compressed_answer_is_bounded_by_what_it_unpacks_to(scripted: Start, build: Build) -> None:
    bomb = gzip.compress(b" " * (MAX_BODY + 1))
    server = scripted(in_turn(Answer(body=bomb, headers={"Content-Encoding": "gzip"})))
    with pytest.raises(ProtocolViolation, match="longer than"):
        build(server).request("GET", "/x")


def test_the_body_of_an_error_is_cut_short(scripted: Start, build: Build) -> None:
    server = scripted(in_turn(Answer(status=404, body=b"x" * 1_000_000)))
    with pytest.raises(NotFound) as caught:
        build(server).request("GET", "/x", stream=True)
    assert len(caught.value.message) < 400


def test_only_what_reads_is_redirected(scripted: Start, build: Build) -> None:
    elsewhere = scripted(in_turn(Answer()))
    server = scripted(in_turn(Answer(status=307, headers={"Location": f"{elsewhere.url}/x"})))
    with pytest.raises(ProtocolViolation, match="307"):
        build(server).request("PUT", "/x", body=b"content")
    assert elsewhere.asked == []


def test_redirects_end(scripted: Start, build: Build) -> None:
    server = scripted(in_turn(Answer(status=302, headers={"Location": "/x"})))
    with pytest.raises(ProtocolViolation, match="TooManyRedirects"):
        build(server).request("GET", "/x")
    assert len(server.asked) == 6


def test_a_redirect_into_the_network_is_refused(scripted: Start, build: Build) -> None:
    server = scripted(
        in_turn(Answer(status=307, headers={"Location": "http://169.254.169.254/metadata/identity?secret=1"}))
    )
    with pytest.raises(ProtocolViolation, match=r"points at http://169\.254\.169\.254") as caught:
        build(server).request("GET", "/x")
    assert "secret=1" not in str(caught.value)


def test_plain_http_is_for_loopback_only(options: TransportOptions) -> None:
    with pytest.raises(ValueError, match="plain http is for loopback only"):
        Transport(registry="r.example", base_url="http://r.example", options=options)


def test_logs_tell_what_was_asked_and_nothing_secret(
    scripted: Start, build: Build, caplog: pytest.LogCaptureFixture
) -> None:
    server = scripted(in_turn(Answer(status=405)))
    with (
        caplog.at_level(logging.DEBUG, logger="shared.registry.layers"),
        pytest.raises(OperationDisallowed),
    ):
        build(server).request("DELETE", "/x?sig=hunter2", headers={"Authorization": "Basic hunter2"})
    (record,) = caplog.records
    assert record.getMessage() == "asked a registry"
    fields = vars(record)
    assert (fields["registry"], fields["method"], fields["status"]) == ("r.example", "DELETE", 405)
    assert fields["url"] == f"{server.url}/x?sig=REDACTED"
    assert "hunter2" not in str(fields)


def test_the_environment_has_no_say(
    scripted: Start, build: Build, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    netrc = tmp_path_factory.mktemp("home") / "netrc"
    netrc.write_text("machine 127.0.0.1 login thief password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    server = scripted(in_turn(Answer()))
    build(server).request("GET", "/x")
    assert "Authorization" not in server.asked[0].headers


def test_cookies_are_not_kept(scripted: Start, build: Build) -> None:
    server = scripted(in_turn(Answer(headers={"Set-Cookie": "who=me"})))
    transport = build(server)
    transport.request("GET", "/x")
    transport.request("GET", "/x")
    assert "Cookie" not in server.asked[1].headers


def test_large_bodies_arrive_as_they_are(scripted: Start, build: Build) -> None:
    body = bytes(range(256)) * 5000
    server = scripted(in_turn(Answer()))
    transport = build(server)
    transport.request("PUT", "/x", body=body)
    transport.request("PUT", "/x", body=Piecewise(body[:600_000], body[600_000:]))
    assert [asked.body == body for asked in server.asked] == [True, True]
