"""Two sources that would take turns in overwriting one target: found before anything is copied."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain, product
from typing import Final, NamedTuple

from shared.oci.names import LoginServer, Reference, RepositoryName, TagName
from shared.replication.routes import ReplicationPolicy, Route, route_push
from shared.selection import Glob

_BOUND: Final = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9}){0,2}")
_SOME_TAGS: Final = ("latest", "main", "v1.0.0", "1.0.0", "1.0", "1", "pr-1", "dev")


class Collision(NamedTuple):
    """Two different sources with one target."""

    target: Reference
    first: Reference
    second: Reference

    def __str__(self) -> str:
        """Read as a sentence that names both, with their registries where these differ."""
        if replace(self.first, tag=None) == replace(self.second, tag=None):
            return (
                f"{self.first} and {self.second} would both become {self.target}: "
                "leave what extra_tags make out of the route, by exclude_tags"
            )
        names = [str(replace(source, tag=None)) for source in (self.first, self.second)]
        if self.first.registry == self.second.registry:
            names = [self.first.repository, self.second.repository]
        return (
            f"{names[0]} and {names[1]} would both become {replace(self.target, tag=None)}: "
            "narrow the repositories, or use {flattened}, {repository} or {registry_name}"
        )


def find_collision(sources: Iterable[Reference], policy: ReplicationPolicy) -> Collision | None:
    """Return the first two of the tagged sources that have a target in common, or ``None``."""
    return _first_collision((source, policy) for source in sources)


def find_possible_collision(policy: ReplicationPolicy) -> Collision | None:
    """Return two sources that the patterns allow and the templates do not tell apart, or ``None``.

    Patterns are tried on specimens: a literal is its own, ``*`` is two names and ``**`` two depths, so a
    template that drops what they stand for shows it. What only a catalog can show, such as ``a/b-c`` and
    ``a-b/c`` flattened, is left to :func:`find_collision`.
    """
    tags = list(
        dict.fromkeys(
            chain(
                (name for route in policy.routes for glob in route.tags.globs for name in _specimens(glob)),
                (
                    name
                    for route in policy.routes
                    for each in route.tags.expressions
                    for name in _versions(each.text)
                ),
                _SOME_TAGS,
            )
        )
    )
    return _first_collision(
        (source, ReplicationPolicy(routes=(route,)))
        for route in policy.routes
        for source in _sources(route, [*tags, *_made(route, tags)])
    )


def _first_collision(sources: Iterable[tuple[Reference, ReplicationPolicy]]) -> Collision | None:
    taken: dict[Reference, Reference] = {}
    for source, policy in sources:
        for routed in route_push(source, policy):
            first = taken.setdefault(routed.target, source)
            if first != source:
                return Collision(routed.target, first, source)
    return None


def _versions(text: str) -> Iterator[str]:
    """Yield versions that a range of them may hold, made from the bounds in its text."""
    for bound in _BOUND.findall(text):
        major, minor, patch = (*bound.split("."), "0", "0")[:3]
        yield f"{major}.{minor}.{patch}"
        yield f"{major}.{minor}.{int(patch) + 1}"


def _made(route: Route, tags: Iterable[str]) -> list[str]:
    """Return the names that the route makes of tags: each might also be the name of a source's tag."""
    return [extra.text.replace("{tag}", tag) for extra in route.extra_tags for tag in tags]


def _sources(route: Route, tags: Iterable[str]) -> Iterator[Reference]:
    registries = [next(_specimens(glob), "") for glob in route.source.registries] or ["registry.example"]
    repositories = dict.fromkeys(name for glob in route.source.repositories for name in _specimens(glob))
    for registry, repository, tag in product(registries, repositories, tags):
        yield Reference(
            registry=LoginServer(registry), repository=RepositoryName(repository), tag=TagName(tag)
        )


def _specimens(glob: Glob) -> Iterator[str]:
    """Yield names that the glob matches: the wildcards filled in one way, then each in another."""
    parts = glob.text.split("/")
    wild = [position for position, part in enumerate(parts) if part != _filled(part, "b", "b")]
    yield from (
        name
        for changed in (None, *wild)
        for deep in ("b", "a/b")
        if glob.matches(
            name := "/".join(
                _filled(part, "c" if position == changed else "b", deep)
                for position, part in enumerate(parts)
            )
        )
    )


def _filled(part: str, one: str, deep: str) -> str:
    return deep if part == "**" else part.replace("*", one).replace("?", one)
