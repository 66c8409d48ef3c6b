"""The one place where a request is sent again."""

import random
import ssl
import time
from collections.abc import Callable
from typing import Any, Final

import requests
import urllib3
from requests.adapters import BaseAdapter

from shared.errors import ProtocolViolation, RegistryUnavailable
from shared.registry.layers import Layer
from shared.registry.pacing import endpoint_class
from shared.registry.redaction import redact
from shared.registry.wire import retry_after

_WORTH_RETRYING: Final = frozenset({408, 429, 500, 502, 503, 504})
_LONGEST_BACKOFF: Final = 20.0
_SPREAD: Final = 0.1
_NOT_UNDERSTOOD: Final = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidHeader,
    requests.exceptions.ContentDecodingError,
)


def is_replayable(request: requests.PreparedRequest) -> bool:
    """Tell whether the body can be sent a second time: there is none, or it is in memory."""
    return request.body is None or isinstance(request.body, bytes | str)


def _changes_a_session(request: requests.PreparedRequest) -> bool:
    """Tell whether the request moves an upload session on, so that its double would be misplaced."""
    return request.method in {"PATCH", "PUT"} and "/blobs/uploads/" in (request.url or "")


def _may_be_locked_out(request: requests.PreparedRequest, status: int) -> bool:
    """Tell whether a sign-in was refused as too frequent: so Docker Hub's lock-out looks, and it lasts."""
    signing_in = endpoint_class(request.method or "", request.url or "") == "oauth"
    return signing_in and status == requests.codes.too_many_requests


class Retry(Layer):
    """Sends again what may be sent again, with full jitter, until tries or patience run out.

    What the registry says of when to come back is obeyed. A wait that would exceed the patience is not
    begun: the last answer is returned, and turns into an error that knows when to come back.
    """

    def __init__(
        self,
        inner: BaseAdapter,
        *,
        registry: str,
        tries: int,
        patience: float,
        delete_patience: float | None = None,
        backoff: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(inner)
        self._registry = registry
        self._tries = tries
        self._patience = patience
        self._delete_patience = patience if delete_patience is None else min(patience, delete_patience)
        self._backoff = backoff
        self._clock = clock
        self._sleep = sleep

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        """Return the first answer that is worth returning, or else the last one.

        :raises RegistryUnavailable: when there was no answer, however often it was asked for.
        """
        started, attempt = self._clock(), 0
        patience = self._delete_patience if request.method == "DELETE" else self._patience
        while True:
            attempt += 1
            answer: requests.Response | None = None
            failure: Exception | None = None
            try:
                answer = self.inner.send(request, *args, **options)
                again = self._may_repeat(request, answer.status_code)
                stated = retry_after(answer.headers) if again else None
                again = again and not (stated is None and _may_be_locked_out(request, answer.status_code))
            except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
                failure, stated = error, None
                again = _is_passing(error) and is_replayable(request) and not _changes_a_session(request)
            wait = self._wait(attempt, stated)
            spent = self._clock() - started
            if again and attempt < self._tries and spent + wait <= patience:
                self._sleep(wait)
                continue
            if answer is not None:
                return answer
            raise self._error(request, failure, attempt) from failure

    def _may_repeat(self, request: requests.PreparedRequest, status: int) -> bool:
        if status not in _WORTH_RETRYING or not is_replayable(request):
            return False
        if status == requests.codes.too_many_requests:
            return True  # it was counted, not acted upon
        # Docker Hub goes on deleting in the background after a 500 and asks not to repeat the request
        # (Docker Hub registry API reference, "Delete image manifest").
        if status == requests.codes.server_error and request.method == "DELETE":
            return False
        return not _changes_a_session(request)

    def _wait(self, attempt: int, stated: float | None) -> float:
        ceiling = min(_LONGEST_BACKOFF, self._backoff * 2.0 ** (attempt - 1))
        jitter = random.uniform(0, ceiling)  # noqa: S311 - spreads load, guards nothing
        if stated is None:
            return jitter
        return stated + min(jitter, self._backoff, max(stated * _SPREAD, 0.05))

    def _error(
        self, request: requests.PreparedRequest, failure: Exception | None, attempts: int
    ) -> RegistryUnavailable | ProtocolViolation:
        where: dict[str, Any] = {
            "registry": self._registry,
            "method": request.method or "",
            "url": redact(request.url or ""),
        }
        if isinstance(failure, _NOT_UNDERSTOOD):
            return ProtocolViolation(f"an answer that is not HTTP: {type(failure).__name__}", **where)
        tried = "" if attempts == 1 else f" in {attempts} tries"
        return RegistryUnavailable(f"no answer{tried}: {_reason(failure)}", **where)


def _is_passing(error: Exception) -> bool:
    """Tell whether the same request may fare better: not where a certificate or a URL is wrong."""
    return not any(
        isinstance(each, (*_NOT_UNDERSTOOD, ssl.SSLCertVerificationError)) for each in _chain(error)
    )


def _reason(failure: Exception | None) -> str:
    """Name the failure without its text, which may quote URLs with secrets in them."""
    return " of ".join(type(each).__name__ for each in reversed(_chain(failure))) or "unknown"


def _chain(failure: BaseException | None) -> list[BaseException]:
    """Return the failure and what caused it: requests wraps urllib3, which wraps the socket's errors."""
    chain: list[BaseException] = []
    while failure is not None and failure not in chain:
        chain.append(failure)
        within = [getattr(failure, "reason", None), *failure.args, failure.__cause__]
        failure = next((each for each in within if isinstance(each, BaseException)), None)
    return chain
