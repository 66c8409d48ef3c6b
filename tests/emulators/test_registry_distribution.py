from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import requests

from emulators.certificates import CertificateAuthority
from emulators.registry.distribution import Distribution
from emulators.registry.host import RegistryHost
from emulators.registry.images import build_image, build_index, build_referrer
from emulators.registry.records import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, digest_of
from emulators.registry.state import RegistryState
from emulators.server import Server


@dataclass
class OpenRegistry:
    """A registry without credentials: the engine and nothing else."""

    host: RegistryHost
    http: requests.Session
    url: str

    @property
    def state(self) -> RegistryState:
        return self.host.state

    def call(self, method: str, path: str, **options: object) -> requests.Response:
        url = path if path.startswith("https:") else self.url + path
        return self.http.request(method, url, **options)  # type: ignore[arg-type]


@pytest.fixture
def registry(ca: CertificateAuthority, http: requests.Session) -> Iterator[OpenRegistry]:
    host = RegistryHost(RegistryState())
    with Server(Distribution(host), ca=ca) as server:
        yield OpenRegistry(host=host, http=http, url=server.url)


def code(answer: requests.Response) -> str:
    return str(answer.json()["errors"][0]["code"])


def test_a_manifest_is_served_by_tag_and_digest_byte_for_byte(registry: OpenRegistry) -> None:
    image = build_image()
    image.push_to(registry.state, "team/app", tag="v1")
    for reference in ("v1", image.digest):
        for name in ("team/app", "team%2Fapp"):
            answer = registry.call("GET", f"/v2/{name}/manifests/{reference}")
            assert answer.content == image.content
            assert answer.headers["Docker-Content-Digest"] == image.digest
            assert answer.headers["Content-Type"] == OCI_MANIFEST
            assert answer.headers["ETag"] == f'"{image.digest}"'
    head = registry.call("HEAD", "/v2/team/app/manifests/v1")
    assert head.headers["Content-Length"] == str(len(image.content))
    assert head.content == b""


def test_a_client_that_does_not_accept_the_media_type_is_told_there_is_none(registry: OpenRegistry) -> None:
    build_image().push_to(registry.state, "app", tag="v1")
    answer = registry.call("GET", "/v2/app/manifests/v1", headers={"Accept": DOCKER_MANIFEST})
    assert (answer.status_code, code(answer)) == (404, "MANIFEST_UNKNOWN")
    several = {"Accept": f"{DOCKER_MANIFEST}, {OCI_MANIFEST}"}
    assert registry.call("GET", "/v2/app/manifests/v1", headers=several).status_code == 200


def test_an_image_is_pushed_by_upload_sessions_and_pulled_back(registry: OpenRegistry) -> None:
    image = build_image(layers=2)
    for digest, blob in image.blobs.items():
        opened = registry.call("POST", "/v2/app/blobs/uploads/")
        assert opened.status_code == 202
        location = opened.headers["Location"]
        assert location.startswith("/v2/app/blobs/uploads/")
        assert opened.headers["Range"] == "0-0"
        closed = registry.call("PUT", f"{location}&digest={digest}", data=blob)
        assert (closed.status_code, closed.headers["Docker-Content-Digest"]) == (201, digest)
        assert registry.call("GET", closed.headers["Location"]).content == blob
    pushed = registry.call(
        "PUT", "/v2/app/manifests/v1", data=image.content, headers={"Content-Type": OCI_MANIFEST}
    )
    assert (pushed.status_code, pushed.headers["Docker-Content-Digest"]) == (201, image.digest)
    assert pushed.headers["Location"] == f"/v2/app/manifests/{image.digest}"
    assert registry.call("GET", "/v2/app/manifests/v1").content == image.content


def test_chunks_move_the_location_and_an_old_one_is_unknown(registry: OpenRegistry) -> None:
    first = registry.call("POST", "/v2/app/blobs/uploads/").headers["Location"]
    patched = registry.call("PATCH", first, data=b"hello ", headers={"Content-Range": "0-5"})
    assert (patched.status_code, patched.headers["Range"]) == (202, "0-5")
    second = patched.headers["Location"]
    assert second != first
    stale = registry.call("PATCH", first, data=b"world")
    assert (stale.status_code, code(stale)) == (404, "BLOB_UPLOAD_UNKNOWN")
    forged = registry.call("PATCH", first.partition("?")[0] + "?_state=%C3%A9", data=b"world")
    assert (forged.status_code, code(forged)) == (404, "BLOB_UPLOAD_UNKNOWN")
    gap = registry.call("PATCH", second, data=b"world", headers={"Content-Range": "7-11"})
    assert (gap.status_code, gap.headers["Range"]) == (416, "0-5")
    status = registry.call("GET", gap.headers["Location"])
    assert (status.status_code, status.headers["Range"]) == (204, "0-5")
    last = registry.call("PATCH", status.headers["Location"], data=b"world")
    digest = digest_of(b"hello world")
    assert registry.call("PUT", f"{last.headers['Location']}&digest={digest}").status_code == 201
    assert registry.call("GET", f"/v2/app/blobs/{digest}").content == b"hello world"


