from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulators.certificates import CertificateAuthority
from emulators.dockerhub.accounts import Scope
from emulators.registry.images import build_image, build_index
from tests.emulators.dockerhub_driver import Driver, SteppingClock, running

REPOSITORIES = "/v2/namespaces/acme/repositories"
APP = f"{REPOSITORIES}/app"
LEGACY_APP = "/v2/repositories/acme/app"


@pytest.fixture(scope="module")
def ca() -> Iterator[CertificateAuthority]:
    with CertificateAuthority() as authority:
        yield authority


@pytest.fixture
def clock() -> SteppingClock:
    return SteppingClock()


@pytest.fixture
def driver(ca: CertificateAuthority, clock: SteppingClock) -> Iterator[Driver]:
    with running(ca, clock=clock) as driver:
        yield driver


def plant(driver: Driver, *tags: str, repository: str = "acme/app") -> None:
    image = build_image(seed=1)
    for tag in tags:
        image.push_to(driver.hub.state, repository, tag=tag)


def every_page(driver: Driver, path: str) -> Iterator[dict[str, Any]]:
    page = driver.api("GET", path).json()
    while True:
        yield page
        if page["next"] is None:
            return
        assert page["next"].startswith(f"{driver.hub.api_url}/")
        page = driver.api("GET", page["next"].removeprefix(driver.hub.api_url)).json()


def test_a_created_repository_is_public_unless_it_says_otherwise(driver: Driver) -> None:
    created = driver.api("POST", REPOSITORIES, json={"name": "app", "namespace": "acme"})
    private = driver.api("POST", REPOSITORIES, json={"name": "dark", "namespace": "acme", "is_private": True})

    assert (created.status_code, created.json()["is_private"]) == (201, False)
    assert created.json()["immutable_tags_settings"] == {"enabled": False, "rules": []}
    assert (private.status_code, private.json()["is_private"]) == (201, True)
    assert driver.api("HEAD", APP).status_code == 200
    assert driver.api("GET", APP).json()["permissions"] == {"read": True, "write": True, "admin": True}


def test_creating_a_repository_twice_is_a_conflict(driver: Driver) -> None:
    body = {"name": "app", "namespace": "acme"}
    assert [driver.api("POST", REPOSITORIES, json=body).status_code for _ in range(2)] == [201, 409]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "A"}, "name"),
        ({"name": "a"}, "name"),
        ({"name": "team/app"}, "name"),
        ({"name": None}, "name"),
        ({"namespace": "other"}, "namespace"),
        ({"description": "x" * 101}, "description"),
        ({"is_private": "yes"}, "is_private"),
    ],
)
def test_an_invalid_repository_names_its_field(driver: Driver, change: dict[str, object], field: str) -> None:
    refused = driver.api("POST", REPOSITORIES, json={"name": "app", "namespace": "acme", **change})
    assert refused.status_code == 400
    assert list(refused.json()["fields"]) == [field]


def test_a_deleted_repository_is_gone_at_both_doors(driver: Driver) -> None:
    plant(driver, "v1")
    assert driver.api("DELETE", f"{LEGACY_APP}/").status_code == 202
    assert driver.api("HEAD", APP).status_code == 404
    assert driver.registry("GET", "/v2/acme/app/manifests/v1").status_code == 404


def test_a_repository_that_was_deleted_comes_back_with_default_settings(driver: Driver) -> None:
    driver.api("POST", REPOSITORIES, json={"name": "app", "namespace": "acme", "is_private": True})
    driver.api("DELETE", f"{LEGACY_APP}/")
    plant(driver, "v1")
    assert driver.api("GET", APP).json()["is_private"] is False


def test_a_repository_that_left_the_state_takes_its_settings_along(driver: Driver) -> None:
    driver.hub.repository("acme/app").private = True
    driver.hub.state.delete_repository("acme/app")
    plant(driver, "v1")
    assert driver.api("GET", APP).json()["is_private"] is False


def test_repositories_are_listed_by_name_and_filtered(driver: Driver) -> None:
    for name in ("beta", "alpha", "gamma"):
        plant(driver, "v1", repository=f"acme/{name}")
    plant(driver, "v1", repository="other/alpha")

    def names(query: str, path: str = REPOSITORIES) -> list[str]:
        return [row["name"] for row in driver.api("GET", path + query).json()["results"]]

    assert names("") == ["alpha", "beta", "gamma"]
    assert names("?ordering=-name", "/v2/repositories/acme/") == ["gamma", "beta", "alpha"]
    assert names("?name=lph") == ["alpha"]
    assert driver.api("GET", f"{REPOSITORIES}?ordering=size").status_code == 400


