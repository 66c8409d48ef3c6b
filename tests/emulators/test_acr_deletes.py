from __future__ import annotations

from typing import Any

import pytest
import requests

from emulators.acr import AcrEmulator
from emulators.registry.images import Artifact, build_image, build_index
from emulators.registry.records import OCI_INDEX, OCI_MANIFEST
from tests.emulators.acr_caller import as_admin

LOCKED = {"writeEnabled": False, "deleteEnabled": False}


class Pushed:
    """A registry with one image behind two tags, and the calls that change it."""

    def __init__(self, acr: AcrEmulator, http: requests.Session) -> None:
        self.acr, self.http = acr, http
        self.image = build_image()
        for tag in ("v1", "v2"):
            self.image.push_to(acr.state, "app", tag=tag)
        self.events: list[dict[str, Any]] = []
        acr.subscribe(self.events.append)

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        return self.http.request(method, self.acr.url + path, auth=as_admin(self.acr), **options)

    def put(self, artifact: Artifact, reference: str) -> requests.Response:
        headers = {"Content-Type": artifact.media_type, "User-Agent": "docker/test"}
        return self.call("PUT", f"/v2/app/manifests/{reference}", data=artifact.content, headers=headers)

    def untag(self, tag: str) -> requests.Response:
        return self.call("DELETE", f"/acr/v1/app/_tags/{tag}")

    def delete(self) -> requests.Response:
        return self.call("DELETE", f"/v2/app/manifests/{self.image.digest}")

    def lock(self, path: str, **switches: bool) -> None:
        assert self.call("PATCH", f"/acr/v1/app{path}", json=switches).status_code == 200


@pytest.fixture
def pushed(acr: AcrEmulator, http: requests.Session) -> Pushed:
    return Pushed(acr, http)


def assert_locked(answer: requests.Response) -> None:
    assert answer.status_code == 405
    (error,) = answer.json()["errors"]
    assert (error["code"], error["detail"]) == ("REGISTRY_DISALLOWED_OPERATION", {})


def test_untagging_leaves_the_manifest_and_raises_no_event(pushed: Pushed) -> None:
    answer = pushed.untag("v1")
    assert (answer.status_code, answer.content) == (202, b"")
    assert answer.headers["X-Ms-Int-Docker-Content-Digest"] == pushed.image.digest
    assert answer.headers["X-Ms-Ratelimit-Remaining-Calls-Per-Second"] == "8.000000"
    assert pushed.call("GET", "/v2/app/manifests/v1").status_code == 404
    assert pushed.call("GET", "/v2/app/manifests/v2").status_code == 200
    assert pushed.untag("v1").json()["errors"][0]["code"] == "TAG_UNKNOWN"
    assert pushed.events == []


def test_deleting_a_manifest_takes_its_tags_and_says_so_without_one(pushed: Pushed) -> None:
    answer = pushed.delete()
    assert (answer.status_code, answer.content) == (202, b"")
    assert pushed.call("GET", "/v2/app/manifests/v2").status_code == 404
    assert pushed.delete().status_code == 404
    (event,) = pushed.events
    assert event["action"] == "delete"
    assert event["target"] == {
        "mediaType": OCI_MANIFEST,
        "digest": pushed.image.digest,
        "repository": "app",
    }
    assert event["request"]["method"] == "DELETE"


def test_deleting_a_repository_tells_what_went(pushed: Pushed) -> None:
    answer = pushed.call("DELETE", "/acr/v1/app")
    assert answer.status_code == 202
    assert answer.json() == {"manifestsDeleted": [pushed.image.digest], "tagsDeleted": ["v1", "v2"]}
    again = pushed.call("DELETE", "/acr/v1/app")
    assert (again.status_code, again.json()["errors"][0]["code"]) == (404, "NAME_UNKNOWN")
    assert [event["target"]["digest"] for event in pushed.events] == [pushed.image.digest]
    build_image().push_to(pushed.acr.state, "untagged")
    assert pushed.call("DELETE", "/acr/v1/untagged").json()["tagsDeleted"] is None


