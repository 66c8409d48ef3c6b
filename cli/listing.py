"""Lists of repositories and tags, in the words of every kind of registry."""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from itertools import batched
from typing import Any, Final, NamedTuple

from cli.columns import Column, Columns
from cli.output import Output
from cli.places import parse_registry, parse_repository_place
from cli.registries import Registries
from cli.threads import threads
from cli.words import age, short, size
from shared.errors import AccessDenied, AuthenticationFailed, NotFound, OperationDisallowed
from shared.oci.names import DOCKER_HUB, LoginServer, Reference, RepositoryName, parse_repository
from shared.registry.acr import AcrClient

_AT_ONCE: Final = 16


class Listed(NamedTuple):
    """A repository, with ``None`` for what its registry does not say, or was not asked."""

    repository: RepositoryName
    tags: int | None = None
    manifests: int | None = None
    created: datetime | None = None
    updated: datetime | None = None
    size: int | None = None
    private: bool | None = None
    locked: bool | None = None


class ListedTag(NamedTuple):
    """A tag, with ``None`` for what its registry does not say."""

    tag: str
    digest: str | None = None
    created: datetime | None = None
    updated: datetime | None = None
    pulled: datetime | None = None
    size: int | None = None
    locked: bool | None = None
    media_type: str | None = None


def list_repositories(output: Output, registries: Registries, place: str, *, long: bool) -> int:
    """Print the repositories of the place, as they come."""
    registry, path = parse_registry(place)
    now = datetime.now(UTC)
    found = _repositories(registries, registry, path, long=long)
    if output.json:
        output.document({"registry": registry, "repositories": [_values(each) for each in found]})
        return 0
    hub = registries.kind(registry) == "dockerhub"
    columns: tuple[Column, ...] = (Column(title="REPOSITORY", shrinks=True, least=16),)
    if hub:
        columns += (Column(title="UPDATED"), Column(title="SIZE", right=True), Column(title="VISIBILITY"))
    elif long:
        columns += (
            Column(title="TAGS", right=True),
            Column(title="MANIFESTS", right=True),
            Column(title="UPDATED"),
            Column(title="LOCKED"),
        )
    table = Columns(output=output, columns=columns)
    for each in found:
        cells = [str(each.repository)]
        if hub:
            visible = "" if each.private is None else "private" if each.private else "public"
            cells += [age(each.updated, now), size(each.size), visible]
        elif long:
            cells += [_number(each.tags), _number(each.manifests), age(each.updated, now), _yes(each.locked)]
        table.add(*cells)
    table.flush()
    if not table.rows:
        output.note(f"no repositories in {place}, or none that you may see")
    return 0


def list_tags(output: Output, registries: Registries, place: str) -> int:
    """Print the tags of a repository, the first as soon as the first page is there."""
    reference = parse_repository_place(place)
    now = datetime.now(UTC)
    found = tags_of(registries, reference)
    if output.json:
        output.document(
            {
                "registry": reference.registry,
                "repository": reference.repository,
                "tags": [_values(each) for each in found],
            }
        )
        return 0
    kind = registries.kind(reference.registry)
    columns: tuple[Column, ...] = (Column(title="TAG", shrinks=True, least=12),)
    if kind != "oci":
        columns += (Column(title="DIGEST", shrinks=True, least=19), Column(title="UPDATED"))
        columns += (Column(title="LOCKED"),) if kind == "acr" else (Column(title="SIZE", right=True),)
    table = Columns(output=output, columns=columns)
    for each in found:
        cells = [short(each.tag) if output.terminal else each.tag]
        if kind != "oci":
            digest = each.digest or ""
            cells += [short(digest) if output.terminal else digest, age(each.updated, now)]
            cells.append(_yes(each.locked) if kind == "acr" else size(each.size))
        table.add(*cells)
    table.flush()
    if not table.rows:
        output.note(f"{place} has no tags; steward manifests {place} lists what is left")
    return 0


def tags_of(registries: Registries, reference: Reference) -> Iterator[ListedTag]:
    """Yield the tags of a repository.

    :raises NotFound: when it does not exist.
    """
    name = reference.repository
    if registries.kind(reference.registry) == "dockerhub":
        hub = registries.hub()
        if hub.find_repository(name) is None:
            raise NotFound(f"{name} does not exist, or is not yours to see", registry=reference.registry)
        for tag in hub.list_tags(name):
            yield ListedTag(
                tag.name,
                tag.digest,
                updated=tag.pushed,
                pulled=tag.pulled,
                size=tag.size,
                media_type=tag.media_type,
            )
        return
    client = registries.client(reference.registry)
    if isinstance(client, AcrClient):
        for record in client.list_tag_records(name):
            yield ListedTag(record.name, record.digest, record.created, record.updated, locked=record.locked)
        return
    for listed in client.repository(name).list_tags():
        yield ListedTag(listed)


def _repositories(
    registries: Registries, registry: LoginServer, path: str, *, long: bool
) -> Iterator[Listed]:
    if registry == DOCKER_HUB:
        namespace, slash, _ = path.partition("/")
        for found in registries.hub().list_repositories(namespace):
            if slash and found.name != path:
                continue
            yield Listed(
                found.name,
                created=found.registered,
                updated=found.updated,
                size=found.size,
                private=found.private,
            )
        return
    client = registries.client(registry)
    names = (
        name for name in client.list_repositories() if not path or name == path or name.startswith(f"{path}/")
    )
    if not long or not isinstance(client, AcrClient):
        yield from map(Listed, names)
        return
    with threads(_AT_ONCE) as pool:
        for some in batched(names, 2 * _AT_ONCE, strict=False):
            yield from pool.map(partial(_described, client), some)


def _described(client: AcrClient, name: RepositoryName) -> Listed:
    about = client.repository_attributes(name)
    return Listed(
        name,
        tags=about.tag_count,
        manifests=about.manifest_count,
        created=about.created,
        updated=about.updated,
        locked=about.locked,
    )


def _values(item: Listed | ListedTag) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in item._asdict().items()
    }


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _yes(value: bool | None) -> str:  # noqa: FBT001 - the value that is shown
    return "locked" if value else ""


def repositories_below(
    output: Output, registries: Registries, registry: LoginServer, path: str
) -> Iterator[RepositoryName]:
    """Yield the repository at the path and all below it; without a catalog, only the one at the path."""
    hub = registry == DOCKER_HUB
    if hub and "/" in path:
        yield parse_repository(path)
        return
    try:
        for found in _repositories(registries, registry, path, long=False):
            yield found.repository
    except (AccessDenied, AuthenticationFailed, NotFound, OperationDisallowed):
        if not path or hub:
            raise
        output.note(f"{registry} does not list its repositories: only {path} itself is looked at")
        yield parse_repository(path)
