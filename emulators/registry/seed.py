"""Fill registries from a written picture of them, with back-dated times.

    picture = load_seed("seed.yaml")                     # YAML or JSON; raises SeedError naming the place
    seed(state, picture["registries"]["demo"])           # or seed(state, document_with_one_registry)

The format: ``registries: {name: {repositories: {repository: {images: [image]}}}}``, where an image has

    tags: [v1.0, latest]     none for an orphan          platforms: [linux/amd64]   several make an index
    age: 40d                 or 12h, 90m, an ISO time    layers: 1, layer_size: 1024, docker: false
    locked: true             its tags; lock: {tag: {writeEnabled: false}, manifest: {deleteEnabled: false}}
    signed: cosign           a sha256-<hex>.sig tag      signed: referrer           a subject pointing at it
    nested: true             an index around the index
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import yaml

from emulators.registry.images import (
    Artifact,
    build_cosign_signature,
    build_image,
    build_index,
    build_referrer,
    cosign_tag,
)
from emulators.registry.records import NAME, TAG, Locks
from emulators.registry.state import RegistryState

_AGE = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_ATTRIBUTES = {
    "deleteEnabled": "delete",
    "writeEnabled": "write",
    "readEnabled": "read",
    "listEnabled": "list",
}
_FIELDS = frozenset(
    {
        "age",
        "docker",
        "layer_size",
        "layers",
        "lock",
        "locked",
        "nested",
        "platforms",
        "signed",
        "tags",
    }
)


class SeedError(ValueError):
    """A seed that cannot be planted; the message begins with the place."""


def load_seed(path: str | Path) -> dict[str, Any]:
    """Read a seed file, YAML or JSON, and check that it names registries."""
    document = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    if not isinstance(document, dict) or not isinstance(document.get("registries"), dict):
        raise SeedError(f"{path}: a seed is a mapping with 'registries'")
    return document


def seed(state: RegistryState, document: Mapping[str, Any]) -> None:
    """Plant one registry: either its own mapping or a whole document with a single registry in it."""
    registries = document.get("registries")
    if isinstance(registries, dict):
        if len(registries) != 1:
            raise SeedError(f"registries: one was expected, not {sorted(registries)}")
        document = next(iter(registries.values()))
    now = state.clock()
    for name, content in _mapping(document.get("repositories", {}), "repositories").items():
        place = f"repositories.{name}"
        if not NAME.fullmatch(str(name)):
            raise SeedError(f"{place}: not a repository name")
        images = _mapping(content or {}, place).get("images", [])
        if not isinstance(images, list):
            raise SeedError(f"{place}.images: a list was expected")
        planned = [_Image(name, each, f"{place}.images[{i}]", now) for i, each in enumerate(images)]
        if not planned:
            state.create_repository(name)
        for image in sorted(planned, key=lambda each: each.at):
            image.plant(state)


class _Image:
    def __init__(self, repository: str, document: object, place: str, now: datetime) -> None:
        self.repository = repository
        self.place = place
        self.document = _mapping(document, place)
        unknown = self.document.keys() - _FIELDS
        if unknown:
            raise SeedError(f"{place}: unknown {sorted(unknown)}, known are {sorted(_FIELDS)}")
        self.tags: list[str] = [str(tag) for tag in self.document.get("tags") or []]
        for tag in self.tags:
            if not TAG.fullmatch(tag):
                raise SeedError(f"{place}.tags: {tag!r} is not a tag")
        self.at = parse_age(self.document.get("age", 0), now=now, place=f"{place}.age")

    def plant(self, state: RegistryState) -> None:
        artifact = self._build()
        digest = artifact.push_to(state, self.repository, at=self.at)
        for tag in self.tags:
            state.put_manifest(self.repository, artifact.content, artifact.media_type, tag=tag, at=self.at)
        match self.document.get("signed"):
            case None | False:
                pass
            case "cosign":
                signature = build_cosign_signature(artifact)
                signature.push_to(state, self.repository, tag=cosign_tag(digest), at=self.at)
            case "referrer":
                build_referrer(artifact).push_to(state, self.repository, at=self.at)
            case other:
                raise SeedError(f"{self.place}.signed: 'cosign' or 'referrer' was expected, not {other!r}")
        self._lock(state, digest)

    def _build(self) -> Artifact:
        platforms: Sequence[str] = self.document.get("platforms") or ["linux/amd64"]
        docker = bool(self.document.get("docker", False))
        images = [
            build_image(
                layers=int(self.document.get("layers", 1)),
                layer_size=int(self.document.get("layer_size", 1024)),
                platform=platform,
                docker=docker,
            )
            for platform in platforms
        ]
        artifact = images[0] if len(images) == 1 else build_index(images, docker=docker)
        return build_index([artifact]) if self.document.get("nested") else artifact

    def _lock(self, state: RegistryState, digest: str) -> None:
        lock = _mapping(self.document.get("lock") or {}, f"{self.place}.lock")
        wanted = Locks(write=False, delete=False) if self.document.get("locked") else Locks()
        for field, attributes in lock.items():
            if field not in {"tag", "manifest"}:
                raise SeedError(f"{self.place}.lock: 'tag' and 'manifest' are known, not {field!r}")
            changes = dict(self._switches(attributes, field))
            if field == "manifest":
                state.change_manifest(self.repository, digest, locks=Locks(**changes))
            else:
                wanted = replace(wanted, **changes)
        if wanted != Locks():
            for tag in self.tags:
                state.set_tag_locks(self.repository, tag, wanted)

    def _switches(self, attributes: object, field: str) -> Iterator[tuple[str, bool]]:
        place = f"{self.place}.lock.{field}"
        for name, value in _mapping(attributes, place).items():
            if name not in _ATTRIBUTES or not isinstance(value, bool):
                raise SeedError(f"{place}: {name!r} is not a switch of {sorted(_ATTRIBUTES)}")
            yield _ATTRIBUTES[name], value


def parse_age(age: object, *, now: datetime, place: str = "age") -> datetime:
    """Turn ``40d``, ``12h``, ``90m``, an ISO time or 0 into the moment meant."""
    if isinstance(age, datetime):
        return _in_utc(age)
    if age == 0:
        return now
    found = _AGE.fullmatch(str(age))
    if found is not None:
        return now - timedelta(**{_UNITS[found[2]]: float(found[1])})
    try:
        moment = datetime.fromisoformat(str(age))
    except ValueError:
        raise SeedError(f"{place}: {age!r} is neither an age such as 40d nor an ISO time") from None
    return _in_utc(moment)


def _in_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _mapping(value: object, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise SeedError(f"{place}: a mapping was expected")
    return cast("dict[str, Any]", value)
