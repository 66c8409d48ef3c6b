from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import requests

from emulators.acr import AcrEmulator
from emulators.registry.images import build_image, build_index
from emulators.registry.records import digest_of
from tests.emulators.acr_caller import as_admin, next_page
from tests.emulators.conftest import TurnedClock

ON = {"deleteEnabled": True, "writeEnabled": True, "readEnabled": True, "listEnabled": True}


@pytest.fixture
def dated(start_acr: Callable[..., AcrEmulator], clock: TurnedClock) -> AcrEmulator:
    """Nine tags t0 to t8, the higher the older, all in one repository of a registry with a stopped clock."""
    acr = start_acr(clock=clock)
    for age in range(9):
        build_image().push_to(acr.state, "team/app", tag=f"t{age}", at=clock.now - timedelta(days=age))
    return acr


def get(acr: AcrEmulator, http: requests.Session, path: str) -> requests.Response:
    return http.get(acr.url + path, auth=as_admin(acr))


def pages(acr: AcrEmulator, http: requests.Session, path: str, field: str) -> list[list[Any]]:
    found: list[list[Any]] = []
    following: str | None = path
    while following is not None:
        answer = get(acr, http, following)
        assert answer.status_code == 200, answer.text
        found.append(answer.json()[field])
        following = next_page(answer)
    return found


def test_the_catalog_is_paged_with_a_relative_link(acr: AcrEmulator, http: requests.Session) -> None:
    assert get(acr, http, "/acr/v1/_catalog").json() == {"repositories": None}
    for name in ("library/alpine", "library/busybox", "other"):
        acr.state.create_repository(name)
    first = get(acr, http, "/acr/v1/_catalog?n=2")
    assert first.json() == {"repositories": ["library/alpine", "library/busybox"]}
    link = '</acr/v1/_catalog?last=library%2Fbusybox&n=2&orderby=>; rel="next"'
    assert first.headers["Link"] == link
    assert pages(acr, http, "/v2/_catalog?n=1", "repositories") == [
        ["library/alpine"],
        ["library/busybox"],
        ["other"],
    ]


def test_a_repository_counts_what_it_has(dated: AcrEmulator, http: requests.Session) -> None:
    for name in ("team/app", "team%2Fapp"):
        found = get(dated, http, f"/acr/v1/{name}").json()
        assert found == {
            "registry": dated.login_server,
            "imageName": "team/app",
            "createdTime": "2026-03-01T12:00:00.1234566Z",
            "lastUpdateTime": "2026-03-01T12:00:00.1234566Z",
            "manifestCount": 9,
            "tagCount": 9,
            "changeableAttributes": ON,
        }


def test_tags_come_by_name_or_by_time_and_page_by_page(dated: AcrEmulator, http: requests.Session) -> None:
    def names(query: str) -> list[list[str]]:
        found = pages(dated, http, f"/acr/v1/team%2Fapp/_tags?{query}", "tags")
        return [[tag["name"] for tag in page] for page in found]

    by_name = [f"t{age}" for age in range(9)]
    assert names("") == [by_name]
    assert names("n=4") == [by_name[:4], by_name[4:8], by_name[8:]]
    assert names("n=9&orderby=timedesc") == [by_name]
    assert names("n=6&orderby=timeasc") == [by_name[:2:-1], by_name[2::-1]]


