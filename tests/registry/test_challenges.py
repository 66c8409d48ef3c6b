import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.registry.challenges import Challenge, parse_challenges

WORDS = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=12)
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)


def test_the_challenge_of_acr() -> None:
    header = (
        'Bearer realm="https://myreg.azurecr.io/oauth2/token",service="myreg.azurecr.io",'
        'scope="repository:library/busybox:pull,push",error="insufficient_scope"'
    )
    (challenge,) = parse_challenges(header)
    assert challenge.scheme == "bearer"
    assert challenge.parameters == {
        "realm": "https://myreg.azurecr.io/oauth2/token",
        "service": "myreg.azurecr.io",
        "scope": "repository:library/busybox:pull,push",
        "error": "insufficient_scope",
    }


@pytest.mark.parametrize(
    ("header", "schemes"),
    [
        ('Basic realm="a, b", Bearer realm="https://x/token"', ["basic", "bearer"]),
        ("Negotiate, Basic realm=simple", ["negotiate", "basic"]),
        ("Bearer", ["bearer"]),
        ("", []),
        ("=,;nonsense", []),
    ],
)
def test_several_challenges_share_a_header(header: str, schemes: list[str]) -> None:
    assert [each.scheme for each in parse_challenges(header)] == schemes


def test_quoted_values_may_hold_commas_quotes_and_backslashes() -> None:
    (challenge,) = parse_challenges(r'Bearer realm = "a,\"b\"\\", Scope=plain')
    assert challenge.parameters == {"realm": 'a,"b"\\', "scope": "plain"}


def test_the_first_of_two_equal_names_counts() -> None:
    (challenge,) = parse_challenges('Bearer realm="https://first", realm="https://second"')
    assert challenge.parameters["realm"] == "https://first"


@given(
    st.lists(
        st.tuples(WORDS, st.dictionaries(WORDS.map(str.lower), VALUES, min_size=1, max_size=4)), max_size=3
    )
)
def test_whatever_is_written_by_the_grammar_is_read_back(given_: list[tuple[str, dict[str, str]]]) -> None:
    def quoted(value: str) -> str:
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'

    header = ", ".join(
        f"{scheme} " + ",".join(f"{key}={quoted(value)}" for key, value in parameters.items())
        for scheme, parameters in given_
    )
    assert parse_challenges(header) == tuple(
        Challenge(scheme=scheme.lower(), parameters=parameters) for scheme, parameters in given_
    )


@given(st.text(max_size=200))
def test_no_header_breaks_the_parser(header: str) -> None:
    parse_challenges(header)
