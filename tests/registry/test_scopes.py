import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.registry.scopes import Scope, covers, merge, parse_scopes, scopes_of

SCOPES = st.builds(
    Scope,
    st.sampled_from(["repository", "registry"]),
    st.sampled_from(["a", "team/app", "catalog"]),
    st.frozensets(st.sampled_from(["pull", "push", "delete", "metadata_read"]), min_size=1),
)
DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("method", "path", "scopes"),
    [
        ("GET", "/v2/", []),
        ("GET", "/oauth2/token?scope=x", []),
        ("GET", "/v2/_catalog?n=10", ["registry:catalog:*"]),
        ("GET", "/acr/v1/_catalog", ["registry:catalog:*"]),
        ("GET", "/acr/v1/team%2Fapp", ["repository:team/app:metadata_read"]),
        ("GET", "/acr/v1/team/app/_tags?n=1", ["repository:team/app:metadata_read"]),
        ("GET", f"/acr/v1/team%2Fapp/_manifests/{DIGEST}", ["repository:team/app:metadata_read"]),
        ("PATCH", "/acr/v1/team%2Fapp/_tags/v1", ["repository:team/app:metadata_write"]),
        ("PATCH", "/acr/v1/team%2Fapp", ["repository:team/app:metadata_write"]),
        ("DELETE", "/acr/v1/team%2Fapp/_tags/v1", ["repository:team/app:delete"]),
        ("DELETE", "/acr/v1/app", ["repository:app:delete"]),
        ("DELETE", f"/v2/team%2Fapp/manifests/{DIGEST}", ["repository:team/app:delete"]),
        ("HEAD", "/v2/team/app/manifests/v1", ["repository:team/app:pull"]),
        ("PUT", "/v2/team/app/manifests/v1", ["repository:team/app:pull,push"]),
        ("GET", f"/v2/team/app/blobs/{DIGEST}", ["repository:team/app:pull"]),
        ("GET", f"/v2/team/app/referrers/{DIGEST}", ["repository:team/app:pull"]),
        ("POST", "/v2/team/app/blobs/uploads/", ["repository:team/app:pull,push"]),
        ("PATCH", "/v2/team/app/blobs/uploads/0-1-2?_state=x", ["repository:team/app:pull,push"]),
        ("GET", "/v2/team/app/blobs/uploads/0-1-2", ["repository:team/app:pull,push"]),
        ("PUT", f"/v2/app/blobs/uploads/x?digest={DIGEST}", ["repository:app:pull,push"]),
        ("GET", "/v2/team/app/tags/list", ["repository:team/app:metadata_read,pull"]),
        ("GET", f"/v2/a/manifests/blobs/{DIGEST}", ["repository:a/manifests:pull"]),
        (
            "POST",
            f"/v2/team/app/blobs/uploads/?mount={DIGEST}&from=base%2Fos",
            ["repository:base/os:pull", "repository:team/app:pull,push"],
        ),
    ],
)
def test_a_request_names_what_its_token_must_allow(method: str, path: str, scopes: list[str]) -> None:
    assert sorted(map(str, scopes_of(method, f"https://r.example{path}"))) == scopes


def test_scopes_of_a_challenge_may_be_separated_by_spaces_and_repeat() -> None:
    found = parse_scopes("repository:a:pull repository:a:push,pull registry:catalog:* nonsense :: ")
    assert sorted(map(str, found)) == ["registry:catalog:*", "repository:a:pull,push"]


def test_a_repository_name_may_hold_a_port() -> None:
    assert parse_scopes("repository:host:5000/app:pull") == {
        Scope("repository", "host:5000/app", frozenset({"pull"}))
    }


@given(st.lists(SCOPES), st.lists(SCOPES))
def test_merging_loses_nothing_and_is_idempotent(left: list[Scope], right: list[Scope]) -> None:
    merged = merge([*left, *right])
    assert covers(merged, frozenset(left))
    assert covers(merged, frozenset(right))
    assert merge(merged) == merged
    assert len({(scope.kind, scope.name) for scope in merged}) == len(merged)


@given(st.lists(SCOPES, min_size=1))
def test_a_token_for_less_does_not_cover_more(scopes: list[Scope]) -> None:
    merged = merge(scopes)
    first = min(merged)
    action = min(first.actions)
    less = (merged - {first}) | {first._replace(actions=first.actions - {action})}
    assert not covers(frozenset(less), merged)
    assert covers(merged, frozenset(less))


@given(st.lists(SCOPES))
def test_written_scopes_are_read_back(scopes: list[Scope]) -> None:
    merged = merge(scopes)
    assert parse_scopes(" ".join(map(str, merged))) == merged
