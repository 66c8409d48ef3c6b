from datetime import UTC, datetime
from typing import Any

import pytest

from shared.errors import ProtocolViolation
from shared.registry.acr_attributes import read_manifests, read_tags, read_time

DIGEST = "sha256:" + "a" * 64
TAG: dict[str, Any] = {
    "name": "latest",
    "digest": DIGEST,
    "createdTime": "2023-02-19T00:34:01.9092933Z",
    "lastUpdateTime": "2023-02-20T00:34:01.9092933Z",
    "signed": False,
    "somethingNew": {"nested": []},
}
MANIFEST: dict[str, Any] = {"digest": DIGEST, "createdTime": "2023-02-19T00:34:01Z"}


def without(item: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name != key}


def test_seven_digits_of_a_second_become_six() -> None:
    assert read_time("2023-02-19T00:34:01.9092933Z") == datetime(2023, 2, 19, 0, 34, 1, 909293, tzinfo=UTC)


def test_a_time_without_a_zone_is_utc() -> None:
    assert read_time("2023-02-19T00:34:01").tzinfo is UTC


def test_a_tag_is_read_and_what_is_unknown_is_ignored() -> None:
    (tag,) = read_tags([TAG], registry="r")
    assert (tag.name, tag.digest, tag.locked) == ("latest", DIGEST, False)
    assert tag.updated.day - tag.created.day == 1


def test_a_manifest_may_say_very_little() -> None:
    (manifest,) = read_manifests([MANIFEST], registry="r")
    record = manifest.record
    assert (record.media_type, record.size, record.locked, manifest.tags) == (None, 0, False, ())
    assert record.updated == record.created


@pytest.mark.parametrize(
    ("attributes", "locked"),
    [
        ({"deleteEnabled": True, "writeEnabled": True}, False),
        ({"deleteEnabled": False, "writeEnabled": True}, True),
        ({"deleteEnabled": True, "writeEnabled": False}, True),
        ({"readEnabled": False, "listEnabled": False}, False),
        ({}, False),
        (None, False),
    ],
)
def test_deleting_or_writing_that_is_disabled_is_a_lock(attributes: Any, locked: bool) -> None:  # noqa: FBT001
    (tag,) = read_tags([TAG | {"changeableAttributes": attributes}], registry="r")
    (manifest,) = read_manifests([MANIFEST | {"changeableAttributes": attributes}], registry="r")
    assert (tag.locked, manifest.record.locked) == (locked, locked)


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (TAG | {"digest": "sha256:short"}, "latest that cannot be read: 'sha256:short': sha256 needs 64"),
        (TAG | {"name": "../etc"}, "../etc that cannot be read: '../etc' is not a tag"),
        (without(TAG, "createdTime"), "latest that cannot be read: KeyError: 'createdTime'"),
        (TAG | {"createdTime": "yesterday"}, "latest that cannot be read: ValueError"),
        (TAG | {"createdTime": None}, "latest that cannot be read: TypeError"),
        ("text", "'text' that cannot be read"),
        (None, "None that cannot be read"),
    ],
)
def test_a_tag_that_cannot_be_read_is_named(item: Any, message: str) -> None:
    with pytest.raises(ProtocolViolation) as caught:
        list(read_tags([item], registry="r"))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "item",
    [
        MANIFEST | {"digest": None},
        MANIFEST | {"tags": ["bad tag"]},
        MANIFEST | {"tags": 7},
        MANIFEST | {"changeableAttributes": []},
        without(MANIFEST, "digest"),
        [],
    ],
)
def test_a_manifest_that_cannot_be_read_is_refused(item: Any) -> None:
    with pytest.raises(ProtocolViolation, match="the list has a manifest"):
        list(read_manifests([item], registry="r"))