def test_a_content_range_with_a_unit_or_a_wrong_length_is_refused(registry: OpenRegistry) -> None:
    location = registry.call("POST", "/v2/app/blobs/uploads/").headers["Location"]
    unit = registry.call("PATCH", location, data=b"abc", headers={"Content-Range": "bytes 0-2"})
    assert (unit.status_code, code(unit)) == (400, "BLOB_UPLOAD_INVALID")
    length = registry.call("PATCH", location, data=b"abc", headers={"Content-Range": "0-3"})
    assert (length.status_code, code(length)) == (400, "SIZE_INVALID")


def test_a_blob_that_is_not_its_digest_ends_the_session(registry: OpenRegistry) -> None:
    location = registry.call("POST", "/v2/app/blobs/uploads/").headers["Location"]
    wrong = registry.call("PUT", f"{location}&digest={digest_of(b'other')}", data=b"this")
    assert (wrong.status_code, code(wrong)) == (400, "DIGEST_INVALID")
    assert registry.call("GET", location).status_code == 404


def test_a_cancelled_session_is_gone(registry: OpenRegistry) -> None:
    location = registry.call("POST", "/v2/app/blobs/uploads/").headers["Location"]
    assert registry.call("DELETE", location).status_code == 204
    assert registry.call("PATCH", location, data=b"x").status_code == 404


def test_a_blob_is_mounted_when_the_source_has_it_and_else_a_session_opens(registry: OpenRegistry) -> None:
    digest = registry.state.put_blob("source", b"shared")
    path = f"/v2/target/blobs/uploads/?mount={digest}&from="
    missed = registry.call("POST", path + "elsewhere")
    assert missed.status_code == 202
    assert "Location" in missed.headers
    mounted = registry.call("POST", path + "source")
    assert (mounted.status_code, mounted.headers["Location"]) == (201, f"/v2/target/blobs/{digest}")
    assert registry.call("HEAD", f"/v2/target/blobs/{digest}").headers["Content-Length"] == "6"
    invalid = registry.call("POST", path + "demo.azurecr.io:443/app")
    assert (invalid.status_code, code(invalid)) == (400, "NAME_INVALID")


@pytest.mark.parametrize(
    ("asked", "status", "content", "content_range"),
    [
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=-2", 206, b"89", "bytes 8-9/10"),
        ("bytes=5-99", 206, b"56789", "bytes 5-9/10"),
        ("lines=1-2", 200, b"0123456789", None),
    ],
)
def test_blobs_are_served_by_range(
    registry: OpenRegistry, asked: str, status: int, content: bytes, content_range: str | None
) -> None:
    digest = registry.state.put_blob("app", b"0123456789")
    answer = registry.call("GET", f"/v2/app/blobs/{digest}", headers={"Range": asked})
    assert (answer.status_code, answer.content) == (status, content)
    assert answer.headers.get("Content-Range") == content_range


def test_a_range_behind_the_end_cannot_be_served(registry: OpenRegistry) -> None:
    digest = registry.state.put_blob("app", b"0123456789")
    answer = registry.call("GET", f"/v2/app/blobs/{digest}", headers={"Range": "bytes=10-"})
    assert (answer.status_code, answer.headers["Content-Range"]) == (416, "bytes */10")


def test_a_large_blob_arrives_whole(registry: OpenRegistry) -> None:
    content = bytes(range(256)) * 8192
    digest = registry.state.put_blob("app", content)
    assert registry.call("GET", f"/v2/app/blobs/{digest}").content == content


def test_a_manifest_whose_parts_are_missing_is_refused(registry: OpenRegistry) -> None:
    image = build_image()
    index = build_index([image])
    headers = {"Content-Type": OCI_MANIFEST}
    early = registry.call("PUT", "/v2/app/manifests/v1", data=image.content, headers=headers)
    assert (early.status_code, code(early)) == (400, "MANIFEST_BLOB_UNKNOWN")
    headers = {"Content-Type": OCI_INDEX}
    early = registry.call("PUT", "/v2/app/manifests/v1", data=index.content, headers=headers)
    assert early.json()["errors"][0]["detail"] == {"digest": image.digest}
    registry.host.validate_references = False
    late = registry.call("PUT", "/v2/app/manifests/v1", data=index.content, headers=headers)
    assert late.status_code == 201


