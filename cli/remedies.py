"""What to do next, for every error that a person can meet."""

import sys
import traceback
from typing import Final

from cli.exits import FAILED, NO, USAGE
from cli.output import say_error
from shared.errors import (
    AccessDenied,
    AuthenticationFailed,
    CopyFailed,
    InvalidInput,
    InvalidPolicy,
    InvalidSettings,
    NotFound,
    OperationDisallowed,
    RateLimited,
    RegistryError,
    RegistryUnavailable,
    StewardError,
    StorageError,
)
from shared.oci.names import DOCKER_HUB

_AZURE: Final = (".azurecr.io", ".azurecr.cn", ".azurecr.us")


def explain_error(error: Exception) -> int:
    """Say what went wrong and what to do next; return the exit code."""
    if isinstance(error, InvalidPolicy | InvalidSettings):
        for problem in error.problems:
            line = "" if problem.line is None else f":{problem.line}"
            say_error(f"{error.source}{line}: {problem.path}: {problem.message}")
        return USAGE
    if isinstance(error, StewardError):
        say_error(str(error), remedy(error))
        return USAGE if isinstance(error, InvalidInput) else FAILED
    if isinstance(error, OSError) and error.filename is not None:
        say_error(f"{error.filename}: {error.strerror}")
        return USAGE
    if any(argument in {"-vv", "-vvv"} for argument in sys.argv):
        traceback.print_exception(error)
    say_error(
        f"a mistake in this program, not yours: {type(error).__name__}: {error}",
        "-vv shows where; please report it with what you ran",
    )
    return NO


def remedy(error: StewardError) -> str:
    """Return what a person can do about the error, nothing where the error says it all."""
    if isinstance(error, CopyFailed) and isinstance(error.cause, AuthenticationFailed):
        return _signing_in(error.cause.registry, f"{error.origin}-")
    if isinstance(error, CopyFailed):
        return remedy(error.cause)
    if isinstance(error, AuthenticationFailed):
        return _signing_in(error.registry)
    if isinstance(error, RateLimited):
        wait = f"{error.retry_after:.0f} s" if error.retry_after else "some minutes"
        return f"try again in {wait}"
    if isinstance(error, RegistryUnavailable):
        return _unreachable(error)
    return next((text for kind, text in _REMEDIES if isinstance(error, kind)), "")


_REMEDIES: Final[tuple[tuple[type[StewardError], str], ...]] = (
    (AccessDenied, "the identity lacks a permission: steward doctor says which"),
    (OperationDisallowed, "it may be locked: steward unlock; or the registry does not offer this"),
    (NotFound, "steward repositories and steward tags list what there is"),
    (StorageError, "check the StewardStorage settings: steward doctor tries each"),
)


def _signing_in(registry: str, side: str = "") -> str:
    server = registry.partition("/")[0]
    if server == DOCKER_HUB:
        return "set DOCKERHUB_USERNAME and DOCKERHUB_TOKEN to an account and one of its access tokens"
    if server.endswith(_AZURE):
        return (
            "sign in with az login, or set STEWARD_USERNAME and STEWARD_PASSWORD; the identity needs AcrPull "
            "to read, AcrDelete to remove, AcrPush to write: steward doctor says what is missing"
        )
    variable = f"STEWARD_{side.replace('-', '_').upper()}"
    return f"give --{side}username and --{side}password, or set {variable}USERNAME and {variable}PASSWORD"


def _unreachable(error: RegistryError) -> str:
    text = str(error).lower()
    if "certificate" in text or "ssl" in text:
        return "a registry whose certificate is signed by your own authority needs --ca-file"
    return "check the name and the network; a registry without TLS on this machine needs --plain-http"
