"""Writing blobs: the upload state machine of distribution-spec, "Pushing blobs".

A session is opened by POST. Its location is the server's choice: relative or absolute, with state in its
query, and a new one in every answer; only the newest counts. The blob goes up in one PUT. If the line breaks,
the second attempt goes up in chunks, each of which can be sent again from where the server stands.
"""

import random
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urljoin

import requests

from shared.errors import (
    AuthenticationFailed,
    ContentRejected,
    DigestMismatch,
    NotFound,
    ProtocolViolation,
    RateLimited,
    RegistryError,
    RegistryUnavailable,
    StewardError,
)
from shared.oci.manifest import Descriptor
from shared.oci.names import Digest, RepositoryName
from shared.registry.blobs import verified
from shared.registry.content import OpenBlob
from shared.registry.flights import Flight, Flights
from shared.registry.transport import Transport

SMALL: Final = 1024 * 1024
"""Blobs up to this size are held in memory, so that the transport itself can send them again."""

CHUNK: Final = 8 * 1024 * 1024
"""At least 5 MiB: registries on S3 cannot store smaller parts (distribution-spec #374)."""

_LONGEST_CHUNK: Final = 32 * 1024 * 1024
_ATTEMPTS: Final = 3
_STATUS_CHECKS: Final = 4
_OPENED: Final = frozenset({202})
_MOUNTED_OR_OPENED: Final = frozenset({201, 202})
_ACCEPTED: Final = frozenset({201, 202, 204})
_COMMITTED: Final = frozenset({201, 204})
_STATUS: Final = frozenset({200, 202, 204})
_WORTH_A_FRESH_START: Final = (
    RegistryUnavailable,
    RateLimited,  # the body was sent piece by piece, so the transport could not send it again
    AuthenticationFailed,  # the same: the token it was sent with has been replaced meanwhile
    NotFound,  # the session is gone
    ContentRejected,  # it may be taken in chunks
)
_RANGE: Final = re.compile(r"(?:bytes[ =])?0-(\d+)")
_BINARY: Final = {"Content-Type": "application/octet-stream"}


@dataclass(slots=True)
class Session:
    """An open upload: where it goes on, and the smallest chunk that the server takes."""

    location: str
    smallest_chunk: int = 0

    def moved(self, response: requests.Response) -> "Session":
        """Take the newest location, resolved against the URL that answered."""
        location = response.headers.get("Location")
        if location:
            self.location = urljoin(response.url, location)
        return self


class _Sized:
    """A body of known length whose pieces come from an iterator, once."""

    def __init__(self, pieces: Iterator[bytes], size: int) -> None:
        self._pieces = pieces
        self._size = size

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces


