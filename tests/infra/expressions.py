"""Bicep expressions: the part of the language that ``infra/`` uses, evaluated.

Anything unknown here is an error, never a guess.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from tree_sitter import Node

from tests.infra import bicep
from tests.infra.functions import FUNCTIONS
from tests.infra.values import Deployment, Place, Resource, Runtime

type Names = dict[str, Any]


class Expressions(ABC):
    """Evaluates expressions of one file, deployed to one place."""

    def __init__(self, file: bicep.BicepFile, place: Place) -> None:
        self.file = file
        self.place = place
        self._kinds: dict[str, Callable[[Node, Names], Any]] = {
            "identifier": self._identifier,
            "string": self._string,
            "number": lambda node, _: int(bicep.text(node)),
            "boolean": lambda node, _: bicep.text(node) == "true",
            "null": lambda _, __: None,
            "parenthesized_expression": lambda node, names: self.value(node.named_children[0], names),
            "array": self._array,
            "object": self._object,
            "for_statement": lambda node, names: [
                self.value(node.named_children[-1], bound) for bound in self.loop(node, names)
            ],
            "lambda_expression": self._lambda,
            "call_expression": self._call,
            "member_expression": self._chain,
            "subscript_expression": self._chain,
            "ternary_expression": self._chain,
            "unary_expression": self._chain,
            "binary_expression": self._chain,
        }

    @abstractmethod
    def symbol(self, name: str) -> Any:
        """Return what the file declares under the name."""

    def value(self, node: Node, names: Names) -> Any:
        """Return the value of the expression; ``names`` are bound by the loops and lambdas around it."""
        assert node.type in self._kinds, f"{self.file.path.name}: cannot evaluate {bicep.text(node)}"
        return self._kinds[node.type](node, names)

    def loop(self, node: Node, names: Names) -> list[Names]:
        """Return the names that are bound in each turn of the loop."""
        head, items = node.named_children[:2]
        bound = [bicep.text(c) for c in head.named_children] if head.named_children else [bicep.text(head)]
        turns = enumerate(self.value(items, names))
        return [names | dict(zip(bound, (item, turn), strict=False)) for turn, item in turns]

    def _identifier(self, node: Node, names: Names) -> Any:
        name = bicep.text(node)
        return names[name] if name in names else self.symbol(name)

    def _string(self, node: Node, names: Names) -> str:
        parts: list[str] = []
        for child in node.named_children:
            if child.type == "interpolation":
                value = self.value(child.named_children[0], names)
                parts.append(value if isinstance(value, str) else json.dumps(value))
            else:
                parts.append(bicep.text(child).removeprefix("\\"))
        return "".join(parts)

    def _array(self, node: Node, names: Names) -> list[Any]:
        return [self.value(child, names) for child in node.named_children if child.type != "comment"]

    def _object(self, node: Node, names: Names) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for entry in node.named_children:
            if entry.type != "comment":
                name, value = entry.named_children
                key = bicep.text(name) if name.type == "identifier" else self.value(name, names)
                made[key] = self.value(value, names)
        return made

    def _lambda(self, node: Node, names: Names, accesses: tuple[Node, ...] = ()) -> Callable[[Any], Any]:
        parameter, body = node.named_children
        return lambda item: self._chain(body, names | {bicep.text(parameter): item}, accesses)

    def _chain(self, node: Node, names: Names, accesses: tuple[Node, ...] = ()) -> Any:
        """Evaluate the node and the member accesses that follow it.

        The grammar binds ``a ?? b.c`` as ``(a ?? b).c``, and ``x => x.c`` alike; Bicep binds the access to
        the last operand.
        """
        operands = node.named_children
        match node.type:
            case "member_expression" | "subscript_expression":
                return self._chain(operands[0], names, (node, *accesses))
            case "ternary_expression":
                yes = self.value(operands[0], names)
                return self.value(operands[1], names) if yes else self._chain(operands[2], names, accesses)
            case "binary_expression":
                return self._binary(node, names, lambda: self._chain(operands[1], names, accesses))
            case "unary_expression":
                return not self._chain(operands[0], names, accesses)
            case "lambda_expression":
                return self._lambda(node, names, accesses)
        holder = self.value(node, names)
        for access in accesses:
            holder = self._access(access, holder, names)
        return holder

    def _access(self, access: Node, holder: Any, names: Names) -> Any:
        member = access.named_children[1]
        key = bicep.text(member) if member.type == "property_identifier" else self.value(member, names)
        if isinstance(holder, Runtime | Resource | Deployment):
            return holder.member(key)
        if any(child.type == ".?" for child in access.children):
            return holder.get(key)
        assert holder is not None, f"{self.file.path.name}: {bicep.text(access)} of what is not deployed"
        return holder[key]

    def _binary(self, node: Node, names: Names, second: Callable[[], Any]) -> Any:
        first = self.value(node.named_children[0], names)
        operators: dict[str, Callable[[], Any]] = {
            "&&": lambda: first and second(),
            "||": lambda: first or second(),
            "??": lambda: second() if first is None else first,
            "==": lambda: first == second(),
            "!=": lambda: first != second(),
            ">": lambda: first > second(),
            "*": lambda: first * second(),
            "+": lambda: first + second(),
        }
        return operators[bicep.text(node.children[1])]()

    def _call(self, node: Node, names: Names) -> Any:
        name, arguments = node.named_children
        values = [self.value(argument, names) for argument in arguments.named_children]
        scoped: dict[str, Callable[..., Any]] = {
            "subscription": self._subscription,
            "resourceGroup": self._resource_group,
            "loadJsonContent": lambda path: json.loads(self._content(path)),
            "loadTextContent": self._content,
        }
        return (scoped | FUNCTIONS)[bicep.text(name)](*values)

    def _subscription(self) -> dict[str, str]:
        subscription = self.place.subscription
        return {"id": f"/subscriptions/{subscription}", "subscriptionId": subscription, "tenantId": "tenant"}

    def _resource_group(self, *names: str) -> Place | dict[str, str]:
        match names:
            case []:
                return {"id": self.place.id}
            case [group]:
                return Place(subscription=self.place.subscription, group=group)
            case [subscription, group]:
                return Place(subscription=subscription, group=group)
        raise AssertionError(names)

    def _content(self, path: str) -> str:
        return (self.file.path.parent / path).read_text(encoding="utf-8")
