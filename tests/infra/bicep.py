"""Bicep files as syntax trees: what each declares, uses and passes on, read with tree-sitter."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import tree_sitter_bicep
from tree_sitter import Language, Node, Parser

INFRA = Path(__file__).resolve().parents[2] / "infra"
FILES = sorted(INFRA.rglob("*.bicep"))

_PARSER = Parser(Language(tree_sitter_bicep.language()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    type: str
    default: Node | None
    secure: bool
    allowed: tuple[object, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """A resource or module: its type with version, or its path, and the object or loop that is its body."""

    what: str
    existing: bool
    body: Node

    @property
    def type(self) -> str:
        return self.what.partition("@")[0]


@dataclass(slots=True, kw_only=True)
class BicepFile:
    path: Path
    root: Node
    target_scope: str = "resourceGroup"
    parameters: dict[str, Parameter] = field(default_factory=dict)
    variables: dict[str, Node] = field(default_factory=dict)
    resources: dict[str, Declared] = field(default_factory=dict)
    modules: dict[str, Declared] = field(default_factory=dict)
    outputs: dict[str, Node] = field(default_factory=dict)

    def module_path(self, symbol: str) -> Path:
        return (self.path.parent / self.modules[symbol].what).resolve()


@cache
def read(path: Path) -> BicepFile:
    """Return the file's declarations; an AssertionError names the first place that is not Bicep."""
    root = _PARSER.parse(path.read_bytes()).root_node
    for node in walk(root):
        assert not node.is_error, f"{path.name}:{node.start_point[0] + 1}: {text(node)}"
        assert not node.is_missing, f"{path.name}:{node.start_point[0] + 1}: {node.type} is missing"
    file = BicepFile(path=path, root=root)
    decorators: list[Node] = []
    for node in root.named_children:
        match node.type:
            case "decorators":
                decorators = node.named_children
                continue
            case "comment":
                continue
            case "target_scope_assignment":
                file.target_scope = literal(node.named_children[0])
            case "parameter_declaration":
                file.parameters[text(node.named_children[0])] = _parameter(node, decorators)
            case "variable_declaration":
                file.variables[text(node.named_children[0])] = node.named_children[-1]
            case "output_declaration":
                file.outputs[text(node.named_children[0])] = node.named_children[-1]
            case "resource_declaration" | "module_declaration":
                table = file.resources if node.type.startswith("resource") else file.modules
                table[text(node.named_children[0])] = Declared(
                    what=literal(node.named_children[1]),
                    existing=any(child.type == "existing" for child in node.children),
                    body=node.named_children[-1],
                )
            case other:
                raise AssertionError(f"{path.name}: unexpected {other}")
        decorators = []
    return file


def walk(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from walk(child)


def text(node: Node) -> str:
    assert node.text is not None
    return node.text.decode()


def literal(node: Node) -> str:
    """Return the text of a string without interpolation."""
    assert node.type == "string", text(node)
    parts = node.named_children
    assert all(part.type != "interpolation" for part in parts), text(node)
    return "".join(text(part).removeprefix("\\") for part in parts)


def key(node: Node) -> str:
    """Return the name of an object's property."""
    name = node.named_children[0]
    return text(name) if name.type == "identifier" else literal(name)


def entries(node: Node) -> dict[str, Node]:
    """Return the values of an object by property name."""
    assert node.type == "object", text(node)
    properties = [child for child in node.named_children if child.type == "object_property"]
    return {key(entry): entry.named_children[1] for entry in properties}


def body_object(body: Node) -> Node:
    """Return the object inside any loop and condition of a declaration."""
    while body.type in {"for_statement", "if_statement"}:
        body = body.named_children[-1]
    return body


def undeclared(file: BicepFile) -> list[str]:
    """Return the names that are used and neither declared in the file nor bound around their use."""
    declared = {*file.parameters, *file.variables, *file.resources, *file.modules}
    return [name for name in _names(file.root) if name not in declared]


def used(file: BicepFile) -> set[str]:
    return set(_names(file.root))


def _parameter(node: Node, decorators: list[Node]) -> Parameter:
    calls = {text(call.named_children[0]): call for call in (d.named_children[0] for d in decorators)}
    children = node.named_children
    allowed: tuple[object, ...] = ()
    if "allowed" in calls:
        values = calls["allowed"].named_children[1].named_children[0].named_children
        allowed = tuple(literal(v) if v.type == "string" else int(text(v)) for v in values)
    return Parameter(
        type=text(children[1]),
        default=children[2] if len(children) > 2 else None,
        secure="secure" in calls,
        allowed=allowed,
    )


_USES_NOTHING = frozenset({"decorators", "target_scope_assignment", "type", "comment"})
_DECLARED_FIRST = {
    "parameter_declaration": 1,
    "variable_declaration": 1,
    "output_declaration": 1,
    "resource_declaration": 2,
    "module_declaration": 2,
    "call_expression": 1,
}
"""How many children stand before what is used: the name, and the type or path."""


def _names(node: Node, bound: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield every name that is used below the node, except those bound by a loop or a lambda."""
    if node.type == "identifier":
        if text(node) not in bound:
            yield text(node)
        return
    if node.type in _USES_NOTHING:
        return
    children = node.named_children[_DECLARED_FIRST.get(node.type, 0) :]
    if node.type == "object_property" and children[0].type == "identifier":
        children = children[1:]
    if node.type == "for_statement":
        head, items, *children = children
        yield from _names(items, bound)
        bound |= {text(name) for name in head.named_children or [head]}
    if node.type == "lambda_expression":
        bound |= {text(children[0])}
    for child in children:
        yield from _names(child, bound)
