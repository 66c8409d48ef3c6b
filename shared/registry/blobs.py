"""Reading blobs: streamed, resumed after a cut, and verified before the end is passed on."""

import hashlib
import random
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

import requests
import urllib3

from shared.errors import DigestMismatch, ProtocolViolation, RegistryError, RegistryUnavailable
from shared.oci.manifest import Descriptor
from shared.oci.names import Digest
from shared.registry.transport import Transport

PIECE: Final = 1024 * 1024
_RESUMES: Final = 4
_RANGE: Final = re.compile(r"bytes (\d+)-\d+/(?:\d+|\*)")
_OPENING: Final = frozenset({200})
_RESUMING: Final = frozenset({200, 206})
_REFUSED: Final = frozenset({400, 401, 403})


def digest_matches(content: bytes, digest: Digest) -> bool:
    """Tell whether the bytes have the digest, whichever of the registered algorithms it is of."""
    algorithm, _, encoded = digest.partition(":")
    return hashlib.new(algorithm, content).hexdigest() == encoded


def verified(pieces: Iterable[bytes], descriptor: Descriptor, *, registry: str) -> Iterator[bytes]:
    """Yield the pieces, holding back the last one until all of them are known to be the blob.

    Whoever passes them on as a request of the blob's length can therefore not complete it with wrong bytes.

    :raises DigestMismatch: in place of the last piece, when size or digest is not the announced one.
    """
    algorithm, _, encoded = descriptor.digest.partition(":")
    digest, size, held = hashlib.new(algorithm), 0, b""
    for piece in pieces:
        size += len(piece)
        if size > descriptor.size:
            break
        digest.update(piece)
        if held:
            yield held
        held = piece
    if size != descriptor.size:
        more = "more than " if size > descriptor.size else ""
        raise DigestMismatch(
            f"{descriptor.digest} has {more}{min(size, descriptor.size)} bytes, expected {descriptor.size}",
            registry=registry,
        )
    if digest.hexdigest() != encoded:
        raise DigestMismatch(
            f"the bytes served as {descriptor.digest} are {algorithm}:{digest.hexdigest()}", registry=registry
        )
    if held:
        yield held


@contextmanager
def open_blob(transport: Transport, url: str, descriptor: Descriptor) -> Iterator[Iterator[bytes]]:
    """Open a blob of a registry; a download that is cut goes on where it stopped.

    The storage host that a registry redirects to is asked without ``Authorization``, and each resumption
    asks the registry anew, because a storage signature expires.
    """
    download = _Download(transport, url, descriptor)
    try:
        yield verified(download.pieces(), descriptor, registry=transport.registry)
    finally:
        download.close()


class _Download:
    """One blob on its way, over as many responses as it takes."""

    def __init__(self, transport: Transport, url: str, descriptor: Descriptor) -> None:
        self._transport = transport
        self._url = url
        self._descriptor = descriptor
        self._received = 0
        self._known = 0
        self._response = self._ask()

    def pieces(self) -> Iterator[bytes]:
        resumed = 0
        while True:
            try:
                yield from self._read()
            except (urllib3.exceptions.HTTPError, requests.RequestException, OSError, EOFError) as error:
                failure: Exception = error
            else:
                if self._received >= self._descriptor.size:
                    return
                failure = EOFError()
            resumed += 1
            if resumed > _RESUMES:
                raise RegistryUnavailable(
                    f"the download of {self._descriptor.digest} was cut {resumed} times, the last time after "
                    f"{self._received} of {self._descriptor.size} bytes: {type(failure).__name__}",
                    registry=self._transport.registry,
                ) from failure
            time.sleep(random.uniform(0, self._transport.options.backoff * resumed))  # noqa: S311 - jitter
            self.close()
            self._response = self._ask()

    def _read(self) -> Iterator[bytes]:
        self._skip()
        for piece in self._response.raw.stream(PIECE, decode_content=False):
            self._received += len(piece)
            yield piece

    def _ask(self) -> requests.Response:
        """Ask the registry, which sends us to its storage, and once more if that refuses the signature.

        Signatures expire, and clocks differ: Azure's storage answers 403 then, which says nothing of our
        rights. What the registry itself refuses is refused.
        """
        try:
            return self._request()
        except RegistryError as error:
            if not self._is_of_storage(error):
                raise
        time.sleep(random.uniform(0, self._transport.options.backoff))  # noqa: S311 - jitter
        try:
            return self._request()
        except RegistryError as error:
            if not self._is_of_storage(error):
                raise
            raise RegistryUnavailable(
                f"its storage refuses what it signed: {error.message}",
                registry=error.registry,
                method=error.method,
                url=error.url,
                status=error.status,
            ) from error

    def _is_of_storage(self, error: RegistryError) -> bool:
        return error.status in _REFUSED and not error.url.startswith(f"{self._transport.base_url}/")

    def _request(self) -> requests.Response:
        headers = {"Accept-Encoding": "identity"}
        if self._received:
            headers["Range"] = f"bytes={self._received}-"
        response = self._transport.request(
            "GET",
            self._url,
            headers=headers,
            stream=True,
            expect=_RESUMING if self._received else _OPENING,
        )
        self._known = 0
        if response.status_code == requests.codes.partial_content:
            span = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
            if span is None or int(span[1]) != self._received:
                response.close()
                raise ProtocolViolation(
                    f"asked for bytes from {self._received}, got {response.headers.get('Content-Range')!r}",
                    registry=self._transport.registry,
                )
        else:
            self._known = self._received
        return response

    def _skip(self) -> None:
        """Read past what was received before, from a server that knows no ranges."""
        while self._known:
            piece = self._response.raw.read(min(PIECE, self._known), decode_content=False)
            if not piece:
                raise EOFError
            self._known -= len(piece)

    def close(self) -> None:
        self._response.close()
