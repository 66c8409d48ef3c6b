"""The connections to one registry, and to where its answers lead."""

import socket
from collections.abc import Mapping
from typing import Any, Final, override

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.connection import HTTPSConnection

from shared.errors import ProtocolViolation
from shared.registry.addresses import Origin, forbidden_peer, origin_of

_HOSTS: Final = 8
_MESSAGES: Final = 12
"""How many messages one process works on at once (host.json), each with that many threads. A connection
that is not kept costs the next request a handshake."""


class ConnectionPool(HTTPAdapter):
    """An adapter that finds the registry's own connections at once, and keeps no cookies.

    It talks to no address that a registry must not lead us to, whatever its name meant a moment before.
    """

    def __init__(self, home: Origin, *, registry: str, threads: int) -> None:
        super().__init__(
            pool_connections=_HOSTS,
            pool_maxsize=_MESSAGES * threads,
            max_retries=0,
            pool_block=False,
        )
        self.poolmanager.pool_classes_by_scheme = {
            "http": urllib3.HTTPConnectionPool,
            "https": _fenced_pool(home, registry),
        }
        self._home = home
        self._at_home: Any = None
        self._trusted: Any = None

    @override
    def get_connection_with_tls_context(
        self,
        request: requests.PreparedRequest,
        verify: bool | str | None,
        proxies: Mapping[str, str] | None = None,
        cert: Any = None,
    ) -> Any:
        """Return the connections to the request's host; those to the registry are looked up once."""
        if origin_of(request.url or "") != self._home:
            return super().get_connection_with_tls_context(request, verify, proxies, cert)
        found = self._at_home
        if found is None:
            found = super().get_connection_with_tls_context(request, verify, proxies, cert)
            self._at_home = found
        return found

    @override
    def cert_verify(self, conn: Any, url: str, verify: bool | str | None, cert: Any) -> None:
        """Tell connections whom to trust; the registry's own once, since that looks for files."""
        if conn is not self._at_home or conn is not self._trusted:
            super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]
        if conn is self._at_home:
            self._trusted = conn

    @override
    def close(self) -> None:
        """Close the connections; another request would open new ones."""
        self._at_home = self._trusted = None
        super().close()

    @override
    def build_response(
        self, req: requests.PreparedRequest, resp: urllib3.BaseHTTPResponse
    ) -> requests.Response:
        """Return the answer as ``requests`` has it."""
        response = requests.Response()
        response.status_code = resp.status
        response.headers = CaseInsensitiveDict(resp.headers)
        response.encoding = requests.utils.get_encoding_from_headers(response.headers)
        response.raw = resp
        response.reason = resp.reason or ""
        response.url = req.url or ""
        response.request = req
        response.connection = self
        return response


def _fenced_pool(home: Origin, registry: str) -> type[urllib3.HTTPSConnectionPool]:
    """Return pools whose connections look whom they reached, before a byte is sent.

    Names are resolved anew for each connection, and whoever owns one may answer differently each time (DNS
    rebinding). Through a proxy the peer is the proxy; such connections have pools of their own.
    """

    class Connection(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            connected = super()._new_conn()
            reason = forbidden_peer(connected.getpeername()[0], host=self.host, home=home)
            if reason is not None:
                connected.close()
                raise ProtocolViolation(f"it points at {self.host}, {reason}", registry=registry)
            return connected

    class Pool(urllib3.HTTPSConnectionPool):
        ConnectionCls = Connection

    return Pool
