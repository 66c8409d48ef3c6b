"""Ranges of semantic versions: ``>=1.4.0 <2.0.0``, ``^1.4.0``, ``~1.4.0``, ``1.x``.

The customary grammar of node-semver, in its unambiguous part: comparators separated by blanks must all hold.
A pre-release is in a range only where a comparator names a pre-release of the same version, so that nobody
gets ``2.0.0-rc.1`` by asking for ``>=1.0.0``.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from shared.errors import InvalidInput
from shared.retention.versions import Version, parse_version

_LONGEST: Final = 200
_COMPARATOR: Final = re.compile(r"(?P<operator>>=|<=|>|<|=|\^|~)?(?P<version>v?[0-9]\S*)", re.ASCII)
_PARTIAL: Final = re.compile(r"v?(?P<major>0|[1-9][0-9]{0,8})(?:\.(?P<minor>0|[1-9][0-9]{0,8}))?(?:\.[xX*])*")
_NO_GROUPS: Final[Mapping[str, str]] = {}

_HOLDS: Final[Mapping[str, Callable[[Version, Version], bool]]] = {
    ">=": lambda version, bound: version >= bound,
    "<=": lambda version, bound: version <= bound,
    ">": lambda version, bound: version > bound,
    "<": lambda version, bound: version < bound,
    "=": lambda version, bound: version == bound,
}


class _Comparator(NamedTuple):
    operator: str
    bound: Version

    def holds(self, version: Version) -> bool:
        return _HOLDS[self.operator](version, self.bound)


@dataclass(frozen=True, slots=True)
class VersionRange:
    """A range that a tag is in or not; an expression over tags like any other, without groups."""

    text: str
    groups: frozenset[str] = field(default=frozenset(), init=False)
    _comparators: tuple[_Comparator, ...] = field(repr=False, compare=False)

    def match(self, name: str) -> Mapping[str, str] | None:
        """Return nothing captured, or ``None`` unless the whole name is a version in the range."""
        version = parse_version(name)
        if version is None or not all(each.holds(version) for each in self._comparators):
            return None
        if version.released or any(
            not each.bound.released and each.bound.core == version.core for each in self._comparators
        ):
            return _NO_GROUPS
        return None


def parse_version_range(text: str) -> VersionRange:
    """Return the range that the text is.

    :raises InvalidInput: naming the comparator that is none.
    """
    words = text.split()
    if not words or len(text) > _LONGEST:
        raise InvalidInput(f"a range of versions has 1 to {_LONGEST} characters, this one {len(text)}")
    return VersionRange(text, tuple(comparator for word in words for comparator in _comparators(word)))


def _comparators(word: str) -> Iterator[_Comparator]:
    found = _COMPARATOR.fullmatch(word)
    version = None if found is None else parse_version(found["version"])
    partial = None if found is None else _PARTIAL.fullmatch(found["version"])
    if found is not None and version is not None:
        yield from _around(found["operator"] or "=", version)
    elif found is not None and partial is not None and found["operator"] in {None, "="}:
        lower, upper = _series(partial)
        yield _Comparator(">=", lower)
        yield _Comparator("<", upper)
    else:
        raise InvalidInput(
            f"{word!r} is no comparator of versions: expected such as >=1.4.0, <2.0.0, ^1.4.0, ~1.4.0 or 1.x"
        )


def _around(operator: str, version: Version) -> Iterator[_Comparator]:
    major, minor, patch = version.core
    match operator:
        case "^":  # the leftmost number that is not zero stays
            following = (major + 1, 0, 0) if major else ((0, minor + 1, 0) if minor else (0, 0, patch + 1))
        case "~":
            following = (major, minor + 1, 0)
        case _:
            yield _Comparator(operator, version)
            return
    yield _Comparator(">=", version)
    yield _Comparator("<", Version(following, released=False))


def _series(partial: re.Match[str]) -> tuple[Version, Version]:
    """Return the bounds of ``1.x`` or ``1.4.x``; the upper one is below every pre-release of its version."""
    major = int(partial["major"])
    if partial["minor"] is None:
        return Version((major, 0, 0), released=True), Version((major + 1, 0, 0), released=False)
    minor = int(partial["minor"])
    return Version((major, minor, 0), released=True), Version((major, minor + 1, 0), released=False)
