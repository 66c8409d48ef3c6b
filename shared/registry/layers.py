"""The layers of the transport that need no file of their own: identity, logs, bounded bodies."""

import io
import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, cast

import requests
import urllib3
from requests.adapters import BaseAdapter

from shared.errors import ProtocolViolation
from shared.registry.addresses import Origin, check_destination, origin_of
from shared.registry.redaction import redact
from shared.registry.wire import MAX_ERROR_BODY

MAX_BODY: Final = 16 * 1024 * 1024
"""Of answers that are read whole: pages, manifests, tokens. Blobs are streamed and not bound by it."""

_SLICE: Final = 256 * 1024

logger = logging.getLogger(__name__)


class Layer(BaseAdapter):
    """A transport adapter around another one; each adds one concern."""

    def __init__(self, inner: BaseAdapter) -> None:
        super().__init__()
        self.inner = inner

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        """Send the request through the inner adapter."""
        return self.inner.send(request, *args, **options)

    def close(self) -> None:
        """Close what the inner adapters hold open."""
        self.inner.close()


class Identification(Layer):
    """Says who we are: the user agent to everyone, further headers to the registry only."""

    def __init__(
        self, inner: BaseAdapter, *, home: Origin, user_agent: str, headers: Mapping[str, str]
    ) -> None:
        super().__init__(inner)
        self._home = home
        self._user_agent = user_agent
        self._headers = dict(headers)

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        """Send the request under our name."""
        request = request.copy()  # a redirect is made from the original, and goes to somebody else
        request.headers["User-Agent"] = self._user_agent
        if origin_of(request.url or "") == self._home:
            request.headers.update(self._headers)
        return self.inner.send(request, *args, **options)


class Boundary(Layer):
    """Sends nothing to a place that a registry must not lead us to."""

    def __init__(self, inner: BaseAdapter, *, registry: str, home: Origin) -> None:
        super().__init__(inner)
        self._registry = registry
        self._home = home

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        """Send the request if its destination is allowed."""
        check_destination(request.url or "", registry=self._registry, home=self._home)
        return self.inner.send(request, *args, **options)


class Logging(Layer):
    """Writes one debug line per attempt, with nothing secret in it: no headers, no unknown query value."""

    def __init__(self, inner: BaseAdapter, *, registry: str) -> None:
        super().__init__(inner)
        self._registry = registry

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        """Send the request and write down what came of it."""
        if not logger.isEnabledFor(logging.DEBUG):
            return self.inner.send(request, *args, **options)
        fields: dict[str, object] = {
            "registry": self._registry,
            "method": request.method,
            "url": redact(request.url or ""),
        }
        started = time.perf_counter()
        try:
            response = self.inner.send(request, *args, **options)
            fields["status"] = response.status_code
        except Exception as error:
            fields["error"] = type(error).__name__
            raise
        finally:
            fields["milliseconds"] = round((time.perf_counter() - started) * 1000, 1)
            logger.debug("asked a registry", extra=fields)
        return response


class BoundedBodies(Layer):
    """Reads answers whole and bounded unless they are streamed, below the retry so that a cut is retried."""

    def __init__(self, inner: BaseAdapter, *, registry: str) -> None:
        super().__init__(inner)
        self._registry = registry

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        """Send the request and read the answer as far as it may be read."""
        response = self.inner.send(request, *args, **options)
        failed = response.status_code >= requests.codes.bad_request
        if options.get("stream") and not failed and not response.is_redirect:
            return response
        limit = MAX_ERROR_BODY if failed else MAX_BODY
        raw = response.raw
        try:
            body = raw.read(limit + 1, decode_content=True)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise requests.ConnectionError(error, request=request) from error
        if len(body) > limit:
            raw.close()
            if not failed:
                raise ProtocolViolation(
                    f"the answer is longer than {limit} bytes",
                    registry=self._registry,
                    method=request.method or "",
                    url=redact(request.url or ""),
                    status=response.status_code,
                )
        else:
            raw.release_conn()
        response.raw = _ReadBody(body[:limit])
        return response


class SlicedBodies(Layer):
    """Sends large bodies in slices, because a socket's timeout is for each call and not for each byte.

    Ten seconds are little for 8 MiB on a line shared by eight uploads, and plenty for a slice.
    """

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        """Send the request, its body sliced if it is large."""
        body: Any = request.body
        if isinstance(body, bytes) and len(body) > _SLICE:
            request = request.copy()
            request.body = cast("Any", _Slices((body,)))
        elif body is not None and not isinstance(body, bytes | str):
            request = request.copy()
            request.body = cast("Any", _Slices(body))
        return self.inner.send(request, *args, **options)


class _Slices:
    """The same bytes in slices; their length is in the request's headers already."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[memoryview]:
        for piece in self._pieces:
            view = memoryview(piece)
            for start in range(0, len(view), _SLICE):
                yield view[start : start + _SLICE]


class _ReadBody(io.BytesIO):
    """A body that was read already; a class of its own so that others may set attributes on it."""
