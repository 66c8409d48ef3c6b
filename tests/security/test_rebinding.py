"""DNS rebinding: a name that is public while it is checked, and something else when it is connected to."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from emulators.certificates import CertificateAuthority
from emulators.server import Server
from shared.errors import ProtocolViolation
from shared.registry.transport import Transport, TransportOptions

PUBLIC = "93.184.215.14"


class Internal:
    """A server on this machine that nobody from outside should reach."""

    def __init__(self, ca: CertificateAuthority) -> None:
        self.asked: list[str] = []
        self.connections = 0
        self.server = Server(Starlette(routes=[Route("/{path:path}", self._answer)]), ca=ca)

    def _answer(self, request: Request) -> Response:
        self.asked.append(request.url.path)
        return PlainTextResponse("secret")


@pytest.fixture
def ca() -> Iterator[CertificateAuthority]:
    with CertificateAuthority() as authority:
        yield authority


@pytest.fixture
def internal(ca: CertificateAuthority) -> Iterator[Internal]:
    found = Internal(ca)
    with found.server:
        yield found


@pytest.fixture
def rebound(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Answer for every name with a public address once, and from then on with this machine's."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def resolve(host: str, port: int, *args: Any, **options: Any) -> Any:
        if host in {"127.0.0.1", "localhost"}:
            return real(host, port, *args, **options)
        asked.append(host)
        address = PUBLIC if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return asked


def transport(ca: CertificateAuthority) -> Transport:
    options = TransportOptions(ca_file=ca.ca_file, tries=1)
    return Transport(registry="myreg.azurecr.io", base_url="https://myreg.azurecr.io", options=options)


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_name_that_changes_between_check_and_connection_is_not_sent_a_byte(
    ca: CertificateAuthority, internal: Internal, rebound: list[str], method: str
) -> None:
    url = f"https://storage.example:{internal.server.port}/upload"
    with pytest.raises(ProtocolViolation, match=r"storage\.example, which is a name for this machine"):
        transport(ca).request(method, url, body=b"layer" if method == "PUT" else None)
    assert rebound == ["storage.example", "storage.example"]
    assert internal.asked == []


def test_without_rebinding_the_same_server_would_have_answered(
    ca: CertificateAuthority, internal: Internal
) -> None:
    home = Transport(
        registry="localhost", base_url=internal.server.url, options=TransportOptions(ca_file=ca.ca_file)
    )
    assert home.request("GET", "/upload").content == b"secret"
