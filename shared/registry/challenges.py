"""What a registry wants to see before it answers: the ``WWW-Authenticate`` header, parsed."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_SCHEME: Final = re.compile(rf"[\s,]*(?P<scheme>{_WORD})(?=[\s,]|$)")
_PARAMETER: Final = re.compile(
    rf'[\s,]*(?P<key>{_WORD})[ \t]*=[ \t]*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^\s,"]+))'
)
_ESCAPE: Final = re.compile(r"\\(.)")
_MAX_HEADER: Final = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """One scheme, lower-case, with its parameters, names lower-case (RFC 9110, section 11.6.1)."""

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict, hash=False)


def parse_challenges(header: str) -> tuple[Challenge, ...]:
    """Return every challenge of the header, in its order; text that is no challenge ends the list.

    Values may be quoted, with commas and escapes inside, in any order, with or without spaces, and
    several challenges may share one header.
    """
    return tuple(_challenges(header[:_MAX_HEADER]))


def _challenges(header: str) -> Iterator[Challenge]:
    position = 0
    while match := _SCHEME.match(header, position):
        position = match.end()
        parameters: dict[str, str] = {}
        while parameter := _PARAMETER.match(header, position):
            position = parameter.end()
            quoted = parameter["quoted"]
            value = parameter["plain"] if quoted is None else _ESCAPE.sub(r"\1", quoted)
            parameters.setdefault(parameter["key"].lower(), value)
        yield Challenge(scheme=match["scheme"].lower(), parameters=parameters)
