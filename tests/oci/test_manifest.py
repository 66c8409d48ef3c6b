import hashlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import InvalidManifest
from shared.oci import media_types
from shared.oci.manifest import (
    MAX_INDEX_ENTRIES,
    MAX_MANIFEST_BYTES,
    ArtifactManifest,
    ImageIndex,
    ImageManifest,
    digest_of,
    parse_manifest,
    successors,
)


def descriptor(name: str, media_type: str = media_types.OCI_LAYER, **more: Any) -> dict[str, Any]:
    digest = f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"
    return {"mediaType": media_type, "digest": digest, "size": 7, **more}


def image(**changes: Any) -> dict[str, Any]:
    return {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_MANIFEST,
        "config": descriptor("config", media_types.OCI_CONFIG),
        "layers": [descriptor("one"), descriptor("two")],
        **changes,
    }


def index(**changes: Any) -> dict[str, Any]:
    return {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_INDEX,
        "manifests": [descriptor("child", media_types.OCI_MANIFEST)],
        **changes,
    }


def parsed(body: object, media_type: str | None = None) -> Any:
    return parse_manifest(json.dumps(body).encode(), media_type)


def test_an_image_points_at_its_config_and_layers() -> None:
    manifest = parsed(image())
    assert isinstance(manifest, ImageManifest)
    assert [found.digest for found in successors(manifest)] == [
        descriptor(name)["digest"] for name in ("config", "one", "two")
    ]


def test_an_index_points_at_its_manifests() -> None:
    platform = {"os": "linux", "architecture": "arm", "variant": "v7"}
    manifest = parsed(index(manifests=[descriptor("child", media_types.OCI_MANIFEST, platform=platform)]))
    assert isinstance(manifest, ImageIndex)
    assert [str(found.platform) for found in successors(manifest)] == ["linux/arm/v7"]


def test_a_subject_is_known_but_is_no_successor() -> None:
    subject = descriptor("subject", media_types.OCI_MANIFEST)
    for body in (image(subject=subject), index(subject=subject)):
        manifest = parsed(body)
        assert manifest.subject.digest == subject["digest"]
        assert subject["digest"] not in [found.digest for found in successors(manifest)]


@pytest.mark.parametrize("media_type", sorted(media_types.ARTIFACTS))
def test_artifact_manifests_point_at_blobs(media_type: str) -> None:
    body = {"mediaType": media_type, "blobs": [descriptor("sbom")], "subject": descriptor("subject")}
    manifest = parsed(body)
    assert isinstance(manifest, ArtifactManifest)
    assert len(successors(manifest)) == 1


def test_without_any_media_type_the_shape_decides() -> None:
    body = image()
    del body["mediaType"]
    assert parsed(body).media_type == media_types.OCI_MANIFEST
    body = index()
    del body["mediaType"]
    assert parsed(body).media_type == media_types.OCI_INDEX


def test_what_the_registry_announced_decides_where_the_body_says_nothing() -> None:
    body = image()
    del body["mediaType"]
    assert (
        parsed(body, f"{media_types.DOCKER_MANIFEST}; charset=utf-8").media_type
        == media_types.DOCKER_MANIFEST
    )


def test_an_index_with_null_for_its_list_is_empty() -> None:
    assert successors(parsed(index(manifests=None))) == ()


@pytest.mark.parametrize(
    ("body", "media_type", "message"),
    [
        ([], None, "a JSON list, expected an object"),
        (image(), media_types.OCI_INDEX, "but the registry serves it as"),
        (image(manifests=[]), None, "can be read as two things"),
        (index(layers=[]), None, "can be read as two things"),
        ({"schemaVersion": 1}, None, "schema 1"),
        ({"schemaVersion": 2}, None, "neither manifests nor config"),
        (image(), media_types.DOCKER_SCHEMA_1_SIGNED, "schema 1"),
        (image(mediaType="text/plain"), None, "is no manifest that is understood"),
        ({"mediaType": media_types.OCI_MANIFEST, "layers": []}, None, "config: missing"),
        (image(layers={}), None, "layers: dict, expected a list"),
        (image(layers=[1]), None, r"layers\[0\]: int, expected an object"),
        (image(layers=[descriptor("x", size=-1)]), None, r"layers\[0\].size"),
        (image(layers=[descriptor("x", size=True)]), None, r"layers\[0\].size"),
        (image(layers=[descriptor("x", digest="sha256:x")]), None, r"layers\[0\].digest"),
        (image(layers=[descriptor("x", digest=1)]), None, r"layers\[0\].digest"),
        (image(layers=[descriptor("x", mediaType="")]), None, r"layers\[0\].mediaType"),
        (image(layers=[descriptor("x", urls=[1])]), None, r"layers\[0\].urls"),
        (image(subject=1), None, "subject: int"),
        (image(annotations={"a": 1}), None, "annotations"),
        (image(artifactType=1), None, "artifactType"),
    ],
)
def test_the_field_that_is_wrong_is_named(body: object, media_type: str | None, message: str) -> None:
    with pytest.raises(InvalidManifest, match=message):
        parsed(body, media_type)


