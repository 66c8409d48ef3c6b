"""The bodies of the registry's notifications: Event Grid's ``data``, a webhook's whole body.

One for each manifest PUT, new or not, children by digest included (they have no tag); one for each manifest
deleted; none when a tag is removed (Azure/acr #126, #286).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import uuid4

from starlette.requests import Request

from emulators.registry.records import Manifest

type EventBody = dict[str, Any]
type Listener = Callable[[EventBody], None]


class Notifications:
    """Builds event bodies and calls the listeners with them, in the thread that serves the request."""

    def __init__(self, *, login_server: str, location: str, clock: Callable[[], datetime]) -> None:
        self._login_server = login_server
        self._location = location
        self._clock = clock
        self._listeners: list[Listener] = []

    def subscribe(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def pushed(self, request: Request, repository: str, manifest: Manifest, tag: str | None) -> None:
        size = len(manifest.content)
        target = {
            "mediaType": manifest.media_type,
            "size": size,
            "digest": manifest.digest,
            "length": size,
            "repository": repository,
        }
        if tag is not None:
            target["tag"] = tag
        self._send("push", target, request)

    def deleted(self, request: Request, repository: str, manifest: Manifest) -> None:
        target = {
            "mediaType": manifest.media_type,
            "digest": manifest.digest,
            "repository": repository,
        }
        self._send("delete", target, request)

    def _send(self, action: str, target: EventBody, request: Request) -> None:
        moment = self._clock()
        body = {
            "id": str(uuid4()),
            "timestamp": f"{moment.isoformat(timespec='microseconds')[:26]}000Z",
            "action": action,
            "location": self._location,
            "target": target,
            "request": {
                "id": str(uuid4()),
                "host": self._login_server,
                "method": request.method,
                "useragent": request.headers.get("user-agent", ""),
            },
        }
        for listener in tuple(self._listeners):
            listener(body)
