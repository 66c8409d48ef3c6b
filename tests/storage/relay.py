"""A server in front of Azurite that records what passes and breaks it in chosen ways."""

import http.client
import re
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Self
from urllib.parse import urlsplit

_NOT_RELAYED = {"connection", "transfer-encoding", "content-length", "keep-alive", "date", "server"}


@dataclass(kw_only=True)
class Request:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path


@dataclass(kw_only=True)
class Answer:
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    announced: int | None = None
    """What Content-Length says, when it is not the body's length."""


def refusal(status: int, code: str) -> Answer:
    """Return an error as Azure Storage words it."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>No.\nDetails.</Message></Error>"
    headers = {"x-ms-error-code": code, "Content-Type": "application/xml"}
    return Answer(status=status, headers=headers, body=body.encode())


class Relay:
    """Stands before the blob service and passes everything on, unchanged.

    Subclasses are named after the failure they play.
    """

    def __init__(self, connection_string: str) -> None:
        self.requests: list[tuple[str, str, int | None]] = []
        self._lock = Lock()
        self._text = connection_string
        self._server: ThreadingHTTPServer | None = None
        self._thread: Thread | None = None

    def answer(self, request: Request) -> Answer | None:
        """Return what the client gets; ``None`` closes the connection without a word."""
        return self.upstream(request)

    def upstream(self, request: Request) -> Answer:
        """Ask Azurite."""
        parts = urlsplit(_blob_endpoint(self._text))
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        try:
            connection.request(request.method, request.target, request.body, request.headers)
            answer = connection.getresponse()
            body = answer.read()
            headers = {
                name: value for name, value in answer.headers.items() if name.lower() not in _NOT_RELAYED
            }
            announced = answer.headers.get("Content-Length") if request.method == "HEAD" else None
            return Answer(
                status=answer.status,
                headers=headers,
                body=body,
                announced=None if announced is None else int(announced),
            )
        finally:
            connection.close()

    @property
    def connection_string(self) -> str:
        """The connection string by which clients come through here."""
        assert self._server is not None
        port = self._server.server_address[1]
        return re.sub(r"(BlobEndpoint=http://)[^/]+", rf"\g<1>127.0.0.1:{port}", self._text)

    def statuses(self, method: str) -> list[int | None]:
        return [status for done, _, status in self.requests if done == method]

    def handle(self, request: Request) -> Answer | None:
        answer = self.answer(request)
        with self._lock:
            self.requests.append((request.method, request.path, answer.status if answer else None))
        return answer

    def __enter__(self) -> Self:
        relay = self

        class Handler(_Handler):
            def asked(self, request: Request) -> Answer | None:
                return relay.handle(request)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._server is not None
        assert self._thread is not None
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    def asked(self, request: Request) -> Answer | None:
        raise NotImplementedError

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = dict(self.headers.items())
        answer = self.asked(Request(method=self.command, target=self.path, headers=headers, body=body))
        if answer is None:
            return
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        length = len(answer.body) if answer.announced is None else answer.announced
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(answer.body)

    do_PUT = do_HEAD = do_POST = do_DELETE = do_GET  # noqa: N815 - the names http.server looks for

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _blob_endpoint(connection_string: str) -> str:
    pairs = dict(part.split("=", 1) for part in connection_string.rstrip(";").split(";"))
    return pairs["BlobEndpoint"]
