"""A YAML or JSON text as plain values, with the line on which each stands.

Stricter than YAML: every key once, no aliases, no tags, no guessing. A plain scalar stays text
(:class:`Plain`) until the model says what it should be, so that the tag ``1.10`` is not the number 1.1, and
``on`` is a word.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from shared.errors import Problem

type Path = tuple[str | int, ...]

MAX_BYTES: Final = 1024 * 1024
_DEEPEST: Final = 32
_LOADER: Final = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_STANDARD_TAGS: Final = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map"))


class Plain(str):
    """A scalar that was written without quotes: text, or a number or truth value where one is expected."""

    __slots__ = ()


@dataclass(slots=True)
class Document:
    """The values of a text, the line of each path, and what is wrong with the text as such."""

    value: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def line(self, path: Path) -> int | None:
        """Return the line of the path, or of the nearest thing around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path)

    def problem(self, path: Path, message: str) -> Problem:
        """Return a problem at the path."""
        return Problem(path=show_path(path), message=message, line=self.line(path))


def show_path(path: Path) -> str:
    """Read a path as ``retention.rules[0].older_than``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".") or "document"


def read_document(text: str | bytes) -> Document:
    """Return what the text says; when it cannot be read at all, only problems."""
    document = Document()
    if len(text) > MAX_BYTES:
        document.problems.append(
            Problem(path="document", message=f"{len(text)} bytes; the most that is read is {MAX_BYTES}")
        )
        return document
    try:
        decoded = text.decode("utf-8-sig") if isinstance(text, bytes) else text.removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        document.problems.append(Problem(path="document", message=f"not UTF-8: {error.reason}"))
        return document
    if decoded.lstrip().startswith("{"):
        # JSON may be indented by tabs, which YAML refuses; in its strings a tab is always escaped.
        decoded = decoded.replace("\t", " ")
    try:
        for event in yaml.parse(decoded, Loader=_LOADER):
            if getattr(event, "anchor", None):
                line = event.start_mark.line + 1 if event.start_mark else None
                message = "anchors and aliases are not read here; write it out"
                document.problems.append(Problem(path="document", message=message, line=line))
                return document
        node = yaml.compose(decoded, Loader=_LOADER)
        if node is not None:
            document.value = _Reader(document).read(node, ())
    except yaml.YAMLError as error:
        document.problems.append(_yaml_problem(error))
    except RecursionError:
        document.problems.append(Problem(path="document", message="nested too deeply"))
    return document


def _yaml_problem(error: yaml.YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None)
    message = getattr(error, "problem", None) or str(error)
    return Problem(
        path="document", message=f"not YAML: {message}", line=None if mark is None else mark.line + 1
    )


class _Reader:
    """Turns nodes into values and notes their lines."""

    def __init__(self, document: Document) -> None:
        self._document = document

    def read(self, node: yaml.Node, path: Path) -> Any:
        self._document.lines[path] = node.start_mark.line + 1
        if node.tag not in _STANDARD_TAGS:
            self._complain(path, f"the tag {node.tag!r} is not read here")
        if len(path) > _DEEPEST:
            self._complain(path, "nested too deeply")
            return None
        if isinstance(node, yaml.MappingNode):
            return dict(self._pairs(node, path))
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*path, position)) for position, item in enumerate(node.value)]
        if not isinstance(node, yaml.ScalarNode) or node.style:
            return node.value
        return None if node.value in _NULLS else Plain(node.value)

    def _pairs(self, node: yaml.MappingNode, path: Path) -> Iterator[tuple[str, Any]]:
        seen: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._complain(path, "a key must be a word")
                continue
            inner = (*path, str(key.value))
            line = key.start_mark.line + 1
            if key.value in seen:
                message = f"the key {key.value!r} stands here twice"
                self._document.problems.append(Problem(path=show_path(inner), message=message, line=line))
                continue
            seen.add(key.value)
            yield str(key.value), self.read(value, inner)
            self._document.lines[inner] = line

    def _complain(self, path: Path, message: str) -> None:
        self._document.problems.append(self._document.problem(path, message))
