"""One grammar for every side: ``registry``, ``registry/repository``, with ``:tag`` or ``@digest``."""

from cli.exits import Failure
from shared.oci.names import DOCKER_HUB, LoginServer, Reference, parse_login_server, parse_reference


def parse_registry(text: str) -> tuple[LoginServer, str]:
    """Return a registry and the path in it below which repositories are meant, empty for all of it.

    :raises InvalidName: when it names no registry.
    :raises Failure: for Docker Hub without a namespace: nobody can list all of it.
    """
    host, _, path = text.rstrip("/").partition("/")
    registry = parse_login_server(host)
    if registry == DOCKER_HUB and (not path or "/" in path):
        raise Failure("Docker Hub lists one namespace at a time", hint="as in docker.io/acme")
    if ":" in path or "@" in path:
        raise Failure(f"{text} names a tag or a manifest, and a registry is wanted here")
    return registry, path


def parse_repository_place(text: str) -> Reference:
    """Return a repository.

    :raises Failure: when it names more than that.
    """
    found = parse_reference(text)
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
    found = parse_reference(text)
    if found.tag is None or found.digest is not None:
        raise Failure(f"{text} names no tag", hint=f"as in {found.registry}/{found.repository}:v1")
    return found


def parse_item(text: str) -> Reference:
    """Return a tag or a manifest.

    :raises Failure: when it names neither.
    """
    found = parse_reference(text)
    if found.tag is None and found.digest is None:
        place = f"{found.registry}/{found.repository}"
        raise Failure(f"{text} names no tag and no digest", hint=f"as in {place}:v1 or {place}@sha256:...")
    return found