def test_a_tag_has_the_fields_of_the_service(dated: AcrEmulator, http: requests.Session) -> None:
    listed = get(dated, http, "/acr/v1/team/app/_tags?n=1").json()["tags"][0]
    single = get(dated, http, "/acr/v1/team/app/_tags/t0").json()
    assert single == {"registry": dated.login_server, "imageName": "team/app", "tag": listed}
    assert listed.keys() == {
        "name",
        "digest",
        "createdTime",
        "lastUpdateTime",
        "signed",
        "changeableAttributes",
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z", listed["lastUpdateTime"])


def test_tags_can_be_asked_for_by_digest(dated: AcrEmulator, http: requests.Session) -> None:
    home = dated.state.repository("team/app")
    assert home is not None
    manifest = home.manifests[home.tags["t3"].digest]
    dated.state.put_manifest("team/app", manifest.content, manifest.media_type, tag="also")
    path = f"/acr/v1/team/app/_tags?n=1&digest={manifest.digest}"
    assert [[tag["name"] for tag in page] for page in pages(dated, http, path, "tags")] == [["also"], ["t3"]]
    nothing = get(dated, http, f"/acr/v1/team/app/_tags?digest={digest_of(b'')}")
    assert nothing.json()["tags"] == []


def test_manifests_come_by_digest_and_lose_tags_not_to_nothing(
    acr: AcrEmulator, http: requests.Session
) -> None:
    image = build_image(platform="linux/arm64", docker=True)
    index = build_index([image], docker=True)
    index.push_to(acr.state, "app", tag="v1")
    found = {each["digest"]: each for each in get(acr, http, "/acr/v1/app/_manifests").json()["manifests"]}
    assert list(found) == sorted(found)
    child, parent = found[image.digest], found[index.digest]
    assert (child["architecture"], child["os"]) == ("arm64", "linux")
    assert child["configMediaType"] == "application/vnd.docker.container.image.v1+json"
    assert child["imageSize"] == sum(map(len, image.blobs.values()))
    assert "tags" not in child
    assert parent["tags"] == ["v1"]
    assert not {"architecture", "os", "configMediaType", "references"} & parent.keys()
    single = get(acr, http, f"/acr/v1/app/_manifests/{index.digest}").json()["manifest"]
    references = [{"digest": image.digest, "architecture": "arm64", "os": "linux"}]
    assert single == parent | {"references": references}
    assert "references" not in get(acr, http, f"/acr/v1/app/_manifests/{image.digest}").json()["manifest"]


def test_manifests_are_paged_behind_an_encoded_digest(dated: AcrEmulator, http: requests.Session) -> None:
    first = get(dated, http, "/acr/v1/team/app/_manifests?n=5&orderby=timeasc")
    assert "last=sha256%3A" in first.headers["Link"]
    assert "orderby=timeasc" in first.headers["Link"]
    listed = pages(dated, http, "/acr/v1/team/app/_manifests?n=5&orderby=timeasc", "manifests")
    times = [each["lastUpdateTime"] for page in listed for each in page]
    assert times == sorted(times)
    assert [len(page) for page in listed] == [5, 4]


def test_a_page_has_a_default_size_and_a_largest(
    start_acr: Callable[..., AcrEmulator], http: requests.Session
) -> None:
    acr = start_acr(page_cap=120)
    image = build_image()
    for number in range(121):
        image.push_to(acr.state, "app", tag=f"t{number}")
    sizes = [len(page) for page in pages(acr, http, "/acr/v1/app/_tags", "tags")]
    assert sizes == [100, 21]
    sizes = [len(page) for page in pages(acr, http, "/acr/v1/app/_tags?n=5000", "tags")]
    assert sizes == [120, 1]


def test_a_patch_changes_a_subset_and_no_time(dated: AcrEmulator, http: requests.Session) -> None:
    home = dated.state.repository("team/app")
    assert home is not None
    digest = home.tags["t1"].digest
    for path, field in [
        ("/acr/v1/team/app", None),
        ("/acr/v1/team/app/_tags/t1", "tag"),
        (f"/acr/v1/team/app/_manifests/{digest}", "manifest"),
    ]:
        before = get(dated, http, path).json()
        answer = http.patch(dated.url + path, json={"writeEnabled": False}, auth=as_admin(dated))
        assert answer.status_code == 200
        shown = answer.json() if field is None else answer.json()[field]
        assert shown["changeableAttributes"] == ON | {"writeEnabled": False}
        assert answer.json() == get(dated, http, path).json()
        old = before if field is None else before[field]
        assert {**shown, "changeableAttributes": ON} == old


def test_a_patch_may_set_a_quarantine_on_a_manifest(dated: AcrEmulator, http: requests.Session) -> None:
    home = dated.state.repository("team/app")
    assert home is not None
    path = f"{dated.url}/acr/v1/team/app/_manifests/{home.tags['t1'].digest}"
    answer = http.patch(path, json={"quarantineState": "Passed"}, auth=as_admin(dated))
    assert answer.json()["manifest"]["changeableAttributes"]["quarantineState"] == "Passed"


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"writeEnabled":"no"}', b'{"frozen":true}'])
def test_a_patch_that_makes_no_sense_is_refused(
    dated: AcrEmulator, http: requests.Session, body: bytes
) -> None:
    answer = http.patch(f"{dated.url}/acr/v1/team/app", data=body, auth=as_admin(dated))
    assert answer.status_code == 400


