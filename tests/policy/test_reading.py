import json
import subprocess
import sys

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import InvalidPolicy
from shared.oci.manifest import digest_of
from shared.policy import Policy, parse_policy, policy_schema
from shared.retention.limits import Limit

RULE = "{name: prs, repositories: ['team/**'], tags: [pr-*], older_than: 14d}"


def problems(text: str | bytes) -> list[str]:
    with pytest.raises(InvalidPolicy) as caught:
        parse_policy(text, source="policy.yaml")
    assert caught.value.source == "policy.yaml"
    return [str(problem) for problem in caught.value.problems]


def with_rule(rule: str) -> str:
    return f"version: 1\nretention:\n  rules:\n  - {rule}\n"


def with_route(route: str) -> str:
    return f"version: 1\nreplication:\n  routes:\n  - {route}\n"


def test_a_policy_says_what_it_was_read_from() -> None:
    text = with_rule(RULE)
    assert parse_policy(text).digest == digest_of(text.encode())
    assert parse_policy(text.encode()).retention.digest == digest_of(text.encode())


def test_json_says_the_same_as_yaml() -> None:
    text = with_rule(RULE)
    for indent in (None, 2, "\t"):
        from_json = parse_policy(json.dumps(yaml.safe_load(text), indent=indent))
        assert from_json.retention.tag_rules == parse_policy(text).retention.tag_rules


def test_defaults_are_safe() -> None:
    policy = parse_policy("version: 1")
    assert policy == Policy(digest=digest_of(b"version: 1"), retention=policy.retention)
    assert str(policy.retention.grace) == "24h"
    assert policy.retention.limits.repository == Limit(deletions=500, percent=50, combine="and")
    assert policy.retention.limits.run == Limit(deletions=5000, percent=50, combine="and")
    assert not policy.retention.covers("demo.azurecr.io", "app")  # type: ignore[arg-type]


def test_every_problem_is_reported_at_once_with_its_line() -> None:
    text = """\
version: 2
retention:
  grace: 24hours
  graze: 1h
  rules:
    - name: a
      repositories: ["Team/**"]
      tags: "pr-*"
      older_then: 14d
      keep_newest: 0
    - name: a
      repositories: []
      untagged: yes
      older_than: 3d
      older_than: 4d
    - name: b b
      repositories: ["**"]
      tags_matching: ["(?=a)"]
      order_by: pulled
replication:
  routes:
    - name: x
      from: {repositories: ["**"], tags: [v*]}
      to: [acme/x]
"""
    duration = "expected a whole number and a unit, as in 90m, 12h, 30d or 6w"
    name = "is not a name: letters, digits, '.', '_' and '-', at most 100"
    lower = "no repository has the character 'T'; repositories are lower-case"
    expression = "is no RE2 expression: invalid perl operator: (?="
    target = "is no target: it starts with a registry, as in docker.io/acme/{basename}"
    assert problems(text) == [
        "version (line 1): at most 1",
        f"retention.grace (line 3): '24hours' is not a duration: {duration}",
        "retention.graze (line 4): unknown key; did you mean grace?",
        f"retention.rules[0].repositories[0] (line 7): 'Team/**': {lower}",
        "retention.rules[0].tags (line 8): expected a list",
        "retention.rules[0].older_then (line 9): unknown key; did you mean older_than?",
        "retention.rules[0].keep_newest (line 10): at least 1",
        "retention.rules[1].name (line 11): the name 'a' stands here twice",
        "retention.rules[1].repositories (line 12): an empty list",
        "retention.rules[1].untagged (line 13): expected true or false",
        "retention.rules[1].older_than (line 15): the key 'older_than' stands here twice",
        f"retention.rules[2].name (line 16): 'b b' {name}",
        f"retention.rules[2].tags_matching[0] (line 18): '(?=a)' {expression}",
        "retention.rules[2].order_by (line 19): expected 'updated', 'created' or 'semver'",
        f"replication.routes[0].to[0] (line 24): 'acme/x' {target}",
    ]


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ("tags: [a]", "older_than (line 4): missing, or keep_newest: what makes a tag go?"),
        ("older_than: 1d", "tags (line 4): missing, or untagged: true"),
        (
            "tags: [a], untagged: true, older_than: 1d",
            "tags (line 4): either tags and tags_matching, or untagged: true",
        ),
        (
            "untagged: true, keep_newest: 3",
            "keep_newest (line 4): says nothing about untagged manifests",
        ),
        (
            "tags: [a], keep: true, older_than: 1d",
            "older_than (line 4): a rule that keeps removes nothing, and has no use for it",
        ),
        (
            "tags: [a], keep_newest: 1, when: any",
            "when (line 4): combines older_than and keep_newest, and one is missing",
        ),
        ("tags: [a], keep_newest: 1, age_by: created", "age_by (line 4): older_than is missing"),
        ("tags: [a], older_than: 1d, order_by: semver", "order_by (line 4): keep_newest is missing"),
        (
            "tags_matching: ['a'], keep_newest: 1, keep_newest_per: env",
            "keep_newest_per (line 4): not every tags_matching has a group (?P<env>...)",
        ),
        (
            "tags: [b], tags_matching: ['(?P<env>a)'], keep_newest: 1, keep_newest_per: env",
            "keep_newest_per (line 4): tags under globs have no groups; write them as tags_matching",
        ),
        ("tags: [a], older_than: 14", "older_than (line 4): '14' is not a duration"),
        ("tags: [a], older_than: null, keep_newest: two", "keep_newest (line 4): expected a whole number"),
        ("tags: [a], keep_newest: '2'", "keep_newest (line 4): expected a whole number"),
        ("tags: [a], keep_newest: 1.0", "keep_newest (line 4): expected a whole number"),
        ("tags: [[a]], keep_newest: 1", "tags[0] (line 4): expected a text"),
    ],
)
def test_keys_that_do_not_go_together_are_refused(keys: str, problem: str) -> None:
    found = problems(with_rule(f"{{name: a, repositories: ['**'], {keys}}}"))
    assert len(found) == 1
    assert found[0].startswith(f"retention.rules[0].{problem}")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "document: empty; it starts with version: 1"),
        ("# nothing", "document: empty; it starts with version: 1"),
        ("[]", "document (line 1): expected keys and values"),
        ("retention: {}", "version (line 1): missing"),
        ("version: 1\nversion: 1", "version (line 2): the key 'version' stands here twice"),
        ("version: &v 1", "document (line 1): anchors and aliases are not read here; write it out"),
        ("version: !!int 1", "version (line 1): the tag 'tag:yaml.org,2002:int' is not read here"),
        ("version: !!python/name:os.system ''", "version (line 1): the tag"),
        ("version: 1\n? [a]\n: 1", "document (line 1): a key must be a word"),
        ("version: 1\n<<: {}", "<< (line 2): unknown key"),
        ("version: 1\n---\nversion: 1", "document (line 2): not YAML: but found another document"),
        ("version: [", "document (line 2): not YAML: "),
        (b"\xff\xfe\x00", "document: not UTF-8: "),
        ("x" * 1_100_000, "document: 1100000 bytes; the most that is read is 1048576"),
        ("[" * 50_000, "document"),
        ("a: " * 3 + "1", "document (line 1): not YAML"),
        ("version: 1\nretention: 5", "retention (line 2): expected keys and values"),
        ("version: 1.0", "version (line 1): expected a whole number"),
    ],
)
def test_a_text_that_is_no_policy_is_refused(text: str | bytes, problem: str) -> None:
    assert problems(text)[0].startswith(problem)


