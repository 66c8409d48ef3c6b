"""What things in a registry are called.

Each name is a ``NewType`` over ``str`` that only its ``parse_`` function makes, so that a type checker
proves that a name was validated before it was used, at no cost in memory for repositories with a
million manifests.
"""

import re
from dataclasses import dataclass
from typing import NewType

from shared.errors import InvalidName

Digest = NewType("Digest", str)
"""``algorithm:encoded`` (image-spec, descriptor.md, "Digests")."""

TagName = NewType("TagName", str)
"""A mutable name of one manifest (distribution-spec, "Pulling manifests")."""

RepositoryName = NewType("RepositoryName", str)
"""A path inside a registry, such as ``team/app`` (distribution-spec, "Pulling manifests")."""

LoginServer = NewType("LoginServer", str)
"""A registry's host, lower-case, with a port where it is not the default: ``myreg.azurecr.io``."""

DOCKER_HUB = LoginServer("docker.io")

_ENCODED_LENGTH = {"sha256": 64, "sha512": 128}
_DIGEST = re.compile(r"(?P<algorithm>[a-z0-9]+(?:[+._-][a-z0-9]+)*):(?P<encoded>[a-zA-Z0-9=_-]+)")
_HEX = re.compile(r"[a-f0-9]+")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_REPOSITORY_LENGTH = 255
_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_LOGIN_SERVER = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:]+\])(?::(?P<port>[0-9]{{1,5}}))?")
_HOST_LENGTH = 255
_HIGHEST_PORT = 65535
_DOCKER_HUB_NAMES = frozenset(
    {"docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"}
)


def parse_digest(text: str) -> Digest:
    """Return the digest that the text is.

    Only sha256 and sha512 are accepted: the algorithms image-spec registers and registries serve.

    :raises InvalidName: unless it is an algorithm, a colon and that algorithm's length of lower-case hex.
    """
    match = _DIGEST.fullmatch(text)
    if match is None:
        raise InvalidName(
            f"{_quoted(text)} is not a digest: expected algorithm:hex, such as sha256:2c26b4..."
        )
    length = _ENCODED_LENGTH.get(match["algorithm"])
    if length is None:
        raise InvalidName(f"{_quoted(text)}: digest algorithm {match['algorithm']!r} is not sha256 or sha512")
    if len(match["encoded"]) != length or not _HEX.fullmatch(match["encoded"]):
        raise InvalidName(f"{_quoted(text)}: {match['algorithm']} needs {length} lower-case hex digits")
    return Digest(text)


def parse_tag(text: str) -> TagName:
    """Return the tag that the text is.

    :raises InvalidName: unless it is 1 to 128 word characters, dots and dashes, a word character first.
    """
    if not _TAG.fullmatch(text) or not text.isascii():
        raise InvalidName(
            f"{_quoted(text)} is not a tag: expected 1 to 128 letters, digits, '_', '.' and '-', "
            "the first of them not '.' or '-'"
        )
    return TagName(text)


def parse_repository(text: str) -> RepositoryName:
    """Return the repository name that the text is.

    :raises InvalidName: unless it is at most 255 characters of lower-case path components.
    """
    if len(text) > _REPOSITORY_LENGTH:
        raise InvalidName(f"{_quoted(text)} is not a repository: longer than {_REPOSITORY_LENGTH} characters")
    if not _REPOSITORY.fullmatch(text):
        raise InvalidName(
            f"{_quoted(text)} is not a repository: expected lower-case letters and digits, separated "
            "by '.', '_', '__' or dashes, in components separated by '/'"
        )
    return RepositoryName(text)


def parse_login_server(text: str) -> LoginServer:
    """Return the login server that the text names, lower-case; Docker Hub, however named, is ``docker.io``.

    :raises InvalidName: unless it is a host name with an optional port; a scheme or a path is refused.
    """
    lowered = text.lower()
    match = _LOGIN_SERVER.fullmatch(lowered)
    if match is None or len(lowered) > _HOST_LENGTH:
        raise InvalidName(
            f"{_quoted(text)} is not a login server: expected a host such as myreg.azurecr.io, "
            "with a port if need be, without scheme or path"
        )
    if match["port"] and not 0 < int(match["port"]) <= _HIGHEST_PORT:
        raise InvalidName(f"{_quoted(text)} is not a login server: port {match['port']} does not exist")
    return DOCKER_HUB if lowered in _DOCKER_HUB_NAMES else LoginServer(lowered)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A repository in a registry, with a tag, a digest, both or neither.

    With both, the digest is what is meant and the tag is only how it was found.
    """

    registry: LoginServer
    repository: RepositoryName
    tag: TagName | None = None
    digest: Digest | None = None

    def __str__(self) -> str:
        """Read as ``registry/repository:tag@digest``, the form :func:`parse_reference` takes."""
        tag = "" if self.tag is None else f":{self.tag}"
        digest = "" if self.digest is None else f"@{self.digest}"
        return f"{self.registry}/{self.repository}{tag}{digest}"


def parse_reference(text: str, *, default_registry: LoginServer | None = None) -> Reference:
    """Return the reference that the text is; a missing tag stays missing.

    The first component is a registry when it has a dot or a colon, or is ``localhost``: the rule of
    Docker's reference grammar (distribution/reference, "splitDockerDomain"). Without one, the
    ``default_registry`` is meant. On Docker Hub a single component is an official image:
    ``docker.io/alpine`` is ``docker.io/library/alpine``.

    :raises InvalidName: naming the part that is wrong.
    """
    rest, at, digest_text = text.partition("@")
    digest = parse_digest(digest_text) if at else None
    first, slash, remainder = rest.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        registry, path = parse_login_server(first), remainder
    elif default_registry is not None:
        registry, path = default_registry, rest
    else:
        raise InvalidName(f"{_quoted(text)} is not a reference: it starts with no registry")
    name, colon, tag_text = path.rpartition(":") if ":" in path else (path, "", "")
    tag = parse_tag(tag_text) if colon else None
    if registry == DOCKER_HUB and "/" not in name:
        name = f"library/{name}"
    return Reference(registry=registry, repository=parse_repository(name), tag=tag, digest=digest)


def _quoted(text: str) -> str:
    """Show hostile input safely: escaped, and cut to a readable length."""
    readable = 140
    return repr(text if len(text) <= readable else f"{text[:readable]}...")
