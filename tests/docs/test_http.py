"""``docs/http.md`` describes the addresses, bounds and errors that the API has."""

import re

import pytest

from functions.actions import KINDS
from functions.api import LARGEST_POLICY
from functions.http import DEFAULT_LIMIT, LARGEST_BODY, LARGEST_LIMIT
from functions.openapi import DOCUMENT as OPENAPI
from tests.docs.documents import ROOT, blocks, rows, text_of

DOCUMENT = "docs/http.md"
TEXT = text_of(DOCUMENT)
OPERATIONS = {
    (method.upper(), path): operation
    for path, operations in OPENAPI["paths"].items()
    for method, operation in operations.items()
}


def requests_of(heading: str) -> list[str]:
    return [cell.strip("`") for cell, *_ in rows(DOCUMENT, heading)]


def test_every_request_is_described_and_no_other() -> None:
    described = set()
    for request in [*requests_of("Pages"), *requests_of("JSON")]:
        method, address = request.split()
        described.add((method, address.removeprefix("/api").partition("?")[0]))
    assert described == set(OPERATIONS)


@pytest.mark.parametrize("request_line", requests_of("JSON"))
def test_a_limit_is_said_where_there_is_one(request_line: str) -> None:
    method, address = request_line.split()
    path, _, query = address.removeprefix("/api").partition("?")
    parameters = OPERATIONS[method, path].get("parameters", [])
    named = {f"{each['name']}=" for each in parameters if each["in"] == "query"}
    assert named == ({query} if query else set())


def test_the_bounds_are_those_of_the_code() -> None:
    assert f"`limit` is {DEFAULT_LIMIT} unless given, {LARGEST_LIMIT} at most" in TEXT
    assert f"up to {LARGEST_BODY // 1024} KiB, a policy up to {LARGEST_POLICY // 1024**2} MiB" in TEXT
    for kind in KINDS:
        assert f'{{"kind": "{kind}"}}' in TEXT


def test_every_status_of_an_error_is_explained() -> None:
    explained = {int(code) for cell, *_ in rows(DOCUMENT, "Errors") for code in re.findall(r"\d+", cell)}
    answered = {int(code) for operation in OPERATIONS.values() for code in operation["responses"]}
    assert explained == {code for code in answered if code >= 400} - {401}


def test_addresses_in_commands_exist() -> None:
    templates = [re.sub(r"\\{\w+\\}", "[^ ]+", re.escape(path)) for _, path in OPERATIONS]
    names = [f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")]
    asked = [
        address
        for name in names
        for block in blocks(name)
        for address in re.findall(r'/api(/[^"\s?,\]]+)', block.body)
    ]
    assert len(asked) > 4
    assert [each for each in asked if not any(re.fullmatch(path, each) for path in templates)] == []
