import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emulators.functions_host.errors import HostError
from emulators.functions_host.protos import RpcFunctionMetadata, RpcRetryOptions
from emulators.functions_host.settings import resolve_percents

TRIGGERS = frozenset({"httpTrigger", "queueTrigger", "timerTrigger", "eventGridTrigger"})
OUTPUTS = frozenset({"http", "queue"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """One binding of a function, its `%NAME%`s resolved."""

    name: str
    type: str
    is_output: bool
    properties: Mapping[str, Any]

    def text(self, key: str, default: str = "") -> str:
        return str(self.properties.get(key) or default)

    def flag(self, key: str, *, default: bool) -> bool:
        value = self.properties.get(key, default)
        return value if isinstance(value, bool) else str(value).lower() == "true"


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """One function of the app as the worker indexed it."""

    name: str
    function_id: str
    trigger: Binding
    outputs: tuple[Binding, ...]
    retry: RpcRetryOptions | None

    @property
    def place(self) -> str:
        return f"function {self.name!r}, binding {self.trigger.name!r}"


def read_function(metadata: RpcFunctionMetadata, settings: Mapping[str, str]) -> Function:
    """Read a function from the worker's metadata; a HostError names what is unsupported."""
    bindings = [_read_binding(metadata.name, json.loads(raw), settings) for raw in metadata.raw_bindings]
    triggers = [binding for binding in bindings if not binding.is_output]
    if len(triggers) != 1:
        raise HostError(
            f"function {metadata.name!r}: one trigger and no other input binding can be hosted here, "
            f"but it has {[binding.type for binding in triggers]}"
        )
    return Function(
        name=metadata.name,
        function_id=metadata.function_id,
        trigger=triggers[0],
        outputs=tuple(binding for binding in bindings if binding.is_output),
        retry=metadata.retry_options,
    )


def _read_binding(function: str, raw: Mapping[str, Any], settings: Mapping[str, str]) -> Binding:
    where = f"function {function!r}, binding {raw['name']!r}"
    is_output = raw["direction"] == "OUT"
    supported = OUTPUTS if is_output else TRIGGERS
    if raw["type"] not in supported:
        raise HostError(
            f"{where}: type {raw['type']!r} is not one this development host knows "
            f"({', '.join(sorted(supported))}); run it with Core Tools (`func start`)"
        )
    return Binding(
        name=raw["name"],
        type=raw["type"],
        is_output=is_output,
        properties={
            key: value
            if key in {"name", "type", "direction"}
            else resolve_percents(value, settings, where=where)
            for key, value in raw.items()
        },
    )


def names(functions: Sequence[Function]) -> str:
    return ", ".join(function.name for function in functions)
