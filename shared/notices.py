"""Telling others what a run came to: CloudEvents to an Event Grid topic, where one is configured."""

import logging
from collections.abc import Mapping
from typing import Any, Final, Literal, Protocol

from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError
from azure.core.messaging import CloudEvent
from azure.eventgrid import EventGridPublisherClient

type NoticeKind = Literal["PlanReady", "RunRefused", "RunFinished"]

PREFIX: Final = "RegistrySteward."
SOURCE: Final = "/registry-steward"

logger = logging.getLogger("steward.notices")


class Notices(Protocol):
    """Takes what others may want to know."""

    def publish(self, kind: NoticeKind, run: str, summary: Mapping[str, Any]) -> None:
        """Tell it. A notice that cannot be delivered is logged: it is news, not work."""


class NoNotices:
    """Nobody wants to know."""

    def publish(self, kind: NoticeKind, run: str, summary: Mapping[str, Any]) -> None:
        """Do nothing."""


class EventGridNotices:
    """One CloudEvent (1.0) per notice: type ``RegistrySteward.RunFinished``, subject ``runs/{run}``."""

    def __init__(self, endpoint: str, credential: TokenCredential, **options: Any) -> None:
        """Prepare the client; ``options`` are those of azure-core's pipeline."""
        self._client = EventGridPublisherClient(endpoint, credential, **options)

    def publish(self, kind: NoticeKind, run: str, summary: Mapping[str, Any]) -> None:
        """Send it, with the few tries that azure-core makes."""
        event = CloudEvent(
            source=SOURCE, type=f"{PREFIX}{kind}", subject=f"runs/{run}", data={**summary, "run": run}
        )
        try:
            self._client.send(event)
        except AzureError:
            logger.warning("a notice could not be published: %s of %s", kind, run, exc_info=True)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
