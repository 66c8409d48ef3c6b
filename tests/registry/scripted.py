"""A registry of a few lines for what no well-behaved server does: it answers as a test tells it to."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    announced: int | None = None
    """The Content-Length that is announced, when it is not that of the body; then the line is cut."""


type Script = Callable[[Asked], Answer]


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that hang up, which is what they are asked to do."""


class ScriptedServer:
    """Serves a script on loopback, over plain http, and remembers what it was asked."""

    def __init__(self, script: Script) -> None:
        self.asked: list[Asked] = []
        guard = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                pass

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                parts = urlsplit(self.path)
                asked = Asked(
                    method=self.command,
                    path=parts.path,
                    query=parts.query,
                    headers=dict(self.headers.items()),
                    body=body,
                )
                with guard:
                    outer.asked.append(asked)
                answer = script(asked)
                self.send_response(answer.status)
                empty = answer.status in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}  # RFC 9110, 6.4.1
                if not empty:
                    length = len(answer.body) if answer.announced is None else answer.announced
                    self.send_header("Content-Length", str(length))
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD" and not empty:
                    self.wfile.write(answer.body)
                if answer.announced is not None:
                    self.close_connection = True

        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"):
            setattr(Handler, f"do_{method}", Handler.answer)

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def paths(self, method: str | None = None) -> list[str]:
        return [each.path for each in self.asked if method in {None, each.method}]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def in_turn(*answers: Answer) -> Script:
    """Give the answers one after the other, the last one for ever."""
    left = list(answers)

    def script(_: Asked) -> Answer:
        return left.pop(0) if len(left) > 1 else left[0]

    return script