def test_plain_scalars_are_texts_where_texts_are_expected() -> None:
    policy = parse_policy(
        with_rule("{name: 1, repositories: [1.10], tags: [1.10, on, 2026-01-01, 007], keep_newest: 1}")
    )
    rule = policy.retention.tag_rules[0]
    assert rule.name == "1"
    assert [found.text for found in rule.tags.globs] == ["1.10", "on", "2026-01-01", "007"]


def test_limits_replace_the_default_of_their_scope() -> None:
    limit = "{repository: {deletions: 10}, run: {percent: 5, combine: and}}"
    text = f"version: 1\nretention:\n  limits: {limit}\n"
    limits = parse_policy(text).retention.limits
    assert limits.repository == Limit(deletions=10, combine="or")
    assert limits.run == Limit(percent=5, combine="and")


@pytest.mark.parametrize(
    ("route", "problem"),
    [
        (
            "{name: r, from: {repositories: ['**'], tags: ['*']}, to: 'docker.io/acme/{repository}'}",
            "to (line 4): docker.io/acme/{repository}: can become a name of three or more components",
        ),
        (
            "{name: r, from: {repositories: ['team/*'], tags: ['*']}, to: 'docker.io/{basename}'}",
            "to (line 4): docker.io/{basename}: can become a name of one component; Docker Hub has",
        ),
        (
            "{name: r, from: {repositories: ['team/*'], tags: ['*']}, to: 'docker.io/acme/{env}'}",
            "to (line 4): docker.io/acme/{env}: {env} is not known; known are {basename}, {flattened}, {reg",
        ),
        (
            "{name: r, from: {repositories: ['team/*']}, to: 'ghcr.io/{repository}'}",
            "from (line 4): needs tags",
        ),
        (
            "{name: r, from: {repositories: [a], tags: ['*']}, to: 'docker.io/Acme/x'}",
            "to[0] (line 4): 'docker.io/Acme/x' is no target: 'A' in its repository",
        ),
        (
            "{name: r, from: {repositories: [a], tags: ['*']}, to: 'docker.io/acme/x:v1'}",
            "to[0] (line 4): 'docker.io/acme/x:v1' is no target: ':' in its repository",
        ),
    ],
)
def test_a_route_that_cannot_work_is_refused(route: str, problem: str) -> None:
    found = problems(with_route(route))
    assert len(found) == 1
    assert found[0].startswith(f"replication.routes[0].{problem}")


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("repositories: ['team/*']", "docker.io/acme/{basename}"),
        ("repositories: ['team/*']", "docker.io/{repository}"),
        ("repositories: ['**']", "docker.io/acme/{flattened}"),
        ("repositories: ['**']", "ghcr.io/acme/{repository}"),
        ("repositories: [team/app]", "docker.io/acme/app"),
        (
            "registries: [a.azurecr.io, b.azurecr.io], repositories: ['*']",
            "docker.io/{registry_name}/{basename}",
        ),
    ],
)
def test_a_route_that_tells_its_sources_apart_is_taken(source: str, target: str) -> None:
    policy = parse_policy(with_route(f"{{name: r, from: {{{source}, tags: ['*']}}, to: '{target}'}}"))
    assert str(policy.replication.routes[0].targets[0]) == target


