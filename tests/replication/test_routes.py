import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.oci.names import DOCKER_HUB, parse_reference
from shared.policy import parse_policy
from shared.replication.collisions import find_collision
from shared.replication.routes import (
    ReplicationPolicy,
    ReplicationTarget,
    route_push,
    routes_repository,
    unmappable,
)


def routes(*lines: str) -> ReplicationPolicy:
    return parse_policy("\n".join(["version: 1", "replication:", "  routes:", *lines])).replication


TO_HUB = routes(
    "  - name: to-hub",
    "    from: {repositories: ['team/*'], exclude_repositories: [team/secret], tags: [v*, latest],"
    " exclude_tags: ['*-rc*']}",
    "    to: docker.io/acme/{basename}",
)


def targets(source: str, policy: ReplicationPolicy) -> list[str]:
    return [str(found.target) for found in route_push(parse_reference(source), policy)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("demo.azurecr.io/team/app:v1.0", ["docker.io/acme/app:v1.0"]),
        ("demo.azurecr.io/team/app:latest", ["docker.io/acme/app:latest"]),
        ("demo.azurecr.io/team/app:v1-rc1", []),
        ("demo.azurecr.io/team/app:dev", []),
        ("demo.azurecr.io/team/secret:v1", []),
        ("demo.azurecr.io/team/app/deep:v1", []),
        ("demo.azurecr.io/other/app:v1", []),
        ("demo.azurecr.io/team/app", []),
    ],
)
def test_a_route_takes_what_it_names(source: str, expected: list[str]) -> None:
    assert targets(source, TO_HUB) == expected


def test_a_target_carries_what_the_route_says() -> None:
    policy = routes(
        "  - name: all",
        "    from: {repositories: ['**'], tags: ['*']}",
        "    to: ghcr.io/acme/{repository}",
        "    on_delete: mirror",
        "    referrers: false",
        "    visibility: public",
    )
    assert route_push(parse_reference("demo.azurecr.io/a/b/c:v1"), policy) == (
        ReplicationTarget(
            route="all",
            target=parse_reference("ghcr.io/acme/a/b/c:v1"),
            referrers=False,
            visibility="public",
            on_delete="mirror",
        ),
    )
    assert policy.route("all") is policy.routes[0]
    assert policy.route("none") is None


def test_repositories_that_are_made_are_private_unless_said() -> None:
    assert TO_HUB.routes[0].visibility == "private"
    assert TO_HUB.routes[0].referrers


def test_every_placeholder_is_filled() -> None:
    policy = routes(
        "  - name: all",
        "    from: {repositories: ['**'], tags_matching: ['(?P<env>[a-z]+)-(?P<number>\\d+)']}",
        "    to: ghcr.io/{registry_name}/{env}/{repository}/x/{flattened}/{basename}/{number}",
    )
    assert targets("demo.azurecr.io:443/team/app:dev-7", policy) == [
        "ghcr.io/demo/dev/team/app/x/team-app/app/7:dev-7"
    ]


def test_several_targets_and_routes_each_count_once() -> None:
    policy = routes(
        "  - name: one",
        "    from: {repositories: [team/app], tags: ['*']}",
        "    to: [docker.io/acme/app, ghcr.io/acme/app]",
        "  - name: two",
        "    from: {repositories: [team/app], tags: [v*]}",
        "    to: docker.io/acme/app",
    )
    found = route_push(parse_reference("demo.azurecr.io/team/app:v1"), policy)
    assert [(each.route, str(each.target)) for each in found] == [
        ("one", "docker.io/acme/app:v1"),
        ("one", "ghcr.io/acme/app:v1"),
    ]


@pytest.mark.parametrize(
    ("source", "template", "reason"),
    [
        ("demo.azurecr.io/app:X-1", "ghcr.io/{env}/{basename}", "'X/app' is not a repository"),
        ("demo.azurecr.io/" + "a" * 250 + ":b-1", "ghcr.io/long-name/{basename}", "longer than 255"),
        ("ghcr.io/acme/app:b-1", "ghcr.io/acme/{basename}", "would be copied onto itself"),
    ],
)
def test_what_cannot_be_named_is_said_and_not_routed(source: str, template: str, reason: str) -> None:
    policy = routes(
        "  - name: r",
        "    from: {repositories: ['*', acme/app], tags_matching: ['(?P<env>[A-Za-z]*)-1']}",
        f"    to: '{template}'",
    )
    assert route_push(parse_reference(source), policy) == ()
    (found,) = unmappable(parse_reference(source), policy)
    assert (found.route, found.template) == ("r", template)
    assert reason in found.reason


def test_a_repository_is_routed_when_any_route_takes_from_it() -> None:
    app, other = (parse_reference(f"demo.azurecr.io/{name}") for name in ("team/app", "other/app"))
    assert routes_repository(app.registry, app.repository, TO_HUB)
    assert not routes_repository(other.registry, other.repository, TO_HUB)


def test_a_catalog_shows_collisions_that_patterns_do_not() -> None:
    policy = routes(
        "  - {name: r, from: {repositories: ['**'], tags: ['*']}, to: 'docker.io/acme/{flattened}'}"
    )
    sources = [parse_reference(f"demo.azurecr.io/{name}:v1") for name in ("a/b", "a/b-c", "a-b/c")]
    collision = find_collision(sources, policy)
    assert str(collision).startswith("a/b-c and a-b/c would both become docker.io/acme/a-b-c: ")
    assert find_collision(sources[:2], policy) is None
    assert find_collision([sources[0], sources[0]], policy) is None


@given(
    st.lists(st.sampled_from(["a", "b", "team", "x-y"]), min_size=1, max_size=4).map("/".join),
    st.sampled_from(["v1", "latest", "main"]),
)
def test_what_goes_to_docker_hub_has_two_components(repository: str, tag: str) -> None:
    policy = routes(
        "  - {name: r, from: {repositories: ['**'], tags: ['*']}, to: 'docker.io/acme/{flattened}'}"
    )
    (found,) = route_push(parse_reference(f"demo.azurecr.io/{repository}:{tag}"), policy)
    assert found.target.registry == DOCKER_HUB
    assert found.target.repository.count("/") == 1
    assert found.target.tag == tag
