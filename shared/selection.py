"""Which repositories and tags a rule or a route means: globs and expressions, always matched whole.

Repositories match by doublestar globs: ``*`` stays inside one path component, ``**`` is any number of
whole components, and a trailing ``/**`` needs at least one. Tags have no components. Both are case
sensitive. Matching takes time linear in the name for every glob.
"""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from shared.errors import InvalidInput
from shared.oci.names import LoginServer, RepositoryName, TagName

type GlobKind = Literal["registry", "repository", "tag"]

_LITERALS: Final[Mapping[GlobKind, re.Pattern[str]]] = {
    "registry": re.compile(r"[a-z0-9.:-]"),
    "repository": re.compile(r"[a-z0-9._-]"),
    "tag": re.compile(r"[A-Za-z0-9._-]"),
}
_NO_GROUPS: Final[Mapping[str, str]] = {}
_LONGEST = 512


class Expression(Protocol):
    """A regular expression over tags that takes linear time."""

    @property
    def text(self) -> str:
        """Return the expression as it was written."""
        ...

    @property
    def groups(self) -> frozenset[str]:
        """Return the names of its groups."""
        ...

    def match(self, name: str) -> Mapping[str, str] | None:
        """Return what the named groups captured, or ``None`` unless the whole name matches."""
        ...


@dataclass(frozen=True, slots=True)
class Glob:
    """A pattern that was checked: it can match some name of its kind."""

    text: str
    kind: GlobKind
    components: tuple[re.Pattern[str] | None, ...] = field(repr=False, compare=False)

    def matches(self, name: str) -> bool:
        """Tell whether the whole name matches."""
        return _match_components(self.components, name.split("/"))

    @property
    def is_literal(self) -> bool:
        """Tell whether it names exactly one thing."""
        return not any(wild in self.text for wild in "*?[")


def parse_glob(text: str, kind: GlobKind) -> Glob:
    """Return the glob that the text is.

    :raises InvalidInput: when it is empty or too long, or holds a character that no name of its kind has:
        such a pattern would silently match nothing.
    """
    if not text:
        raise InvalidInput("an empty glob matches nothing")
    if len(text) > _LONGEST:
        raise InvalidInput(f"a glob of {len(text)} characters; the longest is {_LONGEST}")
    if kind == "registry":
        text = text.lower()
    parts = text.split("/") if kind == "repository" else [text]
    if "" in parts:
        raise InvalidInput(f"{text!r}: a repository neither starts nor ends with '/', nor has '//'")
    if kind == "repository" and parts[-1] == "**":
        parts = [*parts, "*"]
    components = tuple(
        None if kind == "repository" and part == "**" else re.compile(_translate(part, kind, text))
        for part in parts
    )
    return Glob(text, kind, components)


def _translate(part: str, kind: GlobKind, whole: str) -> str:
    """Return one component as a regular expression without backtracking into an earlier ``*``.

    Between two stars the shortest match is as good as any, so each is an atomic group: what makes
    :func:`fnmatch.translate` linear too.
    """
    pieces: list[str] = []
    stars: list[int] = []
    position = 0
    while position < len(part):
        character = part[position]
        position += 1
        if character == "*":
            if not stars or stars[-1] != len(pieces):
                stars.append(len(pieces))
        elif character == "?":
            pieces.append("[^/]")
        elif character == "[":
            end = part.find("]", position + 1)
            if end < 0:
                raise InvalidInput(f"{whole!r}: '[' is not closed")
            pieces.append(_character_class(part[position:end], kind, whole))
            position = end + 1
        elif _LITERALS[kind].fullmatch(character):
            pieces.append(re.escape(character))
        else:
            raise InvalidInput(_impossible(character, kind, whole))
    if not stars:
        return "".join(pieces)
    bounds = [*stars, len(pieces)]
    head = "".join(pieces[: bounds[0]])
    runs = ["".join(pieces[start:end]) for start, end in itertools.pairwise(bounds)]
    return head + "".join(f"(?>[^/]*?{run})" for run in runs[:-1]) + f"[^/]*{runs[-1]}"


def _character_class(inside: str, kind: GlobKind, whole: str) -> str:
    negated = inside.startswith("!")
    members = inside.removeprefix("!")
    for character in members:
        if not _LITERALS[kind].fullmatch(character):
            raise InvalidInput(_impossible(character, kind, whole))
    if "--" in members:
        raise InvalidInput(f"{whole!r}: [{inside}] is no range of characters: '--' can be read in two ways")
    ranges = re.sub(r"(?<!^)-(?!$)", "\0", members)
    text = re.escape(ranges).replace("\\\0", "-").replace("\0", "-")
    try:
        re.compile(f"[{text}]")
    except re.error as error:
        raise InvalidInput(f"{whole!r}: [{inside}] is no range of characters: {error.msg}") from error
    return f"[^/{text}]" if negated else f"[{text}]"


def _impossible(character: str, kind: GlobKind, whole: str) -> str:
    hint = "; regular expressions go under tags_matching" if kind == "tag" and character in "^$()|+\\" else ""
    lower = "; repositories are lower-case" if kind == "repository" and character.isupper() else ""
    return f"{whole!r}: no {kind} has the character {character!r}{lower}{hint}"


def _match_components(patterns: Sequence[re.Pattern[str] | None], names: Sequence[str]) -> bool:
    """Match as one matches ``*`` against characters, with ``**`` (``None``) against components.

    Only the latest ``**`` is ever widened: whatever an earlier one could take, the latest can take too.
    """
    at = position = 0
    widen: tuple[int, int] | None = None
    while position < len(names):
        if at < len(patterns) and (pattern := patterns[at]) is None:
            widen = (at, position)
            at += 1
        elif at < len(patterns) and pattern is not None and pattern.fullmatch(names[position]):
            at += 1
            position += 1
        elif widen is not None:
            widen = (widen[0], widen[1] + 1)
            at, position = widen[0] + 1, widen[1]
        else:
            return False
    return all(pattern is None for pattern in patterns[at:])


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositorySelection:
    """Some repositories of some registries; without ``registries``, of all."""

    repositories: tuple[Glob, ...]
    registries: tuple[Glob, ...] = ()
    excluded: tuple[Glob, ...] = ()

    def covers(self, registry: LoginServer, repository: RepositoryName) -> bool:
        """Tell whether the repository is meant."""
        return (
            (not self.registries or any(glob.matches(registry) for glob in self.registries))
            and any(glob.matches(repository) for glob in self.repositories)
            and not any(glob.matches(repository) for glob in self.excluded)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TagSelection:
    """Some tags: those that a glob or an expression matches and no excluding glob does."""

    globs: tuple[Glob, ...] = ()
    expressions: tuple[Expression, ...] = ()
    excluded: tuple[Glob, ...] = ()
    _included: re.Pattern[str] | None = field(init=False, repr=False, compare=False)
    _excluded: re.Pattern[str] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_included", _any_of(self.globs))
        object.__setattr__(self, "_excluded", _any_of(self.excluded))

    def match(self, tag: TagName) -> Mapping[str, str] | None:
        """Return what named groups captured (nothing, for a glob), or ``None`` when the tag is not meant."""
        if self._excluded is not None and self._excluded.fullmatch(tag):
            return None
        for expression in self.expressions:
            groups = expression.match(tag)
            if groups is not None:
                return groups
        if self._included is not None and self._included.fullmatch(tag):
            return _NO_GROUPS
        return None


def _any_of(globs: Sequence[Glob]) -> re.Pattern[str] | None:
    patterns = [component.pattern for glob in globs for component in glob.components if component is not None]
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns)) if patterns else None