@pytest.mark.parametrize(
    ("source", "target", "pair"),
    [
        ("repositories: ['team/**']", "docker.io/acme/{basename}", "team/b and team/a/b"),
        ("repositories: ['*/app']", "docker.io/acme/{basename}", "b/app and c/app"),
        ("repositories: [team/app, other/app]", "docker.io/acme/{basename}", "team/app and other/app"),
        ("repositories: ['team/*']", "docker.io/acme/all", "team/b and team/c"),
        (
            "registries: [a.azurecr.io, b.azurecr.io], repositories: [app]",
            "docker.io/acme/{basename}",
            "a.azurecr.io/app and b.azurecr.io/app",
        ),
    ],
)
def test_two_sources_of_one_target_are_named(source: str, target: str, pair: str) -> None:
    found = problems(with_route(f"{{name: r, from: {{{source}, tags: ['*']}}, to: '{target}'}}"))
    assert len(found) == 1
    assert found[0].startswith(f"replication.routes (line 3): {pair} would both become docker.io/acme/")


def test_two_routes_may_share_a_target_while_their_tags_differ() -> None:
    routes = """{name: a, from: {repositories: [team/app], tags: [v*]}, to: docker.io/acme/app}
  - {name: b, from: {repositories: [old/app], tags: [%s]}, to: docker.io/acme/app}"""
    assert parse_policy(with_route(routes % "legacy-*")).replication.routes[1].name == "b"
    assert "team/app and old/app" in problems(with_route(routes % "v1*"))[0]


@given(st.text() | st.binary())
@settings(max_examples=200)
def test_any_text_is_a_policy_or_an_invalid_one(text: str | bytes) -> None:
    with pytest.raises(InvalidPolicy):
        parse_policy(text)


_SCALARS = st.sampled_from(
    ["1", "1d", "a", "**", "true", "null", "x y", "{basename}", "docker.io/a/b", "(", "[a"]
)
_KEYS = st.sampled_from(sorted(json.dumps(policy_schema()).split('"')[1::2]))


@given(
    st.recursive(
        _SCALARS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS | _SCALARS, inner, max_size=4),
        max_leaves=12,
    )
)
@settings(max_examples=200)
def test_any_structure_is_a_policy_or_an_invalid_one(value: object) -> None:
    document = {"version": 1, "retention": value, "replication": {"routes": [value]}}
    with pytest.raises(InvalidPolicy) as caught:
        parse_policy(json.dumps(document))
    assert caught.value.problems


def test_the_schema_describes_every_key() -> None:
    schema = policy_schema()
    rule = schema["$defs"]["RuleModel"]  # type: ignore[index]
    assert rule["required"] == ["name", "repositories"]
    assert rule["additionalProperties"] is False
    assert rule["properties"]["older_than"]["anyOf"][0]["pattern"] == "^[1-9][0-9]{0,6}[mhdw]$"
    assert schema["$defs"]["RouteModel"]["required"] == ["name", "from", "to"]  # type: ignore[index]
    undescribed = [name for name, found in rule["properties"].items() if "description" not in found]
    assert undescribed == []


def test_using_a_policy_imports_neither_the_validator_nor_the_parser() -> None:
    """Cold starts pay for what is imported; only reading a document needs these."""
    probe = (
        "import sys, shared.policy, shared.retention.plan, shared.replication.routes, shared.render\n"
        "print([name for name in ('pydantic', 'yaml', 're2') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
