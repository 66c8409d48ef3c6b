import heapq
import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from emulators.eventgrid.delivery import Attempt, Destination
from emulators.eventgrid.envelope import Event

# https://learn.microsoft.com/azure/event-grid/delivery-and-retry, seconds; the last step repeats.
RETRY_SCHEDULE = (10, 30, 60, 300, 600, 1_800, 3_600, 10_800, 21_600, 43_200)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """When to try again, and when no more; `scale` shrinks every time of Azure's."""

    scale: float = 0.01
    max_delivery_attempts: int = 30
    time_to_live: float = 86_400.0

    def wait(self, failures: int) -> float:
        """Seconds until the attempt after so many failures."""
        return RETRY_SCHEDULE[min(failures, len(RETRY_SCHEDULE)) - 1] * self.scale


@dataclass(slots=True, kw_only=True)
class Delivery:
    """One event on its way to one destination."""

    event: Event
    destination: Destination
    published: float = field(default_factory=time.time)
    attempts: int = 0
    last_attempt: Attempt | None = None
    last_attempted: float | None = None


class Dispatcher:
    """Delivers in background threads, each delivery when it is due, and keeps trying by the policy."""

    def __init__(
        self,
        *,
        policy: RetryPolicy,
        concurrency: int,
        on_delivered: Callable[[Delivery], None],
        on_given_up: Callable[[Delivery, str], None],
    ) -> None:
        self._policy = policy
        self._on_delivered = on_delivered
        self._on_given_up = on_given_up
        self._due: list[tuple[float, int, Delivery]] = []
        self._order = itertools.count()
        self._active = 0
        self._stopping = False
        self._changed = threading.Condition()
        self._threads = [
            threading.Thread(target=self._run, name=f"event-grid-{number}", daemon=True)
            for number in range(concurrency)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the threads; what is not delivered yet is dropped."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(5)

    def add(self, delivery: Delivery, *, after: float = 0.0) -> None:
        """Try the delivery in so many seconds."""
        with self._changed:
            heapq.heappush(self._due, (time.monotonic() + after, next(self._order), delivery))
            self._changed.notify()

    def drain(self, timeout: float) -> None:
        """Return when nothing is on its way; TimeoutError when that takes too long."""
        with self._changed:
            if not self._changed.wait_for(lambda: not self._due and not self._active, timeout):
                left = len(self._due) + self._active
                raise TimeoutError(f"{left} events are still on their way after {timeout} s")

    def _run(self) -> None:
        while (delivery := self._next()) is not None:
            delivery.last_attempted = time.time()
            delivery.last_attempt = delivery.destination.deliver(delivery.event, attempt=delivery.attempts)
            delivery.attempts += 1
            self._settle(delivery, delivery.last_attempt)
            with self._changed:
                self._active -= 1
                self._changed.notify_all()

    def _next(self) -> Delivery | None:
        with self._changed:
            while not self._stopping:
                wait = self._due[0][0] - time.monotonic() if self._due else None
                if wait is not None and wait <= 0:
                    self._active += 1
                    return heapq.heappop(self._due)[2]
                self._changed.wait(wait)
        return None

    def _settle(self, delivery: Delivery, attempt: Attempt) -> None:
        wait = self._policy.wait(delivery.attempts)
        lives_until = delivery.published + self._policy.time_to_live * self._policy.scale
        if attempt.delivered:
            self._on_delivered(delivery)
        elif not attempt.retry:
            self._on_given_up(delivery, f"UndeliverableDueToHttp{attempt.outcome}")
        elif delivery.attempts >= self._policy.max_delivery_attempts:
            self._on_given_up(delivery, "MaxDeliveryAttemptsExceeded")
        elif time.time() + wait > lives_until:
            self._on_given_up(delivery, "TimeToLiveExceeded")
        else:
            self.add(delivery, after=wait)
