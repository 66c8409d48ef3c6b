"""The documentation of the policy is read by the program that it documents."""

import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.policy import parse_policy, policy_schema

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "policy.md").read_text()
FENCE = re.compile(r"^```(?P<language>[a-z ]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
WRAPPED = {
    "yaml": "{}",
    "yaml rule": "version: 1\nretention:\n  rules:\n  -\n{}",
    "yaml route": "version: 1\nreplication:\n  routes:\n  -\n{}",
}


def examples() -> list[tuple[str, str]]:
    return [(found["language"], found["body"]) for found in FENCE.finditer(TEXT)]


def keys(schema: object) -> Iterator[str]:
    if isinstance(schema, dict):
        properties: dict[str, Any] = schema.get("properties", {})
        yield from properties
        for inner in schema.values():
            yield from keys(inner)


@pytest.mark.parametrize(("language", "body"), examples())
def test_every_example_is_a_policy(language: str, body: str) -> None:
    wrapped = WRAPPED[language]
    indented = body if language == "yaml" else textwrap.indent(body, "    ")
    assert parse_policy(wrapped.format(indented) if wrapped != "{}" else body).version == 1


def test_there_are_examples() -> None:
    assert len(examples()) > 10


@pytest.mark.parametrize("key", sorted(set(keys(policy_schema()))))
def test_every_key_is_explained_and_has_an_example(key: str) -> None:
    assert re.search(rf"`{key}(`|: )", TEXT), "not explained"
    assert any(re.search(rf"(^|[\s{{,-]){key}:", body) for _, body in examples()), "no example"


@pytest.mark.parametrize("path", sorted(DOCS.glob("examples/policy*.yaml")), ids=lambda path: path.name)
def test_the_sample_is_a_policy(path: Path) -> None:
    policy = parse_policy(path.read_bytes(), source=path.name)
    assert policy.retention.rule_names == ("nightlies", "pull-requests", "stale-untagged")
    assert [route.name for route in policy.replication.routes] == ["to-docker-hub"]


def test_the_published_schema_is_the_real_one() -> None:
    published = json.loads((DOCS / "policy.schema.json").read_text())
    assert published == json.loads(json.dumps(policy_schema())), (
        "docs/policy.schema.json is stale: write policy_schema() there as JSON with an indent of 2"
    )
