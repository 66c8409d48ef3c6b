"""Tags as semantic versions (semver.org 2.0.0), ordered by precedence."""

import re
from typing import Final, NamedTuple

_VERSION: Final = re.compile(
    r"v?(?P<core>(?:0|[1-9][0-9]{0,17})(?:\.(?:0|[1-9][0-9]{0,17})){2})"
    r"(?:-(?P<pre>[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?"
    r"(?:[+_](?P<build>[0-9A-Za-z.-]+))?",
    re.ASCII,
)

type _Identifier = tuple[int, int, str]


class Version(NamedTuple):
    """A version whose order as a tuple is its precedence; build metadata has none (clause 10)."""

    core: tuple[int, ...]
    released: bool
    """True sorts after False: a version outranks its pre-releases (clause 11.3)."""
    prerelease: tuple[_Identifier, ...] = ()


def parse_version(text: str) -> Version | None:
    """Return the version that a tag is, or ``None`` when it is none; ``1.2`` and ``1.02.3`` are none.

    A leading ``v`` is customary. Build metadata may follow ``_``, because a tag cannot hold ``+``: Helm
    writes it so.
    """
    match = _VERSION.fullmatch(text)
    if match is None:
        return None
    identifiers = match["pre"].split(".") if match["pre"] else []
    if any(part.isdigit() and part != "0" and part.startswith("0") for part in identifiers):
        return None
    return Version(
        core=tuple(map(int, match["core"].split("."))),
        released=not identifiers,
        prerelease=tuple(map(_identifier, identifiers)),
    )


def _identifier(text: str) -> _Identifier:
    """Return a key by which numbers sort by value and before words (clause 11.4)."""
    return (0, int(text), "") if text.isdigit() else (1, 0, text)
