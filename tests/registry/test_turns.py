import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.acr.quotas import Sku
from shared.registry.turns import Turns
from tests.registry.shared_quota import QUOTA, SharedQuota


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def turns_at(clock: Clock, per_minute: float | None = 60) -> Turns:
    return Turns(per_minute=per_minute, clock=clock, spread=lambda: 0.0)


def wait_for(turns: Turns, clock: Clock, count: int) -> None:
    """Take turns one after another, as a worker does whose requests are answered at once."""
    for _ in range(count):
        clock.now += turns.take(1e9).wait


@pytest.mark.parametrize("instances", [1, 4])
@pytest.mark.parametrize("sku", ["Standard", "Premium"])
def test_nearly_all_of_a_quota_is_used_and_hardly_a_request_is_refused(sku: Sku, instances: int) -> None:
    quota = SharedQuota(sku, joining=[0.0] * instances)
    quota.run(until=1500 if sku == "Standard" else 700)
    assert quota.use() >= 0.98
    assert quota.refusals() < 0.006


def test_a_premium_quota_is_found_within_two_minutes() -> None:
    quota = SharedQuota("Premium", joining=[0.0])
    quota.run(until=120)
    assert quota.instances[0].per_minute > QUOTA["Premium"]
    assert quota.refusals() == 0.0


def test_an_instance_that_joins_later_gets_half_of_the_quota() -> None:
    quota = SharedQuota("Standard", joining=[0.0, 400.0])
    quota.run(until=1600)
    first, second = (quota.accepted(since=1000, until=1600, instance=each) for each in (0, 1))
    assert 0.45 < second / (first + second) < 0.55


def test_the_pace_rises_only_while_turns_are_waited_for() -> None:
    clock = Clock()
    turns = turns_at(clock)
    for _ in range(600):
        turns.take(1e9)
        clock.now += 1.01
    assert turns.per_minute == 60
    wait_for(turns, clock, 300)
    assert turns.per_minute > 120


def test_a_quiet_time_saves_up_a_few_seconds_worth_of_turns() -> None:
    clock = Clock()
    turns = turns_at(clock)
    clock.now += 3600
    waits = [turns.take(1e9).wait for _ in range(12)]
    assert waits == [0.0] * 10 + [1.0, 2.0]


def test_the_slowest_pace_still_lets_the_first_request_pass() -> None:
    assert turns_at(Clock(), per_minute=0.1).take(0.0).wait == 0.0


@given(per_minute=st.integers(1, 300), wanted=st.integers(1, 900))
def test_unrefused_turns_come_no_slower_than_the_first_pace_and_no_faster_than_it_rises(
    per_minute: int, wanted: int
) -> None:
    clock = Clock()
    turns = turns_at(clock, per_minute)
    wait_for(turns, clock, wanted)
    burst, rate, passed = max(1.0, per_minute / 6), per_minute / 60, clock.now
    assert burst + rate * passed <= wanted + 1e-6 or passed == 0.0
    assert wanted <= burst + rate * passed * (1 + (passed / 75) ** 3) + 1e-6


def test_what_is_refused_together_halves_the_pace_once() -> None:
    clock = Clock()
    turns = turns_at(clock)
    under_way = [turns.take(0.0) for _ in range(3)]
    for turn in under_way:
        turns.refused(turn, 0.0)
    assert turns.per_minute == 30
    turns.refused(turns.take(1e9), 0.0)
    assert turns.per_minute == 15


def test_the_pace_does_not_fall_for_ever() -> None:
    clock = Clock()
    turns = turns_at(clock)
    for _ in range(20):
        turns.refused(turns.take(1e9), 0.0)
    assert turns.per_minute == 60 / 16


def test_the_latest_word_on_when_to_come_back_counts() -> None:
    clock = Clock()
    turns = turns_at(clock, None)
    early, late = turns.take(0.0), turns.take(0.0)
    turns.refused(early, 60.0)
    clock.now = 10.0
    turns.refused(late, 30.0)
    assert turns.take(0.0).wait == 30.0


def test_a_refusal_without_a_word_on_when_to_come_back_does_not_overrule_one_with() -> None:
    clock = Clock()
    turns = turns_at(clock, None)
    early, late = turns.take(0.0), turns.take(0.0)
    turns.refused(early, 60.0)
    turns.refused(late, None)
    assert turns.take(0.0).wait == 60.0


def test_instances_that_were_refused_together_come_back_apart() -> None:
    clock = Clock()
    comebacks = []
    for random in (0.0, 0.25, 0.5, 0.75):
        turns = Turns(per_minute=60, clock=clock, spread=lambda random=random: random)  # type: ignore[misc]
        turns.refused(turns.take(0.0), 10.0)
        comebacks.append(turns.take(1e9).wait)
    assert comebacks == [12.0, 12.5, 13.0, 13.5]
