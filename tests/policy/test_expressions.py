import time

import pytest

from shared.errors import InvalidInput
from shared.policy.expressions import parse_expression


def test_the_whole_name_must_match() -> None:
    expression = parse_expression("dev|test")
    assert expression.match("dev") == {}
    assert expression.match("test") == {}
    assert expression.match("development") is None
    assert expression.match("my-test") is None


def test_named_groups_are_captured_and_those_that_took_no_part_left_out() -> None:
    expression = parse_expression(r"(?P<env>[a-z]+)-(?P<number>\d+)(-(?P<rest>.*))?")
    assert expression.groups == {"env", "number", "rest"}
    assert expression.match("dev-12") == {"env": "dev", "number": "12"}
    assert expression.match("dev-12-x") == {"env": "dev", "number": "12", "rest": "x"}


@pytest.mark.parametrize(
    "text", ["(?=a)", "(?!a)b", r"(a)\1", "(?<=a)b", "(", "[z-a]", "", "a" * 1001, "a{1,9999}"]
)
def test_what_re2_does_not_take_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_expression(text)


def test_nothing_takes_for_ever() -> None:
    expression = parse_expression("(a+)+b")
    started = time.perf_counter()
    assert expression.match("a" * 128) is None
    assert time.perf_counter() - started < 0.2
