"""What Docker Hub's API says about repositories and tags, as values.

Its documentation and its answers differ in places; both are read (Docker Hub API reference, "Tags").
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from shared.errors import ProtocolViolation
from shared.oci.names import Digest, RepositoryName, TagName, parse_digest, parse_repository, parse_tag


class HubRepository(NamedTuple):
    """One repository; ``updated`` is ``None`` when nothing was ever pushed."""

    name: RepositoryName
    private: bool
    registered: datetime | None
    updated: datetime | None
    size: int | None


class HubTag(NamedTuple):
    """One tag. ``digest`` is missing from older answers: the registry's HEAD knows it.

    ``pushed`` moves on each push, so for a replica it is when it was replicated. ``active`` is the Hub's word
    for pushed or pulled in the past month, ``None`` when it does not say.
    """

    name: TagName
    digest: Digest | None
    media_type: str | None
    pushed: datetime | None
    pulled: datetime | None
    size: int | None
    active: bool | None


class HubManifest(NamedTuple):
    """One manifest, tagged or not; ``size`` is that of everything it holds, as far as it is told."""

    digest: Digest
    media_type: str | None
    pushed: datetime | None
    size: int


def read_manifests(items: list[Any]) -> Iterator[HubManifest]:
    """Yield the manifests of a page.

    :raises ProtocolViolation: naming the entry that cannot be read.
    """
    for item in items:
        try:
            yield HubManifest(
                digest=parse_digest(item.get("manifest_digest") or item["digest"]),
                media_type=item.get("media_type") or None,
                pushed=_time(item.get("last_pushed")),
                size=int(item.get("size") or 0),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _unreadable("manifest", item, error) from error


def read_repositories(items: list[Any], *, namespace: str) -> Iterator[HubRepository]:
    """Yield the repositories of a page.

    :raises ProtocolViolation: naming the entry that cannot be read.
    """
    for item in items:
        try:
            yield read_repository(item, namespace=namespace)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _unreadable("repository", item, error) from error


def read_repository(item: Mapping[str, Any], *, namespace: str) -> HubRepository:
    """Return the repository that the entry is."""
    return HubRepository(
        name=parse_repository(f"{item.get('namespace') or namespace}/{item['name']}"),
        private=bool(item.get("is_private")),
        registered=_time(item.get("date_registered")),
        updated=_time(item.get("last_updated")),
        size=item.get("storage_size"),
    )


def read_tags(items: list[Any]) -> Iterator[HubTag]:
    """Yield the tags of a page.

    :raises ProtocolViolation: naming the entry that cannot be read.
    """
    for item in items:
        try:
            yield read_tag(item)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _unreadable("tag", item, error) from error


def read_tag(item: Mapping[str, Any]) -> HubTag:
    """Return the tag that the entry is; its status goes by two names."""
    digest = item.get("digest")
    status = item.get("tag_status") or item.get("status")
    return HubTag(
        name=parse_tag(item["name"]),
        digest=parse_digest(digest) if digest else None,
        media_type=item.get("media_type") or None,
        pushed=_time(item.get("tag_last_pushed") or item.get("last_updated")),
        pulled=_time(item.get("tag_last_pulled")),
        size=item.get("full_size"),
        active=status == "active" if isinstance(status, str) else None,
    )


def _time(text: str | None) -> datetime | None:
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _unreadable(kind: str, item: object, error: Exception) -> ProtocolViolation:
    which = str(item.get("name")) if isinstance(item, dict) else repr(item)
    return ProtocolViolation(
        f"the list has a {kind} {which[:140]!r} that cannot be read: {error}", registry="docker.io"
    )
