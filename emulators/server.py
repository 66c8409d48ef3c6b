"""One ASGI app on one loopback port, served by uvicorn in a daemon thread."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from typing import Any, Self

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from emulators.certificates import CertificateAuthority

CONNECTION = "emulators.connection"
"""Extension of the ASGI scope that holds the transport, so that a fault can cut the connection."""


class _ServedConnection(HttpToolsProtocol):
    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {CONNECTION: {"transport": self.transport}}


class _PromptServer(uvicorn.Server):
    """Says when it is ready, and stops at once: uvicorn polls and waits tenths of seconds for both."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()
        self._stopped = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets=sockets)
        self.ready.set()

    async def main_loop(self) -> None:
        counter = 0
        while not await self.on_tick(counter):
            counter += 10
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), timeout=1.0)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        for connection in tuple(self.server_state.connections):
            transport = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()

    def stop(self) -> None:
        """Ask from another thread."""
        self.should_exit = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._stopped.set)


class Server:
    """Serves an ASGI app on 127.0.0.1, over TLS if an authority is given.

    The port is known as soon as the object exists; connections are accepted after ``start``.
    """

    def __init__(self, app: ASGIApp, *, ca: CertificateAuthority | None = None, port: int = 0) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.bind(("127.0.0.1", port))
        self.port: int = self._socket.getsockname()[1]
        self.netloc = f"localhost:{self.port}"
        self.url = f"{'https' if ca else 'http'}://{self.netloc}"
        tls: dict[str, Any] = {}
        if ca is not None:
            tls = {"ssl_certfile": ca.certificate_file, "ssl_keyfile": ca.key_file}
        served: Any = app  # the same protocol under uvicorn's own, narrower types
        config = uvicorn.Config(
            served,
            http=_ServedConnection,
            loop="uvloop",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=75,
            **tls,
        )
        self._server = _PromptServer(config)
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Return when the port accepts connections."""
        if self._thread is not None:
            raise RuntimeError("this server was already started")
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name=f"server-{self.port}", daemon=True
        )
        self._thread.start()
        if not self._server.ready.wait(timeout=20):
            raise RuntimeError(f"no server on port {self.port} after 20 seconds")

    def stop(self) -> None:
        """Close all connections and free the port; a second call does nothing."""
        thread, self._thread = self._thread, None
        self._server.stop()
        if thread is not None:
            thread.join(timeout=20)
            if thread.is_alive():
                logging.getLogger(__name__).warning("server on port %d did not stop", self.port)
        self._socket.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()
