"""The connections to one registry, and to where its answers lead."""

from collections.abc import Mapping
from typing import Any, Final, override

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict

from shared.registry.addresses import Origin, origin_of

_HOSTS: Final = 8


class ConnectionPool(HTTPAdapter):
    """An adapter that finds the registry's own connections at once, and keeps no cookies."""

    def __init__(self, home: Origin, *, threads: int) -> None:
        super().__init__(pool_connections=_HOSTS, pool_maxsize=threads, max_retries=0, pool_block=False)
        self._home = home
        self._at_home: Any = None

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
        if found is None or found.pool is None:  # dropped in favour of other hosts, and closed
            found = super().get_connection_with_tls_context(request, verify, proxies, cert)
            self._at_home = found
        return found

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