def test_a_manifest_has_a_greatest_size() -> None:
    with pytest.raises(InvalidManifest, match="the most that is read"):
        parse_manifest(b" " * (MAX_MANIFEST_BYTES + 1))
    children = [descriptor("child")] * (MAX_INDEX_ENTRIES + 1)
    with pytest.raises(InvalidManifest, match="entries"):
        parsed(index(manifests=children))


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(InvalidManifest):
        parse_manifest(b"[" * 100_000)


def test_a_digest_is_that_of_the_bytes() -> None:
    assert digest_of(b"") == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@given(st.binary(), st.none() | st.sampled_from(sorted(media_types.MANIFESTS)))
def test_any_bytes_are_a_manifest_or_an_invalid_one(content: bytes, media_type: str | None) -> None:
    with pytest.raises(InvalidManifest):
        parse_manifest(content, media_type)


_LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 2),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from([*sorted(media_types.MANIFESTS), media_types.DOCKER_SCHEMA_1, "sha256:" + "a" * 64]),
)
_KEYS = st.sampled_from(
    [
        "schemaVersion",
        "mediaType",
        "config",
        "layers",
        "manifests",
        "blobs",
        "subject",
        "digest",
        "size",
        "urls",
        "platform",
        "os",
        "architecture",
        "annotations",
        "artifactType",
    ]
)
_JSON = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=6),
    max_leaves=20,
)
_DESCRIPTORS = st.fixed_dictionaries(
    {}, optional={"mediaType": _LEAVES, "digest": _LEAVES, "size": _LEAVES, "urls": _JSON, "platform": _JSON}
) | st.just(descriptor("fine"))


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "schemaVersion": _LEAVES,
            "mediaType": _LEAVES,
            "config": _DESCRIPTORS | _JSON,
            "layers": st.lists(_DESCRIPTORS, max_size=2) | _JSON,
            "manifests": st.lists(_DESCRIPTORS, max_size=2) | _JSON,
            "blobs": st.lists(_DESCRIPTORS, max_size=2) | _JSON,
            "subject": _DESCRIPTORS | _JSON,
            "annotations": _JSON,
            "artifactType": _LEAVES,
        },
    )
    | _JSON,
    st.none() | st.sampled_from(sorted(media_types.MANIFESTS)),
)
@settings(max_examples=300, deadline=None)
def test_any_json_is_a_manifest_or_an_invalid_one(body: object, media_type: str | None) -> None:
    try:
        manifest = parsed(body, media_type)
    except InvalidManifest:
        return
    assert all(found.digest.startswith("sha") for found in successors(manifest))


@given(st.integers(0, 3), st.booleans())
def test_a_well_formed_image_is_read(layers: int, signed: bool) -> None:  # noqa: FBT001
    body = image(layers=[descriptor(str(number)) for number in range(layers)])
    if signed:
        body["subject"] = descriptor("subject", media_types.OCI_MANIFEST)
    manifest = parsed(body)
    assert len(successors(manifest)) == layers + 1
    assert (manifest.subject is not None) == signed


@pytest.mark.parametrize(
    ("media_type", "expected"),
    [
        (media_types.OCI_INDEX, True),
        (media_types.OCI_MANIFEST, True),
        (None, True),
        ("text/plain", True),
        (media_types.DOCKER_MANIFEST, False),
        (media_types.DOCKER_SCHEMA_1_SIGNED, False),
    ],
)
def test_only_bodies_that_can_say_nothing_are_not_read(media_type: str | None, expected: bool) -> None:  # noqa: FBT001
    assert media_types.may_point_at_manifests(media_type) is expected


def test_layers_that_stay_where_they_are_are_known() -> None:
    assert media_types.is_not_distributable("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip")
    assert media_types.is_not_distributable("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip")
    assert not media_types.is_not_distributable(media_types.OCI_LAYER)
