"""One grammar for every side: ``registry``, ``registry/repository``, with ``:tag`` or ``@digest``."""

import re
from collections.abc import Sequence
from typing import Final

import click

from cli.exits import Failure
from shared.oci.names import DOCKER_HUB, LoginServer, Reference, parse_login_server, parse_reference

_SERVER: Final = re.compile(r"localhost|[^/:]+:[0-9]+|[^/:]+\.[^/:]+")
AZURE_DOMAINS: Final = (".azurecr.io", ".azurecr.cn", ".azurecr.us")


def parse_place(text: str) -> Reference:
    """Return what the text names: a repository, a tag or a manifest.

    :raises Failure: when the registry or the repository is left out.
    :raises InvalidName: when a part of it is no name.
    """
    first, slash, rest = text.partition("/")
    if not rest and (_is_registry(first, slash) or _SERVER.fullmatch(text)):
        server = parse_login_server(first)
        below = f"{server}/NAMESPACE" if server == DOCKER_HUB else server
        raise Failure(f"{text} names no repository", hint=f"steward repositories {below} lists them")
    if not _is_registry(first, slash):
        on_hub = f"{DOCKER_HUB}/{text if slash else f'acme/{text}'}"
        raise Failure(f"{text} names no registry", hint=f"as in myreg.azurecr.io/{text} or {on_hub}")
    return parse_reference(text)


def _is_registry(first: str, slash: str) -> bool:
    """Tell whether the first component is a registry, as :func:`parse_reference` does."""
    return bool(slash) and ("." in first or ":" in first or first == "localhost")


def parse_registry(text: str) -> tuple[LoginServer, str]:
    """Return a registry and the path in it below which repositories are meant, empty for all of it.

    :raises InvalidName: when it names no registry.
    :raises Failure: for Docker Hub without a namespace: nobody can list all of it.
    """
    host, _, path = text.rstrip("/").partition("/")
    registry = parse_login_server(host)
    if ":" in path or "@" in path:
        raise Failure(
            f"{text} names a tag or a manifest, and a registry or a path in it is wanted here",
            hint=f"as in {registry}, or {registry}/{path.partition(':')[0].partition('@')[0]}",
        )
    if registry == DOCKER_HUB and (not path or path.count("/") > 1):
        raise Failure("Docker Hub lists one namespace at a time", hint="as in docker.io/acme")
    return registry, path


def registry_of(given: LoginServer | None, names: Sequence[str]) -> LoginServer:
    """Return the registry that is given, or else the one that all names begin with.

    :raises click.UsageError: when there is none.
    """
    if given is not None:
        return given
    found = {_registry_in(name) for name in names}
    registry = found.pop() if len(found) == 1 else None
    if registry is None:
        raise click.UsageError(
            "Missing option '--registry'; or name it with each repository, as in myreg.azurecr.io/team/app"
        )
    return registry


def _registry_in(name: str) -> LoginServer | None:
    """Return the registry that a repository, or a glob, begins with, as :func:`parse_reference` tells it."""
    first, slash, _ = name.partition("/")
    return parse_login_server(first) if _is_registry(first, slash) else None


def parse_repository_place(text: str) -> Reference:
    """Return a repository.

    :raises Failure: when it names more than that.
    """
    found = parse_place(text)
    if found.tag is not None or found.digest is not None:
        raise Failure(
            f"{text} names a tag or a manifest, and a repository is wanted here",
            hint=f"as in {found.registry}/{found.repository}",
        )
    return found


def parse_tagged(text: str) -> Reference:
    """Return a tag.

    :raises Failure: when it names none.
    """
    found = parse_place(text)
    if found.tag is None or found.digest is not None:
        raise Failure(f"{text} names no tag", hint=f"as in {found.registry}/{found.repository}:v1")
    return found


def parse_item(text: str) -> Reference:
    """Return a tag or a manifest.

    :raises Failure: when it names neither.
    """
    found = parse_place(text)
    if found.tag is None and found.digest is None:
        place = f"{found.registry}/{found.repository}"
        raise Failure(f"{text} names no tag and no digest", hint=f"as in {place}:v1 or {place}@sha256:...")
    return found
