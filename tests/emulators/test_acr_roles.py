from __future__ import annotations

from collections.abc import Callable

import pytest
import requests

from emulators.acr import AcrEmulator
from emulators.registry.images import Artifact, build_image
from tests.emulators.acr_caller import CLIENT_ID, AcrCaller

EVERYTHING = "pull,push,delete,metadata_read,metadata_write"


@pytest.fixture
def image() -> Artifact:
    return build_image()


def allowed(caller: AcrCaller, image: Artifact, repository: str, scope: str | None = None) -> set[str]:
    """What a caller really gets done in a repository."""
    scope = scope or f"repository:{repository}:{EVERYTHING}"
    calls = {
        "pull": ("GET", f"/v2/{repository}/manifests/v1"),
        "list": ("GET", f"/acr/v1/{repository}/_tags"),
        "lock": ("PATCH", f"/acr/v1/{repository}/_tags/v1"),
        "push": ("POST", f"/v2/{repository}/blobs/uploads/"),
        "delete": ("DELETE", f"/acr/v1/{repository}/_tags/v1"),
    }
    done = set()
    for name, (method, path) in calls.items():
        image.push_to(caller.acr.state, repository, tag="v1")
        answer = caller.call(method, path, scope, data=b"{}" if method == "PATCH" else None)
        assert answer.ok or answer.status_code == 401
        if answer.ok:
            done.add(name)
    if caller.call("GET", "/acr/v1/_catalog", "registry:catalog:*").ok:
        done.add("catalog")
    return done


@pytest.mark.parametrize(
    ("role", "does"),
    [
        ("AcrPull", {"pull", "list", "catalog"}),
        ("AcrPush", {"pull", "push", "list", "catalog"}),
        ("AcrDelete", {"delete"}),
        ("Contributor", {"pull", "push", "list", "lock", "delete", "catalog"}),
        ("Container Registry Repository Contributor", set()),
    ],
)
def test_roles_of_a_registry_without_abac(
    acr: AcrEmulator, http: requests.Session, image: Artifact, role: str, does: set[str]
) -> None:
    acr.grant(CLIENT_ID, role)
    assert allowed(AcrCaller(acr, http), image, "team/app") == does


@pytest.mark.parametrize(
    ("role", "does"),
    [
        ("AcrPull", set()),
        ("AcrDelete", set()),
        ("Contributor", set()),
        ("Container Registry Repository Reader", {"pull", "list"}),
        ("Container Registry Repository Writer", {"pull", "push", "list", "lock"}),
        ("Container Registry Repository Contributor", {"pull", "push", "list", "lock", "delete"}),
        ("Container Registry Repository Catalog Lister", {"catalog"}),
    ],
)
def test_roles_of_a_registry_with_abac(
    start_acr: Callable[..., AcrEmulator],
    http: requests.Session,
    image: Artifact,
    role: str,
    does: set[str],
) -> None:
    acr = start_acr(abac=True)
    acr.grant(CLIENT_ID, role)
    assert allowed(AcrCaller(acr, http), image, "team/app") == does


def test_abac_conditions_name_repositories_or_their_beginning(
    start_acr: Callable[..., AcrEmulator], http: requests.Session, image: Artifact
) -> None:
    acr = start_acr(abac=True)
    acr.grant(CLIENT_ID, "Container Registry Repository Reader", repositories=["Team/", "exact"])
    caller = AcrCaller(acr, http)
    assert allowed(caller, image, "team/app") == {"pull", "list"}
    assert allowed(caller, image, "exact") == {"pull", "list"}
    assert allowed(caller, image, "exactly") == set()
    assert allowed(caller, image, "teams") == set()


def test_wildcard_scopes_are_honoured_without_abac_and_ignored_with_it(
    acr: AcrEmulator,
    start_acr: Callable[..., AcrEmulator],
    http: requests.Session,
    image: Artifact,
) -> None:
    acr.grant(CLIENT_ID, "AcrPull")
    assert allowed(AcrCaller(acr, http), image, "team/app", "repository:*:*") == {"pull", "list", "catalog"}
    abac = start_acr(abac=True)
    abac.grant(CLIENT_ID, "Container Registry Repository Contributor")
    assert allowed(AcrCaller(abac, http), image, "team/app", "repository:*:*") == set()


def test_a_wildcard_scope_does_not_open_the_catalog(acr: AcrEmulator, http: requests.Session) -> None:
    acr.grant(CLIENT_ID, "AcrPull")
    assert AcrCaller(acr, http).call("GET", "/acr/v1/_catalog", "repository:*:*").status_code == 401


def test_a_role_taken_away_ends_with_the_next_token(
    acr: AcrEmulator, http: requests.Session, image: Artifact
) -> None:
    acr.grant(CLIENT_ID, "AcrPull")
    caller = AcrCaller(acr, http)
    assert allowed(caller, image, "app") == {"pull", "list", "catalog"}
    acr.revoke(CLIENT_ID)
    assert allowed(caller, image, "app") == set()


def test_a_repository_token_does_what_its_scope_map_says(
    acr: AcrEmulator, http: requests.Session, image: Artifact
) -> None:
    image.push_to(acr.state, "app", tag="v1")
    image.push_to(acr.state, "other", tag="v1")
    acr.add_token("ci", "secret", {"app": ["content/read"]})
    auth = ("ci", "secret")
    assert http.get(f"{acr.url}/v2/app/manifests/v1", auth=auth).status_code == 200
    assert http.get(f"{acr.url}/v2/other/manifests/v1", auth=auth).status_code == 401
    assert http.get(f"{acr.url}/v2/app/tags/list", auth=auth).status_code == 401
    assert http.get(f"{acr.url}/acr/v1/_catalog", auth=auth).status_code == 401
    acr.add_token("ci", "secret", {"app": ["content/read", "metadata/read"]})
    assert http.get(f"{acr.url}/v2/app/tags/list", auth=auth).json()["tags"] == ["v1"]


def test_a_mount_needs_the_right_to_pull_from_its_source(acr: AcrEmulator, http: requests.Session) -> None:
    digest = acr.state.put_blob("source", b"shared")
    acr.grant(CLIENT_ID, "AcrPush")
    caller = AcrCaller(acr, http)
    path = f"/v2/target/blobs/uploads/?mount={digest}&from=source"
    target = "repository:target:pull,push"
    assert caller.call("POST", path, target).status_code == 202
    assert caller.call("POST", path, target, "repository:source:pull").status_code == 201


def test_an_unknown_role_is_a_mistake(acr: AcrEmulator) -> None:
    with pytest.raises(ValueError, match="AcrPul'"):
        acr.grant(CLIENT_ID, "AcrPul")