def test_a_manifest_may_be_too_large_or_of_a_strange_type_or_under_a_wrong_name(
    registry: OpenRegistry,
) -> None:
    registry.host.validate_references = False
    content = build_image().content
    headers = {"Content-Type": OCI_MANIFEST}
    padded = content + b" " * (4 * 1024 * 1024 - len(content))
    put = "/v2/app/manifests/"
    assert registry.call("PUT", put + "v1", data=padded, headers=headers).status_code == 201
    assert registry.call("PUT", put + "v1", data=padded + b" ", headers=headers).status_code == 413
    schema1 = {"Content-Type": "application/vnd.docker.distribution.manifest.v1+prettyjws"}
    assert code(registry.call("PUT", put + "v1", data=content, headers=schema1)) == "MANIFEST_INVALID"
    wrong = registry.call("PUT", put + digest_of(b"x"), data=content, headers=headers)
    assert code(wrong) == "DIGEST_INVALID"
    assert code(registry.call("PUT", put + "-v1", data=content, headers=headers)) == "TAG_INVALID"
    assert code(registry.call("PUT", "/v2/UPPER/manifests/v1", data=content)) == "NAME_INVALID"


def test_a_manifest_is_deleted_by_digest_only(registry: OpenRegistry) -> None:
    image = build_image()
    image.push_to(registry.state, "app", tag="v1")
    assert registry.call("DELETE", "/v2/app/manifests/v1").status_code == 405
    assert registry.call("DELETE", f"/v2/app/manifests/{image.digest}").status_code == 202
    gone = registry.call("DELETE", f"/v2/app/manifests/{image.digest}")
    assert (gone.status_code, code(gone)) == (404, "MANIFEST_UNKNOWN")
    assert registry.call("GET", "/v2/app/manifests/v1").status_code == 404
    blob = next(iter(image.blobs))
    assert registry.call("DELETE", f"/v2/app/blobs/{blob}").status_code == 202
    assert code(registry.call("GET", f"/v2/app/blobs/{blob}")) == "BLOB_UNKNOWN"


def test_tags_and_catalog_are_paged_by_relative_links(registry: OpenRegistry) -> None:
    for tag in ("a", "b", "c"):
        build_image().push_to(registry.state, "one", tag=tag)
    build_image().push_to(registry.state, "two/x", tag="a")
    page = registry.call("GET", "/v2/one/tags/list?n=2")
    assert page.json() == {"name": "one", "tags": ["a", "b"]}
    assert page.headers["Link"] == '</v2/one/tags/list?last=b&n=2>; rel="next"'
    page = registry.call("GET", "/v2/one/tags/list?last=b&n=2")
    assert (page.json()["tags"], "Link" in page.headers) == (["c"], False)
    exact = registry.call("GET", "/v2/one/tags/list?n=3")
    assert "Link" not in exact.headers
    assert registry.call("GET", "/v2/_catalog?n=1").headers["Link"].startswith("</v2/_catalog?last=one&n=1")
    assert registry.call("GET", "/v2/_catalog?n=1&last=one").json() == {"repositories": ["two/x"]}
    assert code(registry.call("GET", "/v2/one/tags/list?n=-1")) == "PAGINATION_NUMBER_INVALID"
    assert code(registry.call("GET", "/v2/none/tags/list")) == "NAME_UNKNOWN"


@pytest.mark.parametrize("mode", ["none", "half", "full"])
def test_referrers_have_three_modes(registry: OpenRegistry, mode: str) -> None:
    registry.host.referrers = mode  # type: ignore[assignment]
    image = build_image()
    signature = build_referrer(image, artifact_type="application/vnd.example.sig", annotations={"k": "v"})
    image.push_to(registry.state, "app")
    for digest, blob in signature.blobs.items():
        registry.state.put_blob("app", blob, digest=digest)
    pushed = registry.call(
        "PUT",
        f"/v2/app/manifests/{signature.digest}",
        data=signature.content,
        headers={"Content-Type": OCI_MANIFEST},
    )
    assert pushed.headers.get("OCI-Subject") == (None if mode == "none" else image.digest)
    answer = registry.call("GET", f"/v2/app/referrers/{image.digest}")
    if mode != "full":
        assert answer.status_code == 404
        return
    assert answer.headers["Content-Type"] == OCI_INDEX
    described = signature.descriptor() | {
        "artifactType": "application/vnd.example.sig",
        "annotations": {"k": "v"},
    }
    assert answer.json()["manifests"] == [described]
    other = registry.call("GET", f"/v2/app/referrers/{image.digest}?artifactType=other")
    assert (other.json()["manifests"], other.headers["OCI-Filters-Applied"]) == ([], "artifactType")
    nobody = registry.call("GET", f"/v2/app/referrers/{digest_of(b'nobody')}")
    assert (nobody.status_code, nobody.json()["manifests"]) == (200, [])


def test_what_is_no_route_is_not_found_and_a_wrong_method_unsupported(registry: OpenRegistry) -> None:
    assert registry.call("GET", "/v2/").json() == {}
    assert registry.call("GET", "/v2/app/nothing").status_code == 404
    for path in ("manifests/v1", "tags/list", "blobs/uploads/x", f"blobs/{digest_of(b'')}"):
        assert code(registry.call("OPTIONS", f"/v2/app/{path}")) == "UNSUPPORTED"
