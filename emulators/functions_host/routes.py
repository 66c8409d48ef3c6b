"""ASP.NET route templates as HTTP triggers write them: `runs/{run_id:guid}/{*rest}`."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import unquote
from uuid import UUID

_PARAMETER = re.compile(
    r"\{(?P<catch_all>\*{0,2})(?P<name>\w+)(?::(?P<constraint>[^?=}]+))?(?:=(?P<default>[^}]*))?(?P<optional>\?)?\}"
)


def _is_guid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


_CONSTRAINTS: dict[str, Callable[[str], bool]] = {
    "int": lambda text: re.fullmatch(r"-?\d{1,10}", text) is not None,
    "long": lambda text: re.fullmatch(r"-?\d{1,19}", text) is not None,
    "alpha": lambda text: re.fullmatch(r"[A-Za-z]*", text) is not None,
    "bool": lambda text: text.lower() in {"true", "false"},
    "guid": _is_guid,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One part of a template: literal text, or a parameter when it has a name."""

    literal: str = ""
    name: str = ""
    constraint: str | None = None
    default: str | None = None
    optional: bool = False
    catch_all: bool = False

    def accepts(self, text: str) -> bool:
        if not self.name:
            return text.lower() == self.literal.lower()
        return bool(text) and (self.constraint is None or _CONSTRAINTS[self.constraint](text))


@dataclass(frozen=True, slots=True)
class RouteTemplate:
    segments: tuple[Segment, ...]

    @property
    def precedence(self) -> tuple[int, ...]:
        """Sorts literals before constrained parameters before free ones before catch-alls."""
        return tuple(
            (3 if segment.catch_all else 1 if segment.constraint else 2) if segment.name else 0
            for segment in self.segments
        )

    def match(self, raw_path: str) -> dict[str, str] | None:
        """Route parameters of a path still percent-encoded, or None when it is not this route."""
        parts = [decode_segment(part) for part in raw_path.strip("/").split("/") if part]
        return _match(self.segments, parts)


def parse_template(prefix: str, template: str) -> RouteTemplate:
    """Parse the template under its prefix; ValueError for syntax that is not supported here."""
    parts = [part for part in f"{prefix}/{template}".split("/") if part]
    segments = tuple(_parse_segment(part) for part in parts)
    if any(segment.catch_all for segment in segments[:-1]):
        raise ValueError(f"route {template!r}: a catch-all parameter must come last")
    return RouteTemplate(segments)


def _parse_segment(text: str) -> Segment:
    if "{" not in text and "}" not in text:
        return Segment(literal=text)
    match = _PARAMETER.fullmatch(text)
    if match is None:
        raise ValueError(f"route segment {text!r} is not one parameter such as '{{name:int?}}'")
    constraint = match["constraint"]
    if constraint is not None and constraint not in _CONSTRAINTS:
        raise ValueError(f"route segment {text!r}: constraint {constraint!r} is not supported here")
    return Segment(
        name=match["name"],
        constraint=constraint,
        default=match["default"],
        optional=bool(match["optional"]),
        catch_all=bool(match["catch_all"]),
    )


def _match(segments: Sequence[Segment], parts: Sequence[str]) -> dict[str, str] | None:
    found: dict[str, str] = {}
    for position, segment in enumerate(segments):
        if segment.catch_all:
            rest = "/".join(parts[position:]) or segment.default
            return found if rest is None else found | {segment.name: rest}
        if position >= len(parts):
            if segment.default is not None:
                found[segment.name] = segment.default
            elif not segment.optional:
                return None
            continue
        if not segment.accepts(parts[position]):
            return None
        if segment.name:
            found[segment.name] = parts[position]
    return found if len(parts) <= len(segments) else None


def decode_segment(text: str) -> str:
    """One path segment decoded as Kestrel does: everything but `%2F`, which stays a part of its segment."""
    return "".join(
        part if part.lower() == "%2f" else unquote(part) for part in re.split(r"(%2[Ff])", text) if part
    )
