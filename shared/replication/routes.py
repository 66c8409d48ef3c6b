"""Routes: which pushed tags go where, and whether two sources would end in one place."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from shared.errors import InvalidName
from shared.oci.names import LoginServer, Reference, RepositoryName
from shared.replication.templates import TagTemplate, TargetTemplate
from shared.selection import RepositorySelection, TagSelection

type OnDelete = Literal["keep", "mirror"]
type Visibility = Literal["private", "public"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Pushed tags of some repositories, and where each of them is to be, too.

    ``referrers`` takes signatures and SBOMs along. ``visibility`` is that of a repository which has to be
    made on the target. ``on_delete`` says whether tags that vanish at the source vanish on the target.
    ``platforms`` narrows indexes, empty for all; ``extra_tags`` are more names for each tag.
    """

    name: str
    source: RepositorySelection
    tags: TagSelection
    targets: tuple[TargetTemplate, ...]
    on_delete: OnDelete = "keep"
    referrers: bool = True
    visibility: Visibility = "private"
    platforms: tuple[str, ...] = ()
    extra_tags: tuple[TagTemplate, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicationPolicy:
    """The replication half of a policy document."""

    routes: tuple[Route, ...] = ()

    def route(self, name: str) -> Route | None:
        """Return the route of that name."""
        return next((route for route in self.routes if route.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicationTarget:
    """Where one pushed tag goes by one route."""

    route: str
    target: Reference
    referrers: bool = True
    visibility: Visibility = "private"
    on_delete: OnDelete = "keep"
    platforms: tuple[str, ...] = ()


class UnmappablePush(NamedTuple):
    """A pushed tag that a route takes but cannot name on the target; it stays until the policy changes."""

    route: str
    template: str
    reason: str


def route_push(source: Reference, policy: ReplicationPolicy) -> tuple[ReplicationTarget, ...]:
    """Return where the pushed tag goes, each place once; nowhere, when it has no tag.

    What a route takes but cannot name is not here: see :func:`unmappable`.
    """
    return map_push(source, policy)[0]


def unmappable(source: Reference, policy: ReplicationPolicy) -> tuple[UnmappablePush, ...]:
    """Return the targets that the pushed tag should have and cannot, each with the reason.

    What can be known when the policy is read was refused then; left are captured groups that make no
    repository name, names that become too long, and a tag that would be copied onto itself.
    """
    return map_push(source, policy)[1]


def map_push(
    source: Reference, policy: ReplicationPolicy
) -> tuple[tuple[ReplicationTarget, ...], tuple[UnmappablePush, ...]]:
    """Return where the pushed tag goes, and where it should go and cannot."""
    found: dict[Reference, ReplicationTarget] = {}
    nameless: dict[UnmappablePush, None] = {}
    for route, template, mapped in _mapped(source, policy.routes):
        if isinstance(mapped, str):
            nameless[UnmappablePush(route.name, str(template), mapped)] = None
        elif mapped not in found:
            found[mapped] = ReplicationTarget(
                route=route.name,
                target=mapped,
                referrers=route.referrers,
                visibility=route.visibility,
                on_delete=route.on_delete,
                platforms=route.platforms,
            )
    return tuple(found.values()), tuple(nameless)


def routes_repository(registry: LoginServer, repository: RepositoryName, policy: ReplicationPolicy) -> bool:
    """Tell whether any route takes tags from the repository."""
    return any(route.source.covers(registry, repository) for route in policy.routes)


def mirrors_repository(registry: LoginServer, repository: RepositoryName, policy: ReplicationPolicy) -> bool:
    """Tell whether tags that vanish from the repository vanish on a target."""
    return any(
        route.on_delete == "mirror" and route.source.covers(registry, repository) for route in policy.routes
    )


def _mapped(
    source: Reference, routes: Iterable[Route]
) -> Iterator[tuple[Route, TargetTemplate, Reference | str]]:
    if source.tag is None:
        return
    for route in routes:
        if not route.source.covers(source.registry, source.repository):
            continue
        groups = route.tags.match(source.tag)
        if groups is None:
            continue
        for template in route.targets:
            for tag in (_SAME_TAG, *route.extra_tags):
                yield route, template, _map(source, tag, template, groups)


def _map(
    source: Reference, tag: TagTemplate, template: TargetTemplate, groups: Mapping[str, str]
) -> Reference | str:
    try:
        repository = template.fill(source, groups)
        target = Reference(registry=template.registry, repository=repository, tag=tag.fill(source))
    except InvalidName as error:
        return str(error)
    if target == source:
        return f"{target} would be copied onto itself"
    return target


_SAME_TAG: Final = TagTemplate("{tag}")
