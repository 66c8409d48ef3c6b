import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidInput
from shared.policy.version_ranges import parse_version_range

numbers = st.integers(0, 30)
versions = st.tuples(numbers, numbers, numbers)


def text(version: tuple[int, int, int]) -> str:
    return ".".join(map(str, version))


@pytest.mark.parametrize(
    ("given_range", "inside", "outside"),
    [
        (">=1.4.0 <2.0.0", ["1.4.0", "v1.10.3"], ["1.3.9", "2.0.0", "2.0.0-rc.1", "1.5.0-rc.1"]),
        ("^1.4.2", ["1.4.2", "1.99.0"], ["1.4.1", "2.0.0", "2.0.0-alpha"]),
        ("^0.2.3", ["0.2.3", "0.2.9"], ["0.3.0", "1.0.0"]),
        ("^0.0.3", ["0.0.3"], ["0.0.4", "0.1.0"]),
        ("~1.4.2", ["1.4.2", "1.4.9"], ["1.5.0", "1.4.1"]),
        ("1.4.x", ["1.4.0", "v1.4.77"], ["1.5.0", "1.4", "1.4.x"]),
        ("1.x", ["1.0.0", "1.99.5"], ["2.0.0", "0.9.0"]),
        ("=v1.2.3", ["1.2.3", "v1.2.3", "1.2.3_build.5"], ["1.2.4", "1.2.3-rc.1"]),
        (">1.0.0", ["1.0.1"], ["1.0.0", "latest", "1.0", "01.0.1"]),
        (">=2.0.0-rc.1 <3.0.0", ["2.0.0-rc.2", "2.0.0", "2.5.0"], ["2.0.0-beta", "2.5.0-rc.1", "3.0.0"]),
    ],
)
def test_a_range_holds_the_versions_between_its_bounds(
    given_range: str, inside: list[str], outside: list[str]
) -> None:
    parsed = parse_version_range(given_range)
    assert [tag for tag in inside if parsed.match(tag) is None] == []
    assert [tag for tag in outside if parsed.match(tag) is not None] == []


@pytest.mark.parametrize(
    "wrong", ["", " ", "latest", "1.2.3.4", ">= 1.0.0", ">=1.x", "^1", "1.2.3 || 2.0.0", "=", "1" * 300]
)
def test_what_is_no_range_is_refused(wrong: str) -> None:
    with pytest.raises(InvalidInput, match=r"comparator|characters"):
        parse_version_range(wrong)


@given(low=versions, high=versions, version=versions)
def test_a_released_version_is_in_a_range_exactly_when_its_numbers_are(
    low: tuple[int, int, int], high: tuple[int, int, int], version: tuple[int, int, int]
) -> None:
    parsed = parse_version_range(f">={text(low)} <{text(high)}")
    assert (parsed.match(text(version)) is not None) == (low <= version < high)
    assert parsed.match(f"{text(version)}-rc.1") is None


@given(bound=versions, version=versions)
def test_a_caret_never_changes_the_leftmost_number_that_counts(
    bound: tuple[int, int, int], version: tuple[int, int, int]
) -> None:
    first = next((place for place, number in enumerate(bound) if number), 2)
    same = bound[: first + 1] == version[: first + 1]
    assert (parse_version_range(f"^{text(bound)}").match(text(version)) is not None) == (
        same and version >= bound
    )
