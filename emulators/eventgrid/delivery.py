"""Where events go: one attempt to deliver to a storage queue or to a webhook."""

import base64
import json
import uuid
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

import requests
from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError
from azure.storage.queue import QueueClient

from emulators.eventgrid.envelope import Event, Schema

_ANSWER_WITHIN = 30.0
_ORIGIN = "eventgrid.azure.net"
_OUTCOMES = {408: "TimedOut", 413: "RequestEntityTooLarge", 503: "Busy"}


class HandshakeError(Exception):
    """The webhook did not prove that it wants events; the text says what it answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """How one delivery attempt ended: `outcome` in Event Grid's words, and whether another may help."""

    outcome: str
    status: int | None = None
    retry: bool = True

    @property
    def delivered(self) -> bool:
        return self.outcome == "Delivered"


DELIVERED = Attempt(outcome="Delivered")


class Destination(Protocol):
    name: str

    def deliver(self, event: Event, *, attempt: int) -> Attempt:
        """Try once; `attempt` counts from 0."""


def _failure(status: int, *, final: frozenset[int]) -> Attempt:
    outcome = _OUTCOMES.get(status) or _phrase(status)
    return Attempt(outcome=outcome, status=status, retry=status not in final)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase.replace(" ", "")
    except ValueError:
        return "Error"


class QueueDestination:
    """A storage queue: one event object a message, never an array, in base64."""

    _FINAL = frozenset({400, 403, 413})

    def __init__(self, connection_string: str, queue_name: str) -> None:
        self.name = f"queue {queue_name}"
        self._client = QueueClient.from_connection_string(connection_string, queue_name, retry_total=0)

    def create(self) -> None:
        """Create the queue unless it exists; in Azure the template does."""
        try:
            self._client.create_queue()
        except ResourceExistsError:
            return

    def deliver(self, event: Event, *, attempt: int) -> Attempt:  # noqa: ARG002 - queues are not told
        text = base64.b64encode(json.dumps(event).encode()).decode()
        try:
            self._client.send_message(text)
        except HttpResponseError as error:
            return _failure(error.status_code or 500, final=self._FINAL)
        except AzureError:
            return Attempt(outcome="SocketError")
        return DELIVERED


class WebhookDestination:
    """An HTTP endpoint: one event a request, an array of one in Event Grid's own schema."""

    _FINAL = frozenset({400, 401, 403, 413})
    _ACCEPTED = frozenset({200, 201, 202, 203, 204})

    def __init__(self, url: str, *, schema: Schema, name: str = "registry-events") -> None:
        self.name = f"webhook {url.partition('?')[0]}"
        self._url = url
        self._schema = schema
        self._subscription = name.upper()
        self._session = requests.Session()
        self._session.trust_env = False

    def shake_hands(self) -> None:
        """Have the endpoint prove that it wants events, in the way of the schema."""
        if self._schema == "CloudEventSchemaV1_0":
            self._ask_allowed_origin()
        else:
            self._ask_validation_code()

    def deliver(self, event: Event, *, attempt: int) -> Attempt:
        try:
            response = self._session.post(
                self._url,
                data=self._body(event),
                headers=self._headers("Notification")
                | {"aeg-delivery-count": str(attempt), "aeg-output-event-id": str(event["id"])},
                timeout=_ANSWER_WITHIN,
            )
        except requests.Timeout:
            return Attempt(outcome="TimedOut")
        except requests.RequestException:
            return Attempt(outcome="SocketError")
        if response.status_code in self._ACCEPTED:
            return DELIVERED
        return _failure(response.status_code, final=self._FINAL)

    def _body(self, event: Event) -> bytes:
        return json.dumps(event if self._schema == "CloudEventSchemaV1_0" else [event]).encode()

    def _headers(self, event_type: str) -> dict[str, str]:
        kind = "cloudevents+json" if self._schema == "CloudEventSchemaV1_0" else "json"
        return {
            "Content-Type": f"application/{kind}; charset=utf-8",
            "aeg-event-type": event_type,
            "aeg-subscription-name": self._subscription,
            "aeg-data-version": "1.0",
            "aeg-metadata-version": "1",
        }

    def _ask_allowed_origin(self) -> None:
        response = self._send("OPTIONS", headers={"WebHook-Request-Origin": _ORIGIN})
        allowed = response.headers.get("WebHook-Allowed-Origin")
        if response.status_code != HTTPStatus.OK or allowed not in {_ORIGIN, "*"}:
            raise HandshakeError(
                f"{self.name} answered {response.status_code} and WebHook-Allowed-Origin {allowed!r}"
            )

    def _ask_validation_code(self) -> None:
        code = str(uuid.uuid4())
        event = {
            "id": str(uuid.uuid4()),
            "topic": "",
            "subject": "",
            "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
            "data": {"validationCode": code},
            "dataVersion": "2",
            "metadataVersion": "1",
        }
        response = self._send(
            "POST", headers=self._headers("SubscriptionValidation"), body=json.dumps([event]).encode()
        )
        try:
            echoed = response.json()["validationResponse"]
        except (ValueError, KeyError, TypeError):
            echoed = None
        if response.status_code != HTTPStatus.OK or echoed != code:
            raise HandshakeError(
                f"{self.name} answered {response.status_code} and did not echo the validation code"
            )

    def _send(self, method: str, *, headers: dict[str, str], body: bytes = b"") -> requests.Response:
        try:
            return self._session.request(
                method, self._url, headers=headers, data=body, timeout=_ANSWER_WITHIN
            )
        except requests.RequestException as error:
            raise HandshakeError(f"{self.name} cannot be reached: {type(error).__name__}") from error
