"""What a person can do about a replication that failed for good."""

from typing import Final

from shared.errors import (
    AccessDenied,
    AuthenticationFailed,
    ContentRejected,
    CopyFailed,
    DigestMismatch,
    InvalidManifest,
    InvalidName,
    InvalidSettings,
    ManifestBlobUnknown,
    NotFound,
    OperationDisallowed,
    RegistryError,
    StewardError,
)
from shared.oci.names import DOCKER_HUB

_OF_SOURCE: Final[tuple[tuple[type[StewardError], str], ...]] = (
    (AccessDenied, "give the app's identity the role AcrPull on the source registry"),
    (AuthenticationFailed, "give the app's identity the role AcrPull on the source registry"),
    (NotFound, "the source lost content that the tag needs: push it again"),
    (DigestMismatch, "the source serves damaged content: push it again"),
    (InvalidManifest, "push it again with a current tool"),
)
_OF_TARGET: Final[tuple[tuple[type[StewardError], str], ...]] = (
    (ManifestBlobUnknown, "the target has lost a layer and took none in its place: delete its repository"),
    (OperationDisallowed, "unlock the tag or the repository on the target"),
    (AccessDenied, "let the credential push there, and see whether the tag is locked or immutable"),
    (AuthenticationFailed, "mend the credential of the target in the app settings"),
    (NotFound, "the target's namespace does not exist, or the credential does not see it"),
    (
        ContentRejected,
        "the target does not take it: leave it out of the route; if it is attached, by referrers: false",
    ),
)
_OF_DOCKER_HUB: Final[tuple[tuple[type[StewardError], str], ...]] = (
    (
        AccessDenied,
        "its token needs Read, Write, Delete in that namespace; or the tag is immutable and holds another",
    ),
    (AuthenticationFailed, "mend DOCKERHUB_USERNAME and DOCKERHUB_TOKEN; a token may have expired"),
)


def advise(error: StewardError) -> str:
    """Return what failed and, where it is known, what to do about it."""
    advice = _advice(error)
    return f"{error}. To mend it: {advice}" if advice else str(error)


def _advice(error: StewardError) -> str | None:
    match error:
        case CopyFailed(origin="source", cause=cause):
            return _first(_OF_SOURCE, cause)
        case CopyFailed(cause=cause):
            return _of_target(cause)
        case RegistryError():
            return _of_target(error) if error.registry == DOCKER_HUB else _first(_OF_SOURCE, error)
        case InvalidName():
            return "change the target of the route, so that it gives names which the registry has"
        case InvalidSettings():
            return "correct the app settings"
    return None


def _of_target(error: StewardError) -> str | None:
    on_hub = isinstance(error, RegistryError) and error.registry == DOCKER_HUB
    return (_first(_OF_DOCKER_HUB, error) if on_hub else None) or _first(_OF_TARGET, error)


def _first(table: tuple[tuple[type[StewardError], str], ...], error: StewardError) -> str | None:
    return next((advice for kind, advice in table if isinstance(error, kind)), None)