def test_what_is_not_there_has_its_own_words(dated: AcrEmulator, http: requests.Session) -> None:
    digest = digest_of(b"")
    for path, expected in [
        ("/acr/v1/none", {"code": "NAME_UNKNOWN", "message": 'repository "none" is not found'}),
        ("/acr/v1/none/_tags", {"code": "NAME_UNKNOWN", "message": 'repository "none" is not found'}),
        (
            "/acr/v1/team/app/_tags/none",
            {"code": "TAG_UNKNOWN", "message": "the specified tag does not exist"},
        ),
        (
            f"/acr/v1/team/app/_manifests/{digest}",
            {"code": "MANIFEST_UNKNOWN", "message": f"manifest {digest} is not found"},
        ),
        (
            "/v2/team/app/manifests/1.1.2",
            {
                "code": "MANIFEST_UNKNOWN",
                "message": 'manifest tagged by "1.1.2" is not found',
                "detail": {"Tag": "1.1.2"},
            },
        ),
    ]:
        answer = get(dated, http, path)
        assert answer.status_code == 404
        assert answer.json() == {"errors": [expected]}


def test_what_is_hidden_is_not_listed_and_still_there(dated: AcrEmulator, http: requests.Session) -> None:
    hidden = {"listEnabled": False}
    http.patch(f"{dated.url}/acr/v1/team/app/_tags/t1", json=hidden, auth=as_admin(dated))
    listed = get(dated, http, "/acr/v1/team/app/_tags").json()["tags"]
    assert "t1" not in [tag["name"] for tag in listed]
    assert "t1" not in get(dated, http, "/v2/team/app/tags/list").json()["tags"]
    assert get(dated, http, "/acr/v1/team/app/_tags/t1").status_code == 200
    http.patch(f"{dated.url}/acr/v1/team/app", json=hidden, auth=as_admin(dated))
    assert get(dated, http, "/acr/v1/_catalog").json()["repositories"] is None


def test_readers_are_late_by_the_lag(
    start_acr: Callable[..., AcrEmulator], http: requests.Session, clock: TurnedClock
) -> None:
    acr = start_acr(clock=clock, read_lag=3)
    build_image().push_to(acr.state, "app", tag="v1")
    assert get(acr, http, "/v2/app/manifests/v1").status_code == 404
    assert get(acr, http, "/acr/v1/app").status_code == 404
    clock.turn(3)
    assert get(acr, http, "/v2/app/manifests/v1").status_code == 200
    assert http.delete(f"{acr.url}/acr/v1/app/_tags/v1", auth=as_admin(acr)).status_code == 202
    assert get(acr, http, "/acr/v1/app/_tags/v1").status_code == 200
    assert http.delete(f"{acr.url}/acr/v1/app/_tags/v1", auth=as_admin(acr)).status_code == 404
    clock.turn(3)
    assert get(acr, http, "/acr/v1/app/_tags/v1").status_code == 404
