from collections.abc import Iterator
from typing import Literal

import pytest

from emulators.certificates import CertificateAuthority
from emulators.registry.images import build_image, build_index, build_referrer
from tests.emulators.dockerhub_driver import Driver, SteppingClock, running

UPLOADS = "/v2/acme/app/blobs/uploads/"


@pytest.fixture(scope="module")
def ca() -> Iterator[CertificateAuthority]:
    with CertificateAuthority() as authority:
        yield authority


@pytest.fixture
def driver(ca: CertificateAuthority) -> Iterator[Driver]:
    with running(ca) as driver:
        yield driver


def code(answer: object) -> str:
    return str(answer.json()["errors"][0]["code"])  # type: ignore[attr-defined]


def test_a_challenge_names_the_token_service_and_the_scope(driver: Driver) -> None:
    registry = f"https://{driver.hub.registry}"
    ping = driver.send("GET", f"{registry}/v2/")
    push = driver.send("POST", f"{registry}{UPLOADS}")

    bearer = f'Bearer realm="{driver.hub.auth_url}/token",service="registry.docker.io"'
    assert (ping.status_code, ping.headers["WWW-Authenticate"]) == (401, bearer)
    assert push.headers["WWW-Authenticate"] == f'{bearer},scope="repository:acme/app:pull,push"'
    assert push.headers["Docker-Distribution-Api-Version"] == "registry/2.0"
    assert push.json()["errors"] == [
        {
            "code": "UNAUTHORIZED",
            "message": "authentication required",
            "detail": [
                {"Type": "repository", "Class": "", "Name": "acme/app", "Action": "pull"},
                {"Type": "repository", "Class": "", "Name": "acme/app", "Action": "push"},
            ],
        }
    ]
    assert driver.send("GET", f"{registry}/v2/", token=driver.token()).status_code == 200


def test_a_token_that_allows_too_little_is_found_out_at_the_registry(driver: Driver) -> None:
    refused = driver.registry("POST", UPLOADS, actions="pull")
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"].endswith('error="insufficient_scope"')
    assert driver.registry("GET", "/v2/_catalog").status_code == 401


@pytest.mark.parametrize("name", ["acme/team/app", "app"])
def test_names_of_other_than_two_components_are_denied(driver: Driver, name: str) -> None:
    token = driver.token(f"repository:{name}:pull,push")
    refused = driver.send("POST", f"https://{driver.hub.registry}/v2/{name}/blobs/uploads/", token=token)
    assert (refused.status_code, code(refused)) == (401, "DENIED")


@pytest.mark.parametrize("private", [False, True])
def test_a_push_creates_the_repository_with_the_default_visibility(
    ca: CertificateAuthority, *, private: bool
) -> None:
    with running(ca, default_private=private) as driver:
        image = build_image()
        pushed = driver.push("acme/app", image, "v1")

        assert (pushed.status_code, pushed.headers["Docker-Content-Digest"]) == (201, image.digest)
        assert driver.api("GET", "/v2/namespaces/acme/repositories/app").json()["is_private"] is private
        with driver.signed_in_as("", "") as nobody:
            status = nobody.registry("GET", "/v2/acme/app/manifests/v1").status_code
            assert status == (401 if private else 200)


def test_a_push_keeps_the_visibility_of_a_repository_that_was_created_before(driver: Driver) -> None:
    body = {"name": "app", "namespace": "acme", "is_private": True}
    driver.api("POST", "/v2/namespaces/acme/repositories", json=body)
    assert driver.push("acme/app", build_image(), "v1").status_code == 201
    assert driver.hub.repository("acme/app").private is True


def test_every_upload_location_is_absolute_and_replaces_the_one_before(driver: Driver) -> None:
    image = build_image(layer_size=300)
    digest, content = next(iter(image.blobs.items()))

    opened = driver.registry("POST", UPLOADS).headers["Location"]
    assert opened.startswith(f"https://{driver.hub.registry}{UPLOADS}")
    assert "_state=" in opened
    appended = driver.registry("PATCH", opened, data=content[:100])
    assert (appended.status_code, appended.headers["Range"]) == (202, "0-99")

    stale = driver.registry("PATCH", opened, data=content[100:])
    assert (stale.status_code, code(stale)) == (404, "BLOB_UPLOAD_UNKNOWN")
    asked = driver.registry("GET", appended.headers["Location"])
    assert (asked.status_code, asked.headers["Range"]) == (204, "0-99")
    location = f"{asked.headers['Location']}&digest={digest}"
    assert driver.registry("PUT", location, data=content[100:]).status_code == 201
    assert driver.registry("HEAD", f"/v2/acme/app/blobs/{digest}").status_code == 200


