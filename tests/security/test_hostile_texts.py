"""What a registry says: it reaches logs, reports and terminals as one plain line, however it is written."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.registry.wire import error_of

WORDS = st.text(st.characters(codec="utf-8"), max_size=40)
TRICKS = st.sampled_from(
    [
        "\n",
        "\r\n",
        "\x1b[2J",
        "\x1b]0;title\x07",
        "\u202e",
        "\u2028",
        "\u2066",
        "\x85",
        "\ufeff",
        "\u200b",
        "\0",
    ]
)
TEXTS = st.lists(WORDS | TRICKS, max_size=8).map("".join)
BODIES = st.one_of(
    st.tuples(TEXTS, TEXTS).map(lambda pair: {"errors": [{"code": pair[0], "message": pair[1]}]}),
    TEXTS.map(lambda text: {"error": {"code": "Forbidden", "message": text}}),
    TEXTS.map(lambda text: {"message": text}),
    TEXTS.map(lambda text: {"detail": text}),
).map(lambda document: json.dumps(document, ensure_ascii=False).encode()) | TEXTS.map(str.encode)


def said(body: bytes) -> str:
    return str(
        error_of(
            registry="evil.azurecr.io",
            method="GET",
            url="https://evil.azurecr.io/v2/",
            status=403,
            headers={},
            body=body,
        )
    )


@given(BODIES)
def test_an_error_is_one_line_without_tricks(body: bytes) -> None:
    text = said(body)
    assert len(text.splitlines()) == 1
    directions = {"RLO", "LRO", "RLE", "LRE", "PDF", "RLI", "LRI", "FSI", "PDI"}
    assert not [
        c for c in text if unicodedata.category(c) == "Cc" or unicodedata.bidirectional(c) in directions
    ]


@given(
    st.binary(max_size=100_000)
    | st.integers(1, 2000).map(
        lambda times: json.dumps({"errors": [{"code": "C" * 999, "message": "m" * 999}] * times}).encode()
    )
)
def test_an_error_is_short_whatever_was_answered(body: bytes) -> None:
    assert len(said(body)) < 1000


@pytest.mark.parametrize("trick", ["\n", "\x1b[31m", "\u202e", "\u2028"])
def test_a_line_cannot_be_forged_by_the_message_of_a_registry(trick: str) -> None:
    forged = f'denied{trick}run finished {{"run": "night-1"}}'
    text = said(json.dumps({"errors": [{"code": "DENIED", "message": forged}]}).encode())
    assert "denied" in text
    assert trick not in text
