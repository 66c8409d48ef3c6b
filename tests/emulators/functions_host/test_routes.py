from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.functions_host.routes import decode_segment, parse_template

CHARACTERS = st.characters(codec="utf-8")
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="/"), min_size=1)


@given(name=TEXTS, rest=st.lists(TEXTS, min_size=1))
def test_parameters_come_back_as_they_were_sent(name: str, rest: list[str]) -> None:
    template = parse_template("api", "things/{name}/{*rest}")
    path = "/".join(quote(text, safe="") for text in ["api", "things", name, *rest])

    assert template.match(path) == {"name": name, "rest": "/".join(rest)}


@given(text=st.text(CHARACTERS))
def test_decoding_leaves_only_slashes_encoded(text: str) -> None:
    assert decode_segment(quote(text, safe="")) == text.replace("/", "%2F")


@pytest.mark.parametrize(
    ("template", "path", "found"),
    [
        ("runs/{id:guid}", "/api/runs/7f0c0e0e-0f0a-4b5c-9d1e-2f3a4b5c6d7e", True),
        ("runs/{id:guid}", "/api/runs/latest", False),
        ("runs/{id=latest}", "/api/runs", True),
        ("runs/{id?}", "/api/runs", True),
        ("runs/{id}", "/api/runs", False),
        ("runs", "/api/runs/", True),
        ("flag/{on:bool}", "/api/flag/TRUE", True),
        ("flag/{on:bool}", "/api/flag/yes", False),
        ("size/{n:long}", "/api/size/-12", True),
    ],
)
def test_templates_match_as_in_asp_net(template: str, path: str, found: bool) -> None:  # noqa: FBT001
    assert (parse_template("api", template).match(path) is not None) is found


def test_a_default_fills_in_for_a_missing_segment() -> None:
    assert parse_template("", "runs/{id=latest}").match("/runs") == {"id": "latest"}


@pytest.mark.parametrize(
    ("template", "complaint"),
    [
        ("{name:regex(^a$)}", "constraint 'regex"),
        ("{name}.{extension}", "is not one parameter"),
        ("{*rest}/more", "must come last"),
    ],
)
def test_templates_that_are_not_supported_are_named(template: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_template("api", template)


def test_literals_sort_before_constrained_before_free_before_catch_all() -> None:
    templates = ["a/{*rest}", "a/{x}", "a/{x:int}", "a/b"]

    ordered = sorted(templates, key=lambda text: parse_template("", text).precedence)

    assert ordered == ["a/b", "a/{x:int}", "a/{x}", "a/{*rest}"]