def test_a_blob_is_served_by_another_host_that_refuses_credentials(driver: Driver) -> None:
    image = build_image()
    image.push_to(driver.hub.state, "acme/app", tag="v1")
    digest, content = next(iter(image.blobs.items()))

    redirect = driver.registry("GET", f"/v2/acme/app/blobs/{digest}")
    location = redirect.headers["Location"]
    assert redirect.status_code == 307
    assert location.startswith(f"{driver.hub.cdn_url}/")
    assert driver.send("GET", location).content == content
    carried = driver.send("GET", location, token="x")
    assert carried.status_code == 400
    assert "InvalidAuthenticationInfo" in carried.text
    assert driver.hub.cdn_traffic.count("GET", status=400) == 1


def test_a_mount_needs_pull_on_its_source_in_the_same_token(driver: Driver) -> None:
    image = build_image()
    image.push_to(driver.hub.state, "acme/base", tag="v1")
    digest = next(iter(image.blobs))
    url = f"https://{driver.hub.registry}{UPLOADS}?mount={digest}&from=acme/base"

    push, pull = "repository:acme/app:pull,push", "repository:acme/base:pull"
    lacking = driver.send("POST", url, token=driver.token(push))
    mounted = driver.send("POST", url, token=driver.token(push, pull))
    missing = driver.send(
        "POST", url.replace("base", "none"), token=driver.token(push, "repository:acme/none:pull")
    )

    assert lacking.status_code == 401
    assert f'scope="{push} {pull}"' in lacking.headers["WWW-Authenticate"]
    assert (mounted.status_code, mounted.headers["Docker-Content-Digest"]) == (201, digest)
    assert driver.registry("HEAD", f"/v2/acme/app/blobs/{digest}").status_code == 200
    assert missing.status_code == 202
    assert "_state=" in missing.headers["Location"]


def test_a_mount_from_the_name_of_another_registry_is_an_invalid_name(driver: Driver) -> None:
    refused = driver.registry("POST", f"{UPLOADS}?mount=sha256:{'0' * 64}&from=team/sub/app")
    assert (refused.status_code, code(refused)) == (400, "NAME_INVALID")
    assert refused.json()["errors"][0]["message"] == "invalid repository name"


def test_an_immutable_tag_is_not_pushed_again_even_if_identical(driver: Driver) -> None:
    driver.hub.set_immutable_tags("acme/app", [r"v\d+"])
    first, second = build_image(), build_image()

    assert driver.push("acme/app", first, "v1").status_code == 201
    assert driver.push("acme/app", first, "v1").status_code == 403
    assert driver.push("acme/app", second, "v1").status_code == 403
    assert driver.push("acme/app", second, second.digest).status_code == 201
    assert [driver.push("acme/app", image, "v1-rc").status_code for image in (first, second)] == [201, 201]
    head = driver.registry("HEAD", "/v2/acme/app/manifests/v1")
    assert head.headers["Docker-Content-Digest"] == first.digest


def test_a_manifest_goes_only_when_nothing_holds_it(driver: Driver) -> None:
    child = build_image()
    index = build_index([child])
    index.push_to(driver.hub.state, "acme/app", tag="v1")

    def delete(reference: str) -> int:
        return driver.registry("DELETE", f"/v2/acme/app/manifests/{reference}").status_code

    assert delete("v1") == 405
    assert delete(index.digest) == 403
    assert delete(child.digest) == 403
    assert driver.api("DELETE", "/v2/repositories/acme/app/tags/v1/").status_code == 204
    assert delete(child.digest) == 403
    assert delete(index.digest) == 202
    assert delete(child.digest) == 202
    assert delete(child.digest) == 404


def test_deleting_needs_the_delete_action(driver: Driver) -> None:
    image = build_image()
    image.push_to(driver.hub.state, "acme/app")
    path = f"/v2/acme/app/manifests/{image.digest}"
    refused = driver.registry("DELETE", path, actions="pull,push")
    assert refused.status_code == 401
    assert 'scope="repository:acme/app:delete"' in refused.headers["WWW-Authenticate"]
    assert driver.registry("HEAD", path).status_code == 200


