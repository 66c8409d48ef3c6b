"""What ACR says about repositories, tags and manifests, as values.

Lists have a hundred thousand entries, so they are read straight from JSON into named tuples.
"""

import re
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from shared.errors import InvalidName, ProtocolViolation
from shared.oci.names import RepositoryName, TagName, parse_digest, parse_tag
from shared.retention.snapshot import ManifestRecord, TagRecord

_is_sha256: Final = re.compile(r"sha256:[a-f0-9]{64}").fullmatch
_from_iso: Final = datetime.fromisoformat
_shared: Final = sys.intern
"""Media types are few, and every one of a list would be a text of its own."""


class RepositoryAttributes(NamedTuple):
    """One repository; ``locked`` when deleting from it or writing to it is disabled."""

    name: RepositoryName
    created: datetime
    updated: datetime
    manifest_count: int
    tag_count: int
    delete_enabled: bool
    write_enabled: bool

    @property
    def locked(self) -> bool:
        """True when deleting or writing is disabled."""
        return not (self.delete_enabled and self.write_enabled)


class ManifestAttributes(NamedTuple):
    """One manifest, with the tags that are on it now."""

    record: ManifestRecord
    tags: tuple[TagName, ...]


def read_tags(items: list[Any], *, registry: str) -> Iterator[TagRecord]:
    """Yield the tags of a page.

    :raises ProtocolViolation: naming the field, when an entry is not what ACR documents.
    """
    item: Any = None
    try:
        for item in items:
            digest = item["digest"]
            first = item["createdTime"]
            last = item.get("lastUpdateTime") or first
            created = _from_iso(first)
            if created.tzinfo is None:
                created = created.replace(tzinfo=UTC)
            attributes = item.get("changeableAttributes")
            yield TagRecord(
                parse_tag(item["name"]),
                digest if _is_sha256(digest) else parse_digest(digest),
                created,
                created if last == first else read_time(last),
                attributes is not None and _is_locked(attributes),
            )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _unreadable("tag", item, error, registry) from error


def read_manifests(items: list[Any], *, registry: str) -> Iterator[ManifestAttributes]:
    """Yield the manifests of a page; ``tags`` is absent, not empty, where there are none.

    :raises ProtocolViolation: naming the field, when an entry is not what ACR documents.
    """
    item: Any = None
    try:
        for item in items:
            digest = item["digest"]
            first = item["createdTime"]
            last = item.get("lastUpdateTime") or first
            created = _from_iso(first)
            if created.tzinfo is None:
                created = created.replace(tzinfo=UTC)
            attributes = item.get("changeableAttributes")
            tags = item.get("tags")
            yield ManifestAttributes(
                ManifestRecord(
                    digest if _is_sha256(digest) else parse_digest(digest),
                    _shared(item.get("mediaType") or "") or None,
                    created,
                    created if last == first else read_time(last),
                    item.get("imageSize") or 0,
                    attributes is not None and _is_locked(attributes),
                ),
                tuple(map(parse_tag, tags)) if tags else (),
            )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _unreadable("manifest", item, error, registry) from error


def read_time(text: str) -> datetime:
    """Return the moment, aware; one without a zone is UTC, and seven digits of a second become six."""
    moment = _from_iso(text)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _is_locked(attributes: Mapping[str, Any]) -> bool:
    return attributes.get("deleteEnabled") is False or attributes.get("writeEnabled") is False


def _unreadable(kind: str, item: object, error: Exception, registry: str) -> ProtocolViolation:
    which = str(item.get("name") or item.get("digest")) if isinstance(item, dict) else repr(item)
    what = str(error) if isinstance(error, InvalidName) else f"{type(error).__name__}: {error}"
    return ProtocolViolation(
        f"the list has a {kind} {which[:140]} that cannot be read: {what}", registry=registry
    )
