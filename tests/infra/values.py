"""What evaluating Bicep yields beside plain values."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


class Runtime(str):
    """A value that Azure makes up during the deployment; the text says where it would come from."""

    __slots__ = ()

    def member(self, name: str) -> "Runtime":
        return Runtime(f"{self}.{name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    subscription: str = "sub"
    group: str = ""

    @property
    def id(self) -> str:
        group = f"/resourceGroups/{self.group}" if self.group else ""
        return f"/subscriptions/{self.subscription}{group}"


@dataclass(slots=True, kw_only=True, eq=False)
class Resource:
    type: str
    id: str
    name: str
    existing: bool
    place: Place
    body: dict[str, Any]

    def member(self, name: str) -> Any:
        match name:
            case "id" | "name":
                return getattr(self, name)
            case "properties":
                return Runtime(f"<{self.name}>")
            case "location" | "identity":
                return Runtime(f"<{self.name}>.{name}")
        raise AssertionError(f"{self.type} has no {name} here")


@dataclass(slots=True, kw_only=True, eq=False)
class Deployment:
    """The resources and outputs of one file, and of the modules below it."""

    path: Path
    place: Place
    resources: list[Resource] = field(default_factory=list)
    modules: list["Deployment"] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)

    def all(self, type_: str = "") -> list[Resource]:
        """Return every resource that is deployed, at any depth, of the type if one is given."""
        found = [r for r in self.resources if not r.existing and type_ in {"", r.type}]
        return found + [resource for module in self.modules for resource in module.all(type_)]

    def member(self, name: str) -> Any:
        assert name == "outputs", name
        return self.outputs