class Uploads:
    """Uploads to one repository; threads that want the same blob there, or beside it, make one upload."""

    def __init__(
        self,
        transport: Transport,
        name: RepositoryName,
        exists: Callable[[Descriptor], bool],
        flights: Flights,
    ) -> None:
        self._transport = transport
        self._name = name
        self._base = f"/v2/{name}/blobs/uploads/"
        self._exists = exists
        self._flights = flights
        self._guard = threading.Lock()
        self._opened: dict[Digest, Session] = {}

    def mount(self, descriptor: Descriptor, source: RepositoryName) -> bool:
        """Tell whether the registry took the blob from the other repository.

        Where it opens a session instead, the session is kept for the upload that follows; where it refuses
        with any of the codes that registries use for it (go-containerregistry #1609, #1681), nothing is lost.
        """
        url = f"{self._base}?mount={quote(descriptor.digest, safe='')}&from={quote(source, safe='')}"
        try:
            response = self._transport.request(
                "POST", url, headers={"Content-Length": "0"}, expect=_MOUNTED_OR_OPENED
            )
        except RegistryError as error:
            if error.temporary:
                raise
            return False
        if response.status_code == requests.codes.created:
            return True
        self._keep(descriptor.digest, self._session(response))
        return False

    def push(self, descriptor: Descriptor, source: bytes | Iterable[bytes] | OpenBlob) -> None:
        """Store the blob; see :class:`shared.registry.content.ContentTarget`.

        The source is not opened when another thread's upload of the blob serves this one, too.
        """
        open_source, attempts = _opener(source)
        while True:
            with self._flights.board(descriptor.digest, self._name) as flight:
                if flight is None:
                    if self._flights.has_landed(descriptor.digest, self._name) and self._exists(descriptor):
                        return  # another thread was quicker since this one was told that it is missing
                    self._push(descriptor, open_source, attempts)
                    return
            flight.wait()
            if self._is_served_by(flight, descriptor):
                self._keep(descriptor.digest, None)
                return

    def _is_served_by(self, flight: Flight, descriptor: Descriptor) -> bool:
        """Tell whether another thread's upload put the blob here, or did where it can be mounted from."""
        if flight.repository == self._name:
            return flight.landed or self._exists(descriptor)
        if not flight.landed or not self._flights.mounting:
            return False
        if self.mount(descriptor, flight.repository):
            return True
        self._flights.stop_mounting()
        return False

    def _keep(self, digest: Digest, session: Session | None) -> None:
        """Keep an open session for the upload that follows, and cancel one that is not needed any more."""
        with self._guard:
            before = self._opened.pop(digest, None)
            if session is not None:
                self._opened[digest] = session
        if before is not None:
            self._cancel(before)

    def _push(self, descriptor: Descriptor, open_source: OpenBlob, attempts: int) -> None:
        for attempt in range(1, attempts + 1):
            session = self._take(descriptor) or self._open()
            try:
                with self._cancelled_on_failure(session), open_source() as pieces:
                    checked = verified(pieces, descriptor, registry=self._transport.registry)
                    if descriptor.size <= SMALL:
                        self._commit(session, descriptor, b"".join(checked))
                    elif attempt == 1:
                        self._commit(session, descriptor, _Sized(checked, descriptor.size))
                    else:
                        self._send_chunks(session, descriptor, checked)
            except _WORTH_A_FRESH_START as error:
                if self._exists(descriptor):
                    return  # only the answer was lost
                if attempt == attempts:
                    raise
                self._pause(error, attempt)
            else:
                return

    def _pause(self, error: RegistryError, attempt: int) -> None:
        """Wait before a fresh start, as long as the registry asks, unless that is beyond our patience."""
        options = self._transport.options
        stated = error.retry_after if isinstance(error, RateLimited) else None
        if stated is not None and stated > options.patience:
            raise error
        time.sleep((stated or 0.0) + random.uniform(0, options.backoff * attempt))  # noqa: S311 - jitter

    def _take(self, descriptor: Descriptor) -> Session | None:
        with self._guard:
            return self._opened.pop(descriptor.digest, None)

    def _open(self) -> Session:
        response = self._transport.request(
            "POST", self._base, headers={"Content-Length": "0"}, expect=_OPENED
        )
        return self._session(response)

    def _session(self, response: requests.Response) -> Session:
        if not response.headers.get("Location"):
            raise ProtocolViolation(
                "an upload was opened without a location", registry=self._transport.registry
            )
        smallest = response.headers.get("OCI-Chunk-Min-Length", "")
        return Session("", int(smallest) if smallest.isdigit() else 0).moved(response)

    @contextmanager
    def _cancelled_on_failure(self, session: Session) -> Iterator[None]:
        """Cancel the session if it does not end well; a failure to cancel is not worth another word."""
        try:
            yield
        except BaseException:
            self._cancel(session)
            raise

    def _cancel(self, session: Session) -> None:
        with suppress(StewardError):
            self._transport.request("DELETE", session.location, expect=_STATUS)

    def _commit(self, session: Session, descriptor: Descriptor, body: bytes | _Sized) -> None:
        mark = "&" if "?" in session.location else "?"
        url = f"{session.location}{mark}digest={quote(descriptor.digest, safe='')}"
        response = self._transport.request(
            "PUT", url, headers=_BINARY, body=body, expect=_COMMITTED, unhurried=True
        )
        stored = response.headers.get("Docker-Content-Digest")
        if stored is not None and stored != descriptor.digest:
            raise DigestMismatch(
                f"{descriptor.digest} was sent and stored as {stored}", registry=self._transport.registry
            )

    def _send_chunks(self, session: Session, descriptor: Descriptor, pieces: Iterator[bytes]) -> None:
        size = min(max(CHUNK, session.smallest_chunk), _LONGEST_CHUNK)
        start = 0
        for chunk in _regrouped(pieces, size):
            self._send_chunk(session, chunk, start)
            start += len(chunk)
        self._commit(session, descriptor, b"")

    def _send_chunk(self, session: Session, chunk: bytes, start: int) -> None:
        """Send one chunk, again from where the server says it stands, until the server has all of it.

        After a failure the old location may be gone while the session lives on (regclient #323).
        """
        end = start + len(chunk)
        reached, checks = start, 0
        while reached < end:
            rest = memoryview(chunk)[reached - start :].tobytes() if reached > start else chunk
            headers = {**_BINARY, "Content-Range": f"{reached}-{end - 1}"}
            try:
                response = self._transport.request(
                    "PATCH", session.location, headers=headers, body=rest, expect=_ACCEPTED
                )
            except (RegistryUnavailable, ContentRejected):
                checks += 1
                if checks >= _STATUS_CHECKS:
                    raise
            else:
                session.moved(response)
                return
            time.sleep(random.uniform(0, self._transport.options.backoff * checks))  # noqa: S311 - jitter
            reached = self._reached(session)
            if not start <= reached <= end:
                raise ProtocolViolation(
                    f"the upload stands at {reached}, between neither {start} nor {end}",
                    registry=self._transport.registry,
                )

    def _reached(self, session: Session) -> int:
        response = self._transport.request("GET", session.location, expect=_STATUS)
        session.moved(response)
        span = _RANGE.fullmatch(response.headers.get("Range", ""))
        last = int(span[1]) if span else 0
        return last + 1 if last else 0  # "0-0" is nothing or one byte; no chunk of ours is one byte


def _opener(source: bytes | Iterable[bytes] | OpenBlob) -> tuple[OpenBlob, int]:
    """Return how to open the source, and how often that can be done."""
    if callable(source):
        return source, _ATTEMPTS
    if isinstance(source, bytes):
        return lambda: nullcontext(iter((source,))), _ATTEMPTS
    pieces = iter(source)
    return lambda: nullcontext(pieces), 1


def _regrouped(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Yield the same bytes in chunks of the size, the last one shorter."""
    buffer = bytearray()
    for piece in pieces:
        buffer += piece
        while len(buffer) >= size:
            yield bytes(buffer[:size])
            del buffer[:size]
    if buffer:
        yield bytes(buffer)
