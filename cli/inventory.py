"""All manifests of a repository: what each is, how big, how old, and who points at it."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from cli.cleanable import client_to_clean
from cli.columns import Column, Columns
from cli.listing import tags_of
from cli.output import Output
from cli.places import parse_repository_place
from cli.registries import Registries
from cli.threads import threads
from cli.words import age, bare, short, size
from shared.errors import InvalidManifest, NotFound
from shared.jobs.cleaned import CleanedRegistry
from shared.oci import media_types
from shared.oci.manifest import ImageIndex, Manifest, parse_manifest
from shared.oci.names import Digest, Reference, RepositoryName, TagName
from shared.registry.acr import AcrClient
from shared.registry.hub_replica import HubReplica
from shared.registry.repository import RepositoryClient

_THREADS: Final = 16
_ONLY_TAGGED: Final = "{} does not list its manifests: only those that tags point at are shown"


@dataclass(slots=True, kw_only=True)
class Item:
    """One manifest; ``None`` for what the registry does not say."""

    digest: Digest
    media_type: str | None = None
    platform: str | None = None
    size: int | None = None
    created: datetime | None = None
    updated: datetime | None = None
    locked: bool | None = None
    tags: list[str] = field(default_factory=list)
    held_by: list[Digest] = field(default_factory=list)
    subject: Digest | None = None

    @property
    def kind(self) -> str:
        """Return what it is in a word, the platform where that is known."""
        if media_types.is_index(self.media_type):
            return "index"
        if self.subject is not None:
            return "referrer"
        return self.platform or ("image" if media_types.is_image(self.media_type) else "artifact")

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "digest": self.digest,
            "media_type": self.media_type,
            "platform": self.platform,
            "size": self.size,
            "created": self.created and self.created.isoformat(),
            "updated": self.updated and self.updated.isoformat(),
            "locked": self.locked,
            "tags": self.tags,
            "held_by": self.held_by,
            "subject": self.subject,
        }


def list_manifests(output: Output, registries: Registries, place: str, *, untagged: bool) -> int:
    """Print the manifests of a repository."""
    reference = parse_repository_place(place)
    items = [item for item in _items(output, registries, reference) if not (untagged and item.tags)]
    if output.json:
        output.document(
            {
                "registry": reference.registry,
                "repository": reference.repository,
                "manifests": [item.to_json() for item in items],
            }
        )
        return 0
    now = datetime.now(UTC)
    words = short if output.terminal else str
    locks = not output.terminal or any(item.locked for item in items)
    table = Columns(
        output=output,
        columns=(
            Column(title="DIGEST", shrinks=True, least=19),
            Column(title="WHAT", shrinks=True, least=11),
            Column(title="SIZE", right=True),
            Column(title="UPDATED"),
            *((Column(title="LOCKED"),) if locks else ()),
            Column(title="TAGS", shrinks=True),
            Column(title="HELD BY", shrinks=True),
        ),
    )
    for item in items:
        holders = [*item.held_by, *([] if item.subject is None else [item.subject])]
        table.add(
            words(item.digest),
            item.kind,
            size(item.size or None) if item.kind == "index" else size(item.size),
            age(item.updated, now),
            *(("locked" if item.locked else "",) if locks else ()),
            words(", ".join(item.tags)),
            ", ".join(map(bare, holders)) if output.terminal else ", ".join(holders),
        )
    table.flush()
    if not items:
        output.note(f"{place} has no {'untagged ' if untagged else ''}manifests")
    return 0


def _items(output: Output, registries: Registries, reference: Reference) -> Iterable[Item]:
    name = reference.repository
    if registries.kind(reference.registry) == "oci":
        output.note(_ONLY_TAGGED.format("this registry"))
        repository = registries.client(reference.registry).repository(name)
        found: dict[Digest, Item] = {}
        for tag, item in _tagged(registries, repository, reference):
            found.setdefault(item.digest, item).tags.append(tag)
        return found.values()
    client = client_to_clean(registries, reference.registry, purpose="list manifests")
    if isinstance(client, HubReplica):
        if registries.hub().find_repository(name) is None:
            raise NotFound(f"{name} does not exist, or is not yours to see", registry=reference.registry)
        if not client.lists_all(name):
            output.note(_ONLY_TAGGED.format("Docker Hub"))
    return inventory(client, name)


def _tagged(
    registries: Registries, repository: RepositoryClient, reference: Reference
) -> Iterator[tuple[str, Item]]:
    """Yield each tag with what it points at, by asking for each; a tag that goes meanwhile is left out."""
    tags = [TagName(each.tag) for each in tags_of(registries, reference)]
    with threads(_THREADS) as pool:
        for tag, found in zip(tags, pool.map(repository.resolve, tags), strict=True):
            if found is not None:
                yield tag, Item(digest=found.digest, media_type=found.media_type)


def inventory(client: CleanedRegistry, name: RepositoryName) -> list[Item]:
    """Return every manifest of a repository, in the order in which its registry lists them."""
    repository = client.repository(name)
    has_locks = isinstance(client, AcrClient)
    if isinstance(client, AcrClient):
        client.expect([name], "metadata_read", "pull")
    items: dict[Digest, Item] = {}
    with threads(_THREADS) as pool:
        bodies = {}
        for listed in client.list_manifest_records(name):
            record = listed.record
            items[record.digest] = Item(
                digest=record.digest,
                media_type=record.media_type,
                size=record.size,
                created=record.created,
                updated=record.updated,
                locked=record.locked if has_locks else None,
                tags=list(listed.tags),
            )
            if media_types.may_point_at_manifests(record.media_type):
                bodies[record.digest] = pool.submit(_read, repository, record.digest)
        holders: defaultdict[Digest, list[Digest]] = defaultdict(list)
        for digest, future in bodies.items():
            _note_edges(items, holders, digest, future.result())
    for digest, found in holders.items():
        if digest in items:
            items[digest].held_by = sorted(found)
    return list(items.values())


def _note_edges(
    items: dict[Digest, Item],
    holders: defaultdict[Digest, list[Digest]],
    digest: Digest,
    manifest: Manifest | None,
) -> None:
    if manifest is None:
        return
    if manifest.subject is not None:
        items[digest].subject = manifest.subject.digest
    if isinstance(manifest, ImageIndex):
        for child in manifest.manifests:
            holders[child.digest].append(digest)
            if child.digest in items and child.platform is not None:
                items[child.digest].platform = str(child.platform)


def _read(repository: RepositoryClient, digest: Digest) -> Manifest | None:
    with suppress(NotFound, InvalidManifest):
        fetched = repository.fetch_manifest(digest)
        return parse_manifest(fetched.content, fetched.descriptor.media_type)
    return None
