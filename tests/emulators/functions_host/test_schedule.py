from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.functions_host.schedule import parse_schedule

MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("expression", "after", "due"),
    [
        ("0 0 2 * * *", "2026-11-23T01:59:59", "2026-11-23T02:00:00"),
        ("0 0 2 * * *", "2026-11-23T02:00:00", "2026-11-24T02:00:00"),
        ("*/15 * * * * *", "2026-11-23T02:00:01", "2026-11-23T02:00:15"),
        ("30 5 * * * *", "2026-11-23T02:05:30", "2026-11-23T03:05:30"),
        ("0 0 9 * * MON-FRI", "2026-11-21T00:00:00", "2026-11-23T09:00:00"),
        ("0 0 0 13 * FRI", "2026-11-23T00:00:00", "2027-08-13T00:00:00"),
        ("5 4 * * *", "2026-11-23T02:00:00", "2026-11-23T04:05:00"),
        ("00:10:00", "2026-11-23T02:00:00", "2026-11-23T02:10:00"),
        ("1.00:00:00", "2026-11-23T02:00:00", "2026-11-24T02:00:00"),
    ],
)
def test_a_schedule_is_due_when_azure_says_so(expression: str, after: str, due: str) -> None:
    moment = datetime.fromisoformat(after).replace(tzinfo=UTC)

    assert parse_schedule(expression).next_after(moment) == datetime.fromisoformat(due).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ("* * *", "has 3 fields"),
        ("0 0 25 * * *", "is not an NCRONTAB expression"),
        ("", "has 0 fields"),
        ("00:00:00", "an interval of zero"),
        ("25:00:00", "is not a time span"),
        ("00:61:00", "is not a time span"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(expression: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_schedule(expression)


@given(moment=MOMENTS, second=st.integers(0, 59), hour=st.integers(0, 23))
def test_a_daily_schedule_is_due_within_a_day_and_always_later(
    moment: datetime, second: int, hour: int
) -> None:
    due = parse_schedule(f"{second} 0 {hour} * * *").next_after(moment)

    assert moment < due <= moment + timedelta(days=1)
    assert (due.second, due.hour) == (second, hour)
