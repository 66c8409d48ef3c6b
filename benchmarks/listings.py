"""Synthetic repositories as ACR lists them: signed releases of several platforms, pull requests, orphans."""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final, NamedTuple

from shared.oci.graph import Edges
from shared.oci.media_types import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from shared.oci.names import Digest, LoginServer, RepositoryName
from shared.registry.acr_attributes import read_manifests, read_tags
from shared.retention.durations import Duration
from shared.retention.rules import KeepRule, Newest, Protection, RetentionPolicy, TagRule, UntaggedRule
from shared.retention.snapshot import ManifestRecord, RepositorySnapshot, TagRecord
from shared.selection import RepositorySelection, TagSelection, parse_glob

REGISTRY: Final = LoginServer("bench.azurecr.io")
_PAGE: Final = 1000
_FAMILY: Final = 10
_NOTHING: Final = Edges()
_SWITCHES: Final = {"deleteEnabled": True, "writeEnabled": True, "readEnabled": True, "listEnabled": True}

_EVERYWHERE: Final = RepositorySelection(repositories=(parse_glob("**", "repository"),))


def _tags(*globs: str) -> TagSelection:
    return TagSelection(globs=tuple(parse_glob(glob, "tag") for glob in globs))


POLICY: Final = RetentionPolicy(
    protections=(Protection(name="latest", repositories=_EVERYWHERE, tags=_tags("latest")),),
    keep_rules=(
        KeepRule(
            name="releases",
            repositories=_EVERYWHERE,
            tags=_tags("v*"),
            newest=Newest(count=20, order_by="semver"),
        ),
    ),
    tag_rules=(
        TagRule(
            name="old-releases",
            repositories=_EVERYWHERE,
            tags=_tags("v*"),
            older_than=Duration(timedelta(days=90), "90d"),
        ),
        TagRule(
            name="pull-requests",
            repositories=_EVERYWHERE,
            tags=_tags("pr-*"),
            older_than=Duration(timedelta(days=14), "14d"),
            newest=Newest(count=5),
        ),
    ),
    untagged_rules=(
        UntaggedRule(name="orphans", repositories=_EVERYWHERE, older_than=Duration(timedelta(days=7), "7d")),
    ),
)


class Page(NamedTuple):
    """What two requests for a page of manifests and of tags answer, and what the bodies say."""

    manifests: str
    tags: str
    edges: dict[Digest, Edges]


def list_repository(number: int, manifests: int, *, now: datetime) -> Iterator[Page]:
    """Yield the lists of a repository, a page at a time, always the same for the same numbers."""
    draft = _Draft()
    for family in range(manifests // _FAMILY):
        draft.add_family(f"{number}/{family}", family, now - timedelta(days=family * 97 % 400))
        if len(draft.manifests) >= _PAGE:
            yield draft.page()
            draft = _Draft()
    if draft.manifests:
        yield draft.page()


class _Draft:
    """A page in the making."""

    def __init__(self) -> None:
        self.manifests: list[dict[str, Any]] = []
        self._tags: list[dict[str, Any]] = []
        self._edges: dict[Digest, Edges] = {}

    def add_family(self, key: str, number: int, at: datetime) -> None:
        """Add a signed release of three platforms with an SBOM, a pull request, and three orphans."""

        def manifest(part: str, media_type: str, *names: str) -> Digest:
            digest = Digest(f"sha256:{sha256(f'{key}/{part}'.encode()).hexdigest()}")
            self.manifests.append(_manifest(digest, media_type, at, names))
            self._tags.extend(_tag(name, digest, at) for name in names)
            if media_type == OCI_MANIFEST:
                self._edges[digest] = _NOTHING
            return digest

        platforms = tuple(manifest(part, OCI_MANIFEST) for part in ("amd64", "arm64", "s390x"))
        release = [f"v1.{number // 10}.{number % 10}", *(["latest"] if number == 0 else [])]
        index = manifest("index", OCI_INDEX, *release)
        self._edges[index] = Edges(platforms)
        manifest("signature", OCI_MANIFEST, f"{index.replace(':', '-')}.sig")
        self._edges[manifest("sbom", OCI_MANIFEST)] = Edges((), index)
        manifest("request", DOCKER_MANIFEST, f"pr-{number}")
        for orphan in range(3):
            manifest(f"orphan{orphan}", DOCKER_MANIFEST)

    def page(self) -> Page:
        """Return the page as it is answered."""
        encode = json.JSONEncoder(separators=(",", ":")).encode
        head = {"registry": REGISTRY, "imageName": "bench"}
        manifests = encode({**head, "manifests": self.manifests})
        return Page(manifests, encode({**head, "tags": self._tags}), self._edges)


def _manifest(digest: Digest, media_type: str, at: datetime, names: Iterable[str]) -> dict[str, Any]:
    return {
        "digest": digest,
        "imageSize": 31_457_280,
        "createdTime": _time(at),
        "lastUpdateTime": _time(at),
        "architecture": "amd64",
        "os": "linux",
        "mediaType": media_type,
        "configMediaType": "application/vnd.oci.image.config.v1+json",
        **({"tags": list(names)} if names else {}),
        "changeableAttributes": _SWITCHES,
    }


def _tag(name: str, digest: Digest, at: datetime) -> dict[str, Any]:
    return {
        "name": name,
        "digest": digest,
        "createdTime": _time(at),
        "lastUpdateTime": _time(at),
        "signed": False,
        "changeableAttributes": _SWITCHES,
    }


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}.1234567Z"


class Reading:
    """A snapshot in the making, from pages that were parsed already."""

    def __init__(self, number: int) -> None:
        self._repository = RepositoryName(f"team/app{number}")
        self._manifests: list[ManifestRecord] = []
        self._tags: list[TagRecord] = []
        self._edges: dict[Digest, Edges] = {}

    def add(self, manifests: Any, tags: Any, edges: dict[Digest, Edges]) -> None:
        """Take the records of one page, as the client does."""
        found = read_manifests(manifests["manifests"], registry=REGISTRY)
        self._manifests.extend(each.record for each in found)
        self._tags.extend(read_tags(tags["tags"], registry=REGISTRY))
        self._edges.update(edges)

    def finish(self, *, now: datetime) -> RepositorySnapshot:
        """Return the snapshot."""
        return RepositorySnapshot(
            registry=REGISTRY,
            repository=self._repository,
            taken_at=now,
            tags=tuple(self._tags),
            manifests=tuple(self._manifests),
            edges=self._edges,
        )
