"""When a timer trigger is due: NCRONTAB expressions and constant intervals, in UTC."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from croniter import croniter

from emulators.functions_host.host_json import parse_timespan

_WITH_SECONDS = 6
_WITHOUT_SECONDS = 5


class Schedule(Protocol):
    def next_after(self, moment: datetime) -> datetime:
        """Return the first occurrence later than the moment."""


@dataclass(frozen=True, slots=True)
class CronSchedule:
    expression: str

    def next_after(self, moment: datetime) -> datetime:
        # NCRONTAB wants the day of month *and* the day of week to match, where cron takes either.
        due: datetime = croniter(
            self.expression, moment, ret_type=datetime, day_or=False, second_at_beginning=True
        ).get_next()
        return due


@dataclass(frozen=True, slots=True)
class ConstantSchedule:
    interval: timedelta

    def next_after(self, moment: datetime) -> datetime:
        return moment + self.interval


def parse_schedule(text: str) -> Schedule:
    """Parse the schedule of a timer trigger: six (or five) NCRONTAB fields, or `hh:mm:ss` between runs."""
    if ":" in text:
        seconds = parse_timespan(text)
        if not seconds:
            raise ValueError(f"{text!r} is an interval of zero")
        return ConstantSchedule(timedelta(seconds=seconds))
    fields = text.split()
    if len(fields) not in {_WITH_SECONDS, _WITHOUT_SECONDS}:
        raise ValueError(f"{text!r} has {len(fields)} fields; NCRONTAB has six, seconds first")
    expression = " ".join(fields if len(fields) == _WITH_SECONDS else ["0", *fields])
    if not croniter.is_valid(expression, second_at_beginning=True):
        raise ValueError(f"{text!r} is not an NCRONTAB expression")
    return CronSchedule(expression)
