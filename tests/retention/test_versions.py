from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.retention.versions import parse_version

PRECEDENCE = [
    "0.9.9",
    "1.0.0-0",
    "1.0.0-1",
    "1.0.0-9",
    "1.0.0-10",
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-beta",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0.0-rc.1",
    "v1.0.0",
    "1.0.1",
    "1.2.0",
    "v1.9.0",
    "1.10.0",
    "2.0.0-rc.1",
    "2.0.0",
    "20.0.0",
]


def test_precedence_is_that_of_the_specification() -> None:
    versions = [parse_version(text) for text in PRECEDENCE]
    assert None not in versions
    for (lower, low), (higher, high) in pairwise(zip(PRECEDENCE, versions, strict=True)):
        assert low < high, (lower, higher)  # type: ignore[operator]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "1.2",
        "v1",
        "latest",
        "01.2.3",
        "1.2.3.4",
        "1.2.3-",
        "1.2.3-01",
        "1.2.3-a..b",
        "V1.2.3",
        "x1.2.3",
        "\u0661.2.3",
    ],
)
def test_what_is_no_version_is_none(text: str) -> None:
    assert parse_version(text) is None


def test_build_metadata_has_no_precedence() -> None:
    assert parse_version("1.0.0_build.5") == parse_version("1.0.0+build.6") == parse_version("v1.0.0")


@given(st.text(alphabet="v0123456789.-+_abrc", max_size=20))
def test_any_two_versions_compare(text: str) -> None:
    version = parse_version(text)
    other = parse_version("1.0.0-rc.1")
    if version is not None and other is not None:
        assert (version < other) + (version == other) + (version > other) == 1
