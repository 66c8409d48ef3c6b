"""What a Bicep file would deploy, worked out here because the real compiler is not at hand.

Properties that only Azure knows stand as :class:`tests.infra.values.Runtime`.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tree_sitter import Node

from tests.infra import bicep
from tests.infra.expressions import Expressions, Names
from tests.infra.values import Deployment, Place, Resource, Runtime

_TYPES = {"string": str, "int": int, "bool": bool, "array": list, "object": dict}


def deploy(path: Path, parameters: Mapping[str, Any], place: Place | None = None) -> Deployment:
    """Evaluate the file with these parameters."""
    return _Evaluation(bicep.read(path), parameters, place or Place()).run()


class _Evaluation(Expressions):
    def __init__(self, file: bicep.BicepFile, parameters: Mapping[str, Any], place: Place) -> None:
        super().__init__(file, place)
        unknown = parameters.keys() - file.parameters.keys()
        assert not unknown, f"{file.path.name} has no parameters {sorted(unknown)}"
        self._deployment = Deployment(path=file.path, place=place)
        self._symbols: dict[str, Any] = {
            name: self._parameter(name, parameters.get(name)) for name in file.parameters
        }

    def run(self) -> Deployment:
        for symbol in (*self.file.resources, *self.file.modules):
            self.symbol(symbol)
        outputs = self.file.outputs.items()
        self._deployment.outputs = {name: self.value(node, {}) for name, node in outputs}
        return self._deployment

    def symbol(self, name: str) -> Any:
        if name not in self._symbols:
            self._symbols[name] = self._declared(name)
        return self._symbols[name]

    def _parameter(self, name: str, given: Any) -> Any:
        parameter = self.file.parameters[name]
        where = f"{self.file.path.name}: {name}"
        if given is None:
            assert parameter.default is not None, f"{where} is required"
            given = self.value(parameter.default, {})
        assert isinstance(given, _TYPES[parameter.type]), f"{where} is {given!r}, not {parameter.type}"
        if parameter.allowed and not isinstance(given, Runtime):
            assert given in parameter.allowed, f"{where} may not be {given!r}"
        return given

    def _declared(self, name: str) -> Any:
        if name in self.file.variables:
            return self.value(self.file.variables[name], {})
        if name in self.file.resources:
            declared = self.file.resources[name]
            return self._each(declared.body, {}, lambda body, names: self._resource(declared, body, names))
        path = self.file.module_path(name)
        return self._each(
            self.file.modules[name].body, {}, lambda body, names: self._module(path, body, names)
        )

    def _each(self, body: Node, names: Names, make: Callable[[Node, Names], Any]) -> Any:
        """Make what the body describes: a list for a loop, ``None`` where the condition is false."""
        match body.type:
            case "for_statement":
                return [self._each(body.named_children[-1], bound, make) for bound in self.loop(body, names)]
            case "if_statement":
                condition, rest = body.named_children
                return self._each(rest, names, make) if self.value(condition, names) else None
        return make(body, names)

    def _resource(self, declared: bicep.Declared, body: Node, names: Names) -> Resource:
        content = self.value(body, names)
        parent, scope = content.get("parent"), content.get("scope")
        base = parent or scope or self.place
        step = declared.type.rsplit("/", 1)[1] if parent else f"providers/{declared.type}"
        resource = Resource(
            type=declared.type,
            id=f"{base.id}/{step}/{content['name']}",
            name=content["name"],
            existing=declared.existing,
            place=self.place,
            body=content,
        )
        self._deployment.resources.append(resource)
        return resource

    def _module(self, path: Path, body: Node, names: Names) -> Deployment:
        content = self.value(body, names)
        scope = content.get("scope", self.place)
        if isinstance(scope, Resource):
            scope = Place(subscription=self.place.subscription, group=scope.name)
        module = deploy(path, content["params"], scope)
        self._deployment.modules.append(module)
        return module