def test_a_tag_is_described_as_real_answers_describe_it(driver: Driver, clock: SteppingClock) -> None:
    images = [build_image(platform="linux/amd64"), build_image(platform="linux/arm64/v8")]
    index = build_index(images)
    pushed = clock() - timedelta(days=3, microseconds=5)
    index.push_to(driver.hub.state, "acme/app", tag="latest", at=pushed)

    (tag,) = driver.api("GET", f"{APP}/tags").json()["results"]

    assert tag["name"] == "latest"
    assert tag["digest"] == index.digest
    assert tag["media_type"] == index.media_type
    assert tag["tag_last_pushed"] == "2026-02-26T11:59:59.999995Z"
    assert tag["tag_last_pulled"] is None
    assert tag["v2"] is True
    assert [
        (image["digest"], image["architecture"], image["os"], image["variant"]) for image in tag["images"]
    ] == [(images[0].digest, "amd64", "linux", None), (images[1].digest, "arm64", "linux", "v8")]
    assert tag["full_size"] == tag["images"][0]["size"] > 1024
    assert driver.api("GET", f"{APP}/tags/latest").json() == tag


def test_pulling_moves_the_counters_and_looking_does_not(driver: Driver, clock: SteppingClock) -> None:
    plant(driver, "v1")
    driver.registry("HEAD", "/v2/acme/app/manifests/v1")
    assert driver.api("GET", APP).json()["pull_count"] == 0

    driver.registry("GET", "/v2/acme/app/manifests/v1")
    assert driver.api("GET", APP).json()["pull_count"] == 1
    pulled = driver.api("GET", f"{APP}/tags/v1").json()["tag_last_pulled"]
    assert pulled == clock().strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def test_tags_are_listed_latest_push_first_in_pages_of_ten(driver: Driver, clock: SteppingClock) -> None:
    for number in range(12):
        clock.advance(1)
        plant(driver, f"v{number}")

    page = driver.api("GET", f"{APP}/tags").json()
    named = driver.api("GET", f"{APP}/tags?ordering=name&page_size=3").json()

    assert (page["count"], page["previous"]) == (12, None)
    assert [row["name"] for row in page["results"]] == [f"v{number}" for number in range(11, 1, -1)]
    assert [row["name"] for row in named["results"]] == ["v0", "v1", "v10"]


def test_a_page_is_never_larger_than_the_cap(ca: CertificateAuthority) -> None:
    with running(ca, page_cap=4) as driver:
        plant(driver, *(f"v{number}" for number in range(6)))
        page = driver.api("GET", f"{APP}/tags?page_size=100").json()
    assert (len(page["results"]), page["count"]) == (4, 6)


@pytest.mark.parametrize(
    ("query", "status"), [("page=2", 404), ("page=0", 400), ("page_size=x", 400), ("page=1", 200)]
)
def test_a_page_past_the_end_is_404_and_a_bad_one_400(driver: Driver, query: str, status: int) -> None:
    plant(driver, "v1")
    assert driver.api("GET", f"{APP}/tags?{query}").status_code == status