def test_each_manifest_of_a_push_raises_an_event_children_without_a_tag(pushed: Pushed) -> None:
    index = build_index([pushed.image])
    assert pushed.put(pushed.image, pushed.image.digest).status_code == 201
    assert pushed.put(index, "multi").status_code == 201
    child, parent = pushed.events
    assert "tag" not in child["target"]
    assert child["target"]["digest"] == pushed.image.digest
    size = len(index.content)
    assert parent["target"] == {
        "mediaType": OCI_INDEX,
        "size": size,
        "length": size,
        "digest": index.digest,
        "repository": "app",
        "tag": "multi",
    }
    assert parent["action"] == "push"
    assert parent["request"]["host"] == pushed.acr.login_server
    assert parent["request"]["useragent"] == "docker/test"
    assert child["id"] != parent["id"]


def test_a_locked_tag_neither_moves_nor_goes_but_its_manifest_does(pushed: Pushed) -> None:
    pushed.lock("/_tags/v1", **LOCKED)
    assert_locked(pushed.untag("v1"))
    assert_locked(pushed.put(pushed.image, "v1"))
    assert pushed.untag("v2").status_code == 202
    assert pushed.delete().status_code == 202


def test_a_tag_that_may_not_be_deleted_may_move(pushed: Pushed) -> None:
    pushed.lock("/_tags/v1", deleteEnabled=False)
    assert_locked(pushed.untag("v1"))
    index = build_index([pushed.image])
    assert pushed.put(index, "v1").status_code == 201


def test_a_tag_that_may_not_be_written_may_not_be_deleted_either(pushed: Pushed) -> None:
    pushed.lock("/_tags/v1", writeEnabled=False)
    assert_locked(pushed.untag("v1"))


@pytest.mark.parametrize("switch", ["writeEnabled", "deleteEnabled"])
def test_a_locked_manifest_stays_while_its_tags_may_go(pushed: Pushed, switch: str) -> None:
    pushed.lock(f"/_manifests/{pushed.image.digest}", **{switch: False})
    assert_locked(pushed.delete())
    assert pushed.untag("v1").status_code == 202
    expected = 405 if switch == "writeEnabled" else 201
    assert pushed.put(pushed.image, "v3").status_code == expected


def test_a_write_locked_repository_changes_in_nothing(pushed: Pushed) -> None:
    pushed.lock("", writeEnabled=False)
    assert_locked(pushed.untag("v1"))
    assert_locked(pushed.delete())
    assert_locked(pushed.put(build_index([pushed.image]), "new"))
    assert_locked(pushed.call("POST", "/v2/app/blobs/uploads/"))
    assert_locked(pushed.call("DELETE", "/acr/v1/app"))
    assert pushed.call("GET", "/v2/app/manifests/v1").status_code == 200


def test_a_delete_locked_repository_stays_and_its_images_may_change(pushed: Pushed) -> None:
    pushed.lock("", deleteEnabled=False)
    assert_locked(pushed.call("DELETE", "/acr/v1/app"))
    assert pushed.untag("v1").status_code == 202
    assert pushed.delete().status_code == 202


def test_one_locked_tag_holds_its_whole_repository(pushed: Pushed) -> None:
    pushed.lock("/_tags/v1", **LOCKED)
    assert_locked(pushed.call("DELETE", "/acr/v1/app"))


def test_reading_can_be_locked_and_everything_unlocked(pushed: Pushed) -> None:
    for path in ("", "/_tags/v1", f"/_manifests/{pushed.image.digest}"):
        pushed.lock(path, readEnabled=False, **LOCKED)
        assert_locked(pushed.call("GET", "/v2/app/manifests/v1"))
        pushed.lock(path, readEnabled=True, writeEnabled=True, deleteEnabled=True)
        assert pushed.call("GET", "/v2/app/manifests/v1").status_code == 200


def test_a_blob_comes_from_another_host_that_takes_no_token(pushed: Pushed) -> None:
    digest = next(iter(pushed.image.blobs))
    sent = pushed.call("GET", f"/v2/app/blobs/{digest}", allow_redirects=False)
    assert sent.status_code == 307
    location = sent.headers["Location"]
    assert location.startswith(f"https://{pushed.acr.storage_netloc}/")
    assert pushed.acr.storage_netloc != pushed.acr.login_server
    assert pushed.http.get(location).content == pushed.image.blobs[digest]
    forwarded = pushed.http.get(location, headers={"Authorization": "Bearer x"})
    assert (forwarded.status_code, "InvalidAuthenticationInfo" in forwarded.text) == (400, True)
    head = pushed.call("HEAD", f"/v2/app/blobs/{digest}")
    assert head.headers["Content-Length"] == str(len(pushed.image.blobs[digest]))
