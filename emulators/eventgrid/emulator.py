import random
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol, Self

from emulators.eventgrid.delivery import Destination, QueueDestination, WebhookDestination
from emulators.eventgrid.dispatcher import Delivery, Dispatcher, RetryPolicy
from emulators.eventgrid.envelope import Event, Schema, dead_letter, timestamp, wrap


class EventSource(Protocol):
    """A registry whose events a system topic carries."""

    @property
    def resource_id(self) -> str: ...

    def subscribe(self, listener: Callable[[dict[str, Any]], None]) -> None: ...


class EventGridEmulator:
    """System topics of registries and their subscriptions: at least once, in no promised order.

    The switches make it worse in the ways Event Grid is allowed to be: `duplicates` and `loss` are
    probabilities per event, `reorder` holds each event back for up to `reorder_window` seconds, all
    drawn from a generator with the `seed`. `retry_scale` shrinks Azure's waits between attempts.
    `delivered`, `lost` and `dead_letters` list events in the order in which their fate was sealed.
    """

    def __init__(
        self,
        *,
        schema: Schema = "CloudEventSchemaV1_0",
        duplicates: float = 0.0,
        reorder: bool = False,
        reorder_window: float = 0.3,
        loss: float = 0.0,
        seed: int = 0,
        retry_scale: float = 0.01,
        max_delivery_attempts: int = 30,
        time_to_live: float = 86_400.0,
        concurrency: int = 1,
    ) -> None:
        self.schema: Schema = schema
        self.duplicates = duplicates
        self.reorder = reorder
        self.loss = loss
        self.delivered: list[Event] = []
        self.lost: list[Event] = []
        self.dead_letters: list[Event] = []
        self._reorder_window = reorder_window
        self._random = random.Random(seed)  # noqa: S311 - repeatable on purpose
        self._lock = threading.Lock()
        self._destinations: list[Destination] = []
        self._dispatcher = Dispatcher(
            policy=RetryPolicy(
                scale=retry_scale, max_delivery_attempts=max_delivery_attempts, time_to_live=time_to_live
            ),
            concurrency=concurrency,
            on_delivered=lambda delivery: self.delivered.append(delivery.event),
            on_given_up=self._give_up,
        )

    def attach(self, source: EventSource) -> None:
        """Carry the events of a registry from now on."""
        topic = source.resource_id
        source.subscribe(lambda data: self.publish(data, topic=topic))

    def deliver_to_queue(self, connection_string: str, queue_name: str) -> None:
        """Subscribe a storage queue, created when missing."""
        destination = QueueDestination(connection_string, queue_name)
        destination.create()
        self._destinations.append(destination)

    def deliver_to_webhook(self, url: str) -> None:
        """Subscribe a webhook after the validation handshake; HandshakeError when that fails."""
        destination = WebhookDestination(url, schema=self.schema)
        destination.shake_hands()
        self._destinations.append(destination)

    def publish(self, data: Mapping[str, Any], *, topic: str) -> None:
        """Send one registry event to every subscription, or lose it, as the switches have it."""
        event = wrap(data, topic=topic, schema=self.schema, at=datetime.now(UTC))
        with self._lock:
            if self._random.random() < self.loss:
                self.lost.append(event)
                return
            for destination in self._destinations:
                copies = 2 if self._random.random() < self.duplicates else 1
                for _ in range(copies):
                    after = self._random.uniform(0, self._reorder_window) if self.reorder else 0.0
                    self._dispatcher.add(Delivery(event=event, destination=destination), after=after)

    def drain(self, timeout: float = 30.0) -> None:
        """Return when every event is delivered, lost or a dead letter; TimeoutError when it takes longer."""
        self._dispatcher.drain(timeout)

    def start(self) -> Self:
        self._dispatcher.start()
        return self

    def stop(self) -> None:
        self._dispatcher.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def _give_up(self, delivery: Delivery, reason: str) -> None:
        attempted = delivery.last_attempted or delivery.published
        details: dict[str, Any] = {
            "deadLetterReason": reason,
            "deliveryAttempts": delivery.attempts,
            "lastDeliveryOutcome": delivery.last_attempt.outcome if delivery.last_attempt else "NotAttempted",
            "publishTime": timestamp(datetime.fromtimestamp(delivery.published, UTC)),
            "lastDeliveryAttemptTime": timestamp(datetime.fromtimestamp(attempted, UTC)),
        }
        if delivery.last_attempt is not None and delivery.last_attempt.status is not None:
            details["lastHttpStatusCode"] = delivery.last_attempt.status
        self.dead_letters.append(dead_letter(delivery.event, schema=self.schema, details=details))