def test_following_next_sees_every_tag_once(ca: CertificateAuthority) -> None:
    with running(ca) as driver:

        @settings(max_examples=10, deadline=None)
        @given(count=st.integers(1, 30), size=st.integers(1, 12))
        def law(count: int, size: int) -> None:
            driver.hub.state.delete_repository("acme/app")
            tags = [f"v{number}" for number in range(count)]
            plant(driver, *tags)
            pages = list(every_page(driver, f"{APP}/tags?page_size={size}"))
            assert sorted(row["name"] for page in pages for row in page["results"]) == sorted(tags)
            assert len(pages) == -(-count // size)

        law()


def test_deleting_while_listing_shifts_the_pages(driver: Driver) -> None:
    plant(driver, *(f"v{number}" for number in range(6)))
    seen = []
    for page in every_page(driver, f"{APP}/tags?ordering=name&page_size=2"):
        for row in page["results"]:
            seen.append(row["name"])
            driver.api("DELETE", f"{LEGACY_APP}/tags/{row['name']}/")
        if (
            page["next"]
            and driver.api("HEAD", page["next"].removeprefix(driver.hub.api_url)).status_code == 404
        ):
            break
    assert seen == ["v0", "v1", "v4", "v5"]


@pytest.mark.parametrize("path", [f"{LEGACY_APP}/tags/v1/", f"{APP}/tags/v1"])
def test_deleting_a_tag_leaves_its_manifest_untagged(driver: Driver, path: str) -> None:
    plant(driver, "v1", "v2")

    assert driver.api("DELETE", path).status_code == 204
    assert driver.api("DELETE", path).status_code == 404
    assert driver.api("HEAD", f"{APP}/tags/v1").status_code == 404
    assert driver.api("HEAD", f"{APP}/tags/v2").status_code == 200
    driver.api("DELETE", f"{LEGACY_APP}/tags/v2/")

    (manifest,) = driver.api("GET", f"{APP}/manifests").json()["manifests"]
    assert manifest["tags"] == []
    assert driver.registry("HEAD", f"/v2/acme/app/manifests/{manifest['manifest_digest']}").status_code == 200


def test_manifests_are_listed_by_cursor(ca: CertificateAuthority) -> None:
    with running(ca, page_cap=2) as driver:
        digests = {build_image(seed=each).push_to(driver.hub.state, "acme/app") for each in range(5)}
        found, cursor = [], ""
        while cursor is not None:
            page = driver.api("GET", f"{APP}/manifests?last_evaluated_key={cursor}").json()
            found += [row["manifest_digest"] for row in page["manifests"]]
            cursor = page["last_evaluated_key"]
    assert len(found) == 5
    assert set(found) == digests


@pytest.mark.parametrize("scope", ["repo:read", "repo:write"])
def test_deleting_and_creating_need_the_highest_permission(driver: Driver, scope: Scope) -> None:
    plant(driver, "v1")
    driver.hub.add_account("worker", "dckr_pat_w", scope)
    with driver.signed_in_as("worker", "dckr_pat_w") as worker:
        assert worker.api("GET", f"{APP}/tags/v1").status_code == 200
        for refused in (
            worker.api("DELETE", f"{LEGACY_APP}/tags/v1/"),
            worker.api("DELETE", f"{LEGACY_APP}/"),
            worker.api("POST", REPOSITORIES, json={"name": "new", "namespace": "acme"}),
            worker.api("PATCH", f"{APP}/immutabletags", json={"immutable_tags": True}),
        ):
            assert refused.status_code == 403
            assert refused.json()["detail"] == "access denied: insufficient scope"
    assert driver.api("HEAD", f"{APP}/tags/v1").status_code == 200


def test_other_namespaces_and_nobody_may_not_write(driver: Driver) -> None:
    plant(driver, "v1", repository="other/app")
    stolen = driver.api("DELETE", "/v2/repositories/other/app/tags/v1/")
    with driver.signed_in_as("", "") as nobody:
        anonymous = nobody.api("DELETE", "/v2/repositories/other/app/tags/v1/")
    assert (stolen.status_code, stolen.json()) == (403, {"errinfo": None, "message": "permission denied"})
    assert (anonymous.status_code, anonymous.json()) == (401, {"errinfo": None, "message": "unauthorized"})


def test_a_public_read_token_sees_only_public_repositories(driver: Driver) -> None:
    plant(driver, "v1")
    plant(driver, "v1", repository="acme/dark")
    driver.hub.repository("acme/dark").private = True
    driver.hub.add_account("reader", "dckr_pat_r", "repo:public_read")
    with driver.signed_in_as("reader", "dckr_pat_r") as reader:
        assert reader.api("GET", f"{APP}/tags").status_code == 200
        assert reader.api("GET", f"{REPOSITORIES}/dark/tags").status_code == 404


def test_immutable_tags_are_set_and_verified_by_expression(driver: Driver) -> None:
    plant(driver, "v1", "v2", "latest")

    verified = driver.api("POST", f"{APP}/immutabletags/verify", json={"regex": "v.*"})
    changed = driver.api(
        "PATCH", f"{APP}/immutabletags", json={"immutable_tags": True, "immutable_tags_rules": ["v.*"]}
    )
    broken = driver.api("POST", f"{APP}/immutabletags/verify", json={"regex": "("})

    assert verified.json() == {"tags": ["v1", "v2"]}
    assert changed.json()["immutable_tags_settings"] == {"enabled": True, "rules": ["v.*"]}
    assert broken.status_code == 400


def test_what_was_removed_from_the_api_is_405(driver: Driver) -> None:
    assert driver.api("GET", f"{APP}/images").status_code == 405
    assert driver.api("GET", f"{APP}/images-summary").status_code == 405
    assert driver.api("POST", "/v2/namespaces/acme/delete-images").status_code == 405


def test_unknown_things_are_404_in_json(driver: Driver) -> None:
    assert driver.api("GET", f"{APP}/tags").json()["message"] == "object not found"
    assert driver.api("GET", "/v3/nothing").json() == {"errinfo": None, "message": "not found"}
    plant(driver, "v1")
    assert driver.api("GET", f"{APP}/tags/v9").json() == {
        "errinfo": None,
        "message": "tag 'v9' not found",
    }