def test_blobs_are_not_deleted_by_clients(driver: Driver) -> None:
    digest = driver.hub.state.put_blob("acme/app", b"layer")
    assert driver.registry("DELETE", f"/v2/acme/app/blobs/{digest}").status_code == 405
    assert driver.registry("HEAD", f"/v2/acme/app/blobs/{digest}").status_code == 200


def test_a_slow_delete_answers_500_and_happens_all_the_same(ca: CertificateAuthority) -> None:
    with running(ca, slow_deletes=True) as driver:
        image = build_image()
        image.push_to(driver.hub.state, "acme/app")
        path = f"/v2/acme/app/manifests/{image.digest}"
        assert driver.registry("DELETE", path).status_code == 500
        assert driver.registry("HEAD", path).status_code == 404


@pytest.mark.parametrize(
    ("mode", "says_subject", "listed"), [("none", False, None), ("half", True, None), ("full", True, 1)]
)
def test_referrers_come_in_three_modes(
    ca: CertificateAuthority,
    mode: Literal["none", "half", "full"],
    listed: int | None,
    *,
    says_subject: bool,
) -> None:
    with running(ca, referrers=mode) as driver:
        image = build_image()
        signature = build_referrer(image)
        driver.push("acme/app", image, "v1")
        pushed = driver.push("acme/app", signature, signature.digest)
        answer = driver.registry("GET", f"/v2/acme/app/referrers/{image.digest}")

        assert ("OCI-Subject" in pushed.headers) is says_subject
        if listed is None:
            assert answer.status_code == 404
        else:
            assert [each["digest"] for each in answer.json()["manifests"]] == [signature.digest]


def test_an_orphaned_blob_is_there_for_head_and_not_for_a_manifest(driver: Driver) -> None:
    image = build_image(layers=2)
    digest, content = list(image.blobs.items())[-1]
    for other, blob in image.blobs.items():
        if other != digest:
            driver.push_blob("acme/app", other, blob)
    assert driver.hub.orphan_blob("acme/app", content) == digest
    path = f"/v2/acme/app/blobs/{digest}"

    assert driver.registry("HEAD", path).headers["Content-Length"] == str(len(content))
    assert driver.registry("GET", path).status_code == 404
    for _ in range(2):
        refused = driver.push_manifest("acme/app", image, "v1")
        assert (refused.status_code, code(refused)) == (400, "MANIFEST_BLOB_UNKNOWN")

    assert driver.push_blob("acme/app", digest, content).status_code == 201
    assert driver.push_manifest("acme/app", image, "v1").status_code == 201
    assert driver.registry("GET", path).status_code == 307


def test_a_manifest_over_missing_blobs_is_refused(driver: Driver) -> None:
    refused = driver.push_manifest("acme/app", build_image(), "v1")
    assert (refused.status_code, code(refused)) == (400, "MANIFEST_BLOB_UNKNOWN")


def test_a_push_is_read_back_only_after_a_while(ca: CertificateAuthority) -> None:
    clock = SteppingClock()
    with running(ca, clock=clock, read_lag=5.0) as driver:
        assert driver.push("acme/app", build_image(), "v1").status_code == 201
        path = "/v2/acme/app/manifests/v1"
        assert driver.registry("HEAD", path).status_code == 404
        clock.advance(4)
        assert driver.registry("HEAD", path).status_code == 404
        clock.advance(1)
        assert driver.registry("HEAD", path).status_code == 200


def test_faults_and_traffic_are_kept_apart_by_host(driver: Driver) -> None:
    driver.hub.auth_faults.inject(path="/token", status=503)
    assert driver.ask_token().status_code == 503
    assert driver.ask_token().status_code == 200
    driver.hub.api_faults.inject(status=500)
    assert driver.sign_in().status_code == 500
    driver.hub.faults.inject(status=502)
    assert driver.send("GET", f"https://{driver.hub.registry}/v2/").status_code == 502
    assert [
        traffic.count() for traffic in (driver.hub.auth_traffic, driver.hub.api_traffic, driver.hub.traffic)
    ] == [2, 1, 1]


def test_the_port_of_the_registry_can_be_chosen(ca: CertificateAuthority, driver: Driver) -> None:
    port = int(driver.hub.registry.rpartition(":")[2])
    driver.hub.stop()
    with running(ca, registry_port=port) as again:
        assert again.hub.registry == f"localhost:{port}"
        assert again.send("GET", f"https://localhost:{port}/v2/").status_code == 401
