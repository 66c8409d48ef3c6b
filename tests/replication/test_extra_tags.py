"""More names for each tag, and tags taken by ranges of versions."""

import pytest

from shared.errors import InvalidPolicy
from shared.oci.names import parse_reference
from shared.policy import parse_policy
from shared.replication.routes import ReplicationPolicy, route_push, unmappable


def route(line: str) -> ReplicationPolicy:
    return parse_policy(f"version: 1\nreplication:\n  routes:\n  - {{name: r, {line}}}").replication


def targets(source: str, policy: ReplicationPolicy) -> list[str]:
    return [str(found.target) for found in route_push(parse_reference(source), policy)]


RANGED = route(
    "from: {repositories: ['team/*'], versions: ['^1.4.0', 3.x]}, to: 'docker.io/acme/{basename}', "
    "extra_tags: ['{tag}-mirror', 'stable-{tag}'], platforms: [linux/amd64]"
)


def test_each_tag_in_a_range_goes_under_its_own_and_its_extra_names() -> None:
    assert targets("a.azurecr.io/team/app:1.5.0", RANGED) == [
        "docker.io/acme/app:1.5.0",
        "docker.io/acme/app:1.5.0-mirror",
        "docker.io/acme/app:stable-1.5.0",
    ]
    assert targets("a.azurecr.io/team/app:v3.2.1", RANGED)[0] == "docker.io/acme/app:v3.2.1"
    assert targets("a.azurecr.io/team/app:2.0.0", RANGED) == []
    assert targets("a.azurecr.io/team/app:1.5.0-rc.1", RANGED) == []
    assert targets("a.azurecr.io/team/app:latest", RANGED) == []


def test_an_extra_name_that_is_too_long_is_said_and_not_routed() -> None:
    policy = route("from: {repositories: [a], tags: ['*'], exclude_tags: ['*-mirror']}, "
                   "to: 'docker.io/acme/x', extra_tags: ['{tag}-mirror']")  # fmt: skip
    source = parse_reference(f"a.azurecr.io/a:{'v' * 125}")
    assert [found.target.tag for found in route_push(source, policy)] == ["v" * 125]
    assert "is not a tag" in unmappable(source, policy)[0].reason


def test_extra_names_that_a_source_may_have_itself_are_refused_with_both_named() -> None:
    with pytest.raises(InvalidPolicy, match=r"a:vb and .*a:vb-x would both become .*:vb-x: .* exclude_tags"):
        route("from: {repositories: [a], tags: ['v*']}, to: docker.io/acme/x, extra_tags: ['{tag}-x']")


def test_two_routes_by_versions_that_end_in_one_place_are_refused() -> None:
    line = "{name: %s, from: {repositories: [%s/app], versions: [%s]}, to: 'docker.io/acme/{basename}'}"
    both = f"version: 1\nreplication:\n  routes:\n  - {line}\n  - {line}"
    with pytest.raises(InvalidPolicy, match=r"one/app and two/app would both become docker.io/acme/app"):
        parse_policy(both % ("a", "one", "^4.7.0", "b", "two", "'>=4.0.0'"))
    assert parse_policy(both % ("a", "one", "^4.7.0", "b", "two", "^5.0.0")).replication.routes


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ("extra_tags: [latest]", "holds {tag} once"),
        ("extra_tags: ['{tag}']", "something else"),
        ("extra_tags: ['{tag}/x']", "is not a tag"),
        ("platforms: [linux]", "is not a platform"),
        ("platforms: []", "empty list"),
    ],
)
def test_keys_that_cannot_work_are_refused(keys: str, problem: str) -> None:
    with pytest.raises(InvalidPolicy, match=problem):
        route(f"from: {{repositories: [a], tags: [v1]}}, to: docker.io/acme/x, {keys}")
