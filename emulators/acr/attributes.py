"""The JSON that ``/acr/v1`` shows of repositories, tags and manifests."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from emulators.acr.errors import invalid_request
from emulators.registry.records import Locks, Manifest, Tag
from emulators.registry.repository import Repository

_SWITCHES = {
    "deleteEnabled": "delete",
    "writeEnabled": "write",
    "readEnabled": "read",
    "listEnabled": "list",
}
_QUARANTINE = {"quarantineState": "quarantine_state", "quarantineDetails": "quarantine_details"}


def timestamp(moment: datetime) -> str:
    """Write a time as ACR does: seven digits of a second, the last one finer than Python's clock."""
    microseconds = moment.isoformat(timespec="microseconds")[:26]
    return f"{microseconds}{moment.microsecond % 10}Z"


def repository_json(repository: Repository) -> dict[str, Any]:
    return {
        "createdTime": timestamp(repository.created),
        "lastUpdateTime": timestamp(repository.updated),
        "manifestCount": len(repository.manifests),
        "tagCount": len(repository.tags),
        "changeableAttributes": _switches(repository.locks),
    }


def tag_json(tag: Tag) -> dict[str, Any]:
    return {
        "name": tag.name,
        "digest": tag.digest,
        "createdTime": timestamp(tag.created),
        "lastUpdateTime": timestamp(tag.updated),
        "signed": False,
        "changeableAttributes": _switches(tag.locks),
    }


def manifest_json(manifest: Manifest) -> dict[str, Any]:
    """Show a manifest as lists do: ``tags`` is absent, not empty, when nothing points at it."""
    attributes: dict[str, Any] = {
        "digest": manifest.digest,
        "imageSize": manifest.image_size,
        "createdTime": timestamp(manifest.created),
        "lastUpdateTime": timestamp(manifest.updated),
    }
    if manifest.architecture:
        attributes["architecture"] = manifest.architecture
    if manifest.os:
        attributes["os"] = manifest.os
    attributes["mediaType"] = manifest.media_type
    if manifest.config_media_type:
        attributes["configMediaType"] = manifest.config_media_type
    if manifest.tags:
        attributes["tags"] = manifest.tags
    switches: dict[str, Any] = _switches(manifest.locks)
    if manifest.quarantine_state is not None:
        switches["quarantineState"] = manifest.quarantine_state
    if manifest.quarantine_details is not None:
        switches["quarantineDetails"] = manifest.quarantine_details
    attributes["changeableAttributes"] = switches
    return attributes


def manifest_with_references_json(manifest: Manifest) -> dict[str, Any]:
    """Show a manifest by itself: of an index, also its children."""
    attributes = manifest_json(manifest)
    if manifest.is_index:
        attributes["references"] = [
            {"digest": child["digest"]}
            | {key: child["platform"][key] for key in ("architecture", "os") if "platform" in child}
            for child in manifest.document()["manifests"]
        ]
    return attributes


def read_switches(body: bytes, locks: Locks) -> tuple[Locks, dict[str, str]]:
    """Read the body of a PATCH, any subset of the switches, and apply it to locks.

    The second value holds a manifest's quarantine fields by their attribute names.
    """
    try:
        document = json.loads(body)
    except ValueError:
        raise invalid_request("the body is not JSON") from None
    if not isinstance(document, dict):
        raise invalid_request("the body is not a JSON object")
    switches = {field: getattr(locks, field) for field in _SWITCHES.values()}
    quarantine: dict[str, str] = {}
    for name, value in document.items():
        if name in _SWITCHES and isinstance(value, bool):
            switches[_SWITCHES[name]] = value
        elif name in _QUARANTINE and isinstance(value, str):
            quarantine[_QUARANTINE[name]] = value
        elif value is not None:
            raise invalid_request(f"{name!r} cannot be set to {value!r}")
    return Locks(**switches), quarantine


def _switches(locks: Locks) -> dict[str, Any]:
    return {
        "deleteEnabled": locks.delete,
        "writeEnabled": locks.write,
        "readEnabled": locks.read,
        "listEnabled": locks.list,
    }
