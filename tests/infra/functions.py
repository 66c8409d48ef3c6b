"""Bicep's functions, those that ``infra/`` calls and that need nothing of the deployment."""

import json
from collections.abc import Callable
from hashlib import sha256
from ipaddress import ip_network
from typing import Any

_ENVIRONMENT = {
    "resourceManager": "https://management.azure.com/",
    "suffixes": {"storage": "core.windows.net", "acrLoginServer": ".azurecr.io"},
}


def _text_of(*parts: object) -> str:
    return sha256(json.dumps([str(part) for part in parts]).encode()).hexdigest()


def _guid(*parts: object) -> str:
    digits = _text_of(*parts)
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:32]))


def _union(*parts: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for part in parts:
        for key, value in part.items():
            both = isinstance(made.get(key), dict) and isinstance(value, dict)
            made[key] = _union(made[key], value) if both else value
    return made


def _subnet(prefix: str, length: int, index: int) -> str:
    return str(list(ip_network(prefix).subnets(new_prefix=length))[index])


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "cidrSubnet": _subnet,
    "concat": lambda *parts: [item for part in parts for item in part],
    "empty": lambda value: not value,
    "environment": lambda: _ENVIRONMENT,
    "filter": lambda items, keep: [item for item in items if keep(item)],
    "guid": _guid,
    "join": lambda items, between: between.join(items),
    "json": json.loads,
    "last": lambda items: items[-1],
    "map": lambda items, change: [change(item) for item in items],
    "max": max,
    "split": lambda value, between: value.split(between),
    "string": lambda value: value if isinstance(value, str) else json.dumps(value),
    "subscriptionResourceId": lambda kind, name: f"/subscriptions/sub/providers/{kind}/{name}",
    "toObject": lambda items, key, value: {str(key(item)): value(item) for item in items},
    "toLower": lambda value: value.lower(),
    "union": _union,
    "uniqueString": lambda *parts: _text_of(*parts)[:13],
}
