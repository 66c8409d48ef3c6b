import asyncio
import json
import logging
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from emulators.functions_host.bindings import Function
from emulators.functions_host.executor import Executor
from emulators.functions_host.protos import RetryContext, RpcException, RpcRetryOptions, TypedData
from emulators.functions_host.schedule import Schedule
from emulators.functions_host.timer_status import TimerStatus, TimerStatusStore

logger = logging.getLogger("host.timers")

_NEVER = datetime.min.replace(tzinfo=UTC)
_MONITORED_FROM = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerOptions:
    run_on_startup: bool
    use_monitor: bool


class TimerListener:
    """Fires one timer trigger on its schedule; runs of one timer never overlap.

    With the monitor on, its last run is kept in storage, so that an occurrence missed while the host
    was down fires at the next start with `past_due`. Schedules shorter than a minute are not
    monitored (TimerListener of azure-webjobs-sdk-extensions).
    """

    def __init__(
        self,
        function: Function,
        schedule: Schedule,
        executor: Executor,
        store: TimerStatusStore,
        *,
        options: TimerOptions,
    ) -> None:
        self._function = function
        self._schedule = schedule
        self._executor = executor
        self._store = store
        self._run_on_startup = options.run_on_startup
        now = datetime.now(UTC)
        first = schedule.next_after(now)
        self._monitored = options.use_monitor and schedule.next_after(first) - first >= _MONITORED_FROM
        self._status = TimerStatus(last=_NEVER, next=first, last_updated=now)
        self._one_at_a_time = asyncio.Lock()

    async def run(self) -> None:
        """Fire on schedule until cancelled; an occurrence that falls into a run is skipped."""
        past_due = await self._restore()
        if past_due or self._run_on_startup:
            await self.fire(past_due=past_due)
        while True:
            due = self._schedule.next_after(datetime.now(UTC))
            logger.info("next run of '%s' is at %s", self._function.name, due.isoformat())
            await _until(due)
            await self.fire(past_due=False)

    async def fire(self, *, past_due: bool) -> None:
        """Run the function now, with its retry policy, after a run that is still going on."""
        async with self._one_at_a_time:
            attempt = 0
            while True:
                outcome = await self._executor.execute(
                    self._function, self._timer_request(past_due=past_due), retry=self._context(attempt)
                )
                retry = self._function.retry
                if outcome.failure is None or retry is None:
                    break
                if 0 <= retry.max_retry_count <= attempt:
                    break
                await asyncio.sleep(_delay(retry, attempt))
                attempt += 1
            await self._remember()

    async def drain(self, seconds: float) -> None:
        """Wait for a run that goes on, and let none begin any more."""
        try:
            async with asyncio.timeout(seconds):
                await self._one_at_a_time.acquire()
        except TimeoutError:
            return

    def _timer_request(self, *, past_due: bool) -> TypedData:
        return TypedData(
            json=json.dumps(
                {
                    "Schedule": {"AdjustForDST": True},
                    "ScheduleStatus": self._status.to_json() if self._monitored else None,
                    "IsPastDue": past_due,
                }
            )
        )

    def _context(self, attempt: int) -> RetryContext:
        most = self._function.retry.max_retry_count if self._function.retry else 0
        return RetryContext(
            retry_count=attempt, max_retry_count=most, exception=RpcException(message="") if attempt else None
        )

    async def _restore(self) -> bool:
        if not self._monitored:
            return False
        kept = await self._store.read(self._function.name)
        if kept is None:
            await self._store.write(self._function.name, self._status)
            return False
        self._status = kept
        return kept.next < datetime.now(UTC)

    async def _remember(self) -> None:
        now = datetime.now(UTC)
        self._status = TimerStatus(last=now, next=self._schedule.next_after(now), last_updated=now)
        if self._monitored:
            await self._store.write(self._function.name, self._status)


async def _until(moment: datetime) -> None:
    # The clock of sleeping may run ahead of the wall clock, and early is wrong for a schedule.
    while (wait := (moment - datetime.now(UTC)).total_seconds()) > 0:  # noqa: ASYNC110 - time is the event
        await asyncio.sleep(wait)


def _delay(retry: RpcRetryOptions, attempt: int) -> float:
    if retry.retry_strategy == "fixed_delay":
        return float(retry.delay_interval.total_seconds())
    low, high = retry.minimum_interval.total_seconds(), retry.maximum_interval.total_seconds()
    jitter = random.uniform(0.8, 1.2)  # noqa: S311 - spreads load, guards nothing
    return float(min(high, low * 2**attempt * jitter))
