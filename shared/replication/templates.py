"""Names of targets, written once for many sources: ``docker.io/acme/{basename}``."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from shared.errors import InvalidInput, InvalidName
from shared.oci.names import (
    DOCKER_HUB,
    LoginServer,
    Reference,
    RepositoryName,
    TagName,
    parse_login_server,
    parse_repository,
    parse_tag,
)
from shared.selection import Glob

_PLACEHOLDER: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_LITERAL: Final = re.compile(r"[a-z0-9._/-]*")
BUILT_IN: Final = frozenset({"repository", "basename", "flattened", "registry_name"})
_ANY: Final = frozenset({1, 2, 3})
"""How many components a name that may be of any depth has, as far as it matters here."""
_HUB_COMPONENTS: Final = 2
_TAG: Final = "{tag}"


@dataclass(frozen=True, slots=True)
class TargetTemplate:
    """A registry, and a repository name with placeholders.

    ``{repository}`` is the source's whole name, ``{basename}`` its last component, ``{flattened}`` the
    whole name with dashes for slashes, ``{registry_name}`` the first label of the source's login server;
    any other is what a group of the route's ``tags_matching`` captured.
    """

    registry: LoginServer
    path: str

    def __str__(self) -> str:
        """Read as it was written."""
        return f"{self.registry}/{self.path}"

    @property
    def placeholders(self) -> frozenset[str]:
        """Return the names in braces."""
        return frozenset(_PLACEHOLDER.findall(self.path))

    def fill(self, source: Reference, groups: Mapping[str, str]) -> RepositoryName:
        """Return the target repository for one pushed tag.

        :raises InvalidName: when the result is no name of a repository, or not one that Docker Hub has.
        """
        values = {
            **groups,
            "repository": source.repository,
            "basename": source.repository.rpartition("/")[2],
            "flattened": source.repository.replace("/", "-"),
            "registry_name": source.registry.partition(".")[0].partition(":")[0],
        }
        name = _PLACEHOLDER.sub(lambda match: values.get(match[1], ""), self.path)
        repository = parse_repository(name)
        if self.registry == DOCKER_HUB and repository.count("/") + 1 != _HUB_COMPONENTS:
            raise InvalidName(f"{name!r}: names on Docker Hub have two components, namespace/name")
        return repository

    def depths(self, repositories: Sequence[Glob]) -> frozenset[int]:
        """Return how many components its names can have (3 stands for more) for sources of these globs."""
        literal = self.path.count("/") + 1
        if "repository" not in self.placeholders:
            return frozenset({min(literal, 3)})
        times = self.path.count("{repository}")
        of_source: frozenset[int] = frozenset().union(
            *(_ANY if "**" in glob.text.split("/") else {glob.text.count("/") + 1} for glob in repositories)
        )
        return frozenset(min(literal + times * (depth - 1), 3) for depth in of_source)


@dataclass(frozen=True, slots=True)
class TagTemplate:
    """One more name for each tag on the target: ``{tag}`` with something before or after it."""

    text: str

    def __str__(self) -> str:
        """Read as it was written."""
        return self.text

    def fill(self, source: Reference) -> TagName:
        """Return the target's tag for a source's.

        :raises InvalidName: when the result is too long for a tag.
        """
        return parse_tag(self.text.replace(_TAG, source.tag or ""))


def parse_tag_template(text: str) -> TagTemplate:
    """Return the template that the text is.

    :raises InvalidInput: unless it holds ``{tag}`` once and besides only what a tag may hold. Without it,
        all tags of a repository would take turns under one name.
    """
    if text.count(_TAG) != 1 or text == _TAG:
        raise InvalidInput(f"{text[:140]!r} is no extra tag: it holds {_TAG} once, and something else")
    try:
        parse_tag(text.replace(_TAG, "x"))
    except InvalidName as error:
        raise InvalidInput(f"{text[:140]!r} is no extra tag: {error}") from error
    return TagTemplate(text)


def parse_template(text: str) -> TargetTemplate:
    """Return the template that the text is.

    :raises InvalidInput: when it does not start with a registry, or holds what no repository name may.
    """
    registry, slash, path = text.partition("/")
    if not slash or not ("." in registry or ":" in registry or registry == "localhost"):
        raise InvalidInput(
            f"{text!r} is no target: it starts with a registry, as in docker.io/acme/{{basename}}"
        )
    literals = _PLACEHOLDER.sub("", path)
    if not _LITERAL.fullmatch(literals):
        wrong = next(character for character in literals if not _LITERAL.fullmatch(character))
        raise InvalidInput(f"{text!r} is no target: {wrong!r} in its repository; tags keep their names")
    try:
        parse_repository(_PLACEHOLDER.sub("x", path))
    except InvalidName as error:
        raise InvalidInput(f"{text!r} is no target: {error}") from error
    return TargetTemplate(parse_login_server(registry), path)


def check_template(template: TargetTemplate, repositories: Sequence[Glob], groups: Collection[str]) -> None:
    """Check what can be known before any push.

    :raises InvalidInput: when a placeholder has no value, or when some source of these globs would get a
        name that Docker Hub cannot have.
    """
    unknown = template.placeholders - BUILT_IN - set(groups)
    if unknown:
        known = ", ".join(f"{{{name}}}" for name in sorted(BUILT_IN | set(groups)))
        raise InvalidInput(f"{template}: {{{min(unknown)}}} is not known; known are {known}")
    if template.registry == DOCKER_HUB and (depths := template.depths(repositories)) != {_HUB_COMPONENTS}:
        depth = max(depths, key=lambda depth: abs(depth - _HUB_COMPONENTS))
        count = "three or more components" if depth > _HUB_COMPONENTS else "one component"
        raise InvalidInput(
            f"{template}: can become a name of {count}; Docker Hub has exactly two: "
            "use {basename} or {flattened} after a namespace"
        )
