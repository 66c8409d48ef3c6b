from __future__ import annotations

import pytest
import requests

from emulators.acr import AcrEmulator
from emulators.registry.images import build_image
from emulators.registry.records import digest_of
from tests.emulators.acr_caller import CLIENT_ID, AcrCaller, as_admin

DIGEST = digest_of(b"x")


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/acr/v1/_catalog", "registry:catalog:*"),
        ("GET", "/v2/_catalog", "registry:catalog:*"),
        ("GET", "/acr/v1/team%2Fapp", "repository:team/app:metadata_read"),
        ("GET", "/acr/v1/team%2Fapp/_tags", "repository:team/app:metadata_read"),
        ("GET", "/acr/v1/team/app/_tags/v1", "repository:team/app:metadata_read"),
        ("GET", "/acr/v1/team/app/_manifests", "repository:team/app:metadata_read"),
        ("GET", f"/acr/v1/team/app/_manifests/{DIGEST}", "repository:team/app:metadata_read"),
        ("PATCH", "/acr/v1/team/app", "repository:team/app:metadata_write"),
        ("PATCH", "/acr/v1/team/app/_tags/v1", "repository:team/app:metadata_write"),
        ("DELETE", "/acr/v1/team/app", "repository:team/app:delete"),
        ("DELETE", "/acr/v1/team/app/_tags/v1", "repository:team/app:delete"),
        ("DELETE", f"/v2/team/app/manifests/{DIGEST}", "repository:team/app:delete"),
        ("DELETE", f"/v2/team/app/blobs/{DIGEST}", "repository:team/app:delete"),
        ("GET", "/v2/team%2Fapp/manifests/v1", "repository:team/app:pull"),
        ("HEAD", "/v2/team/app/manifests/v1", "repository:team/app:pull"),
        ("GET", f"/v2/team/app/blobs/{DIGEST}", "repository:team/app:pull"),
        ("GET", f"/v2/team/app/referrers/{DIGEST}", "repository:team/app:pull"),
        ("GET", "/v2/team/app/tags/list", "repository:team/app:metadata_read"),
        ("POST", "/v2/team/app/blobs/uploads/", "repository:team/app:pull,push"),
        ("PUT", "/v2/team/app/manifests/v1", "repository:team/app:pull,push"),
    ],
)
def test_each_operation_asks_for_its_own_scope(
    acr: AcrEmulator, http: requests.Session, method: str, path: str, scope: str
) -> None:
    answer = http.request(method, acr.url + path)
    server = acr.login_server
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == (
        f'Bearer realm="https://{server}/oauth2/token",service="{server}",scope="{scope}"'
    )
    kind, name, actions = scope.split(":")
    if method != "HEAD":
        (error,) = answer.json()["errors"]
        assert error["code"] == "UNAUTHORIZED"
        assert error["detail"] == [
            {"Type": kind, "Name": name, "Action": action} for action in actions.split(",")
        ]


def test_the_ping_asks_for_no_scope_and_takes_any_token(acr: AcrEmulator, http: requests.Session) -> None:
    assert "scope" not in http.get(f"{acr.url}/v2/").headers["WWW-Authenticate"]
    answer = AcrCaller(acr, http).call("GET", "/v2/")
    assert (answer.status_code, answer.json()) == (200, {})


def test_a_token_with_too_little_scope_is_401_and_says_so(acr: AcrEmulator, http: requests.Session) -> None:
    build_image().push_to(acr.state, "app", tag="v1")
    acr.grant(CLIENT_ID, "AcrPull")
    caller = AcrCaller(acr, http)
    assert caller.call("GET", "/v2/app/manifests/v1", "repository:app:pull").status_code == 200
    for scopes in (["repository:app:metadata_read"], ["repository:other:pull"], []):
        answer = caller.call("GET", "/v2/app/manifests/v1", *scopes)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].endswith(
            'scope="repository:app:pull",error="insufficient_scope"'
        )


def test_a_token_that_is_no_token_is_invalid(acr: AcrEmulator, http: requests.Session) -> None:
    answer = http.get(f"{acr.url}/v2/", headers={"Authorization": "Bearer nonsense"})
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_every_answer_carries_the_headers_of_the_service(acr: AcrEmulator, http: requests.Session) -> None:
    build_image().push_to(acr.state, "app", tag="v1")
    correlations = set()
    for path, status in [("/v2/app/manifests/v1", 200), ("/acr/v1/none", 404), ("/nowhere", 404)]:
        answer = http.get(acr.url + path, auth=as_admin(acr))
        assert answer.status_code == status
        assert answer.headers["Server"] == "AzureContainerRegistry"
        assert answer.headers["Docker-Distribution-Api-Version"] == "registry/2.0"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "X-Ms-Correlation-Request-Id" in answer.headers["Access-Control-Expose-Headers"]
        correlations.add(answer.headers["X-Ms-Correlation-Request-Id"])
    assert len(correlations) == 3
