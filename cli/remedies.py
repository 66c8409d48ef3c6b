"""What to do next, for every error that a person can meet."""

import sys
import traceback
from typing import Final

from cli.exits import FAILED, NO, USAGE
from cli.output import hint, say_error
from cli.places import AZURE_DOMAINS
from cli.sentences import in_words, server_of
from shared.environment import is_loopback
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
from shared.oci.names import DOCKER_HUB, LoginServer

_DOCUMENTS: Final = {
    InvalidPolicy: "docs/policy.md explains every key by example",
    InvalidSettings: "docs/settings.md describes each setting",
}


def explain_error(error: Exception) -> int:
    """Say what went wrong and what to do next; return the exit code."""
    if isinstance(error, InvalidPolicy | InvalidSettings):
        return say_problems(error, _DOCUMENTS[type(error)])
    if isinstance(error, StewardError):
        say_error(in_words(error), remedy(error))
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


def say_problems(error: InvalidPolicy | InvalidSettings, what_next: str) -> int:
    """Say each problem of a document at its line, and what to do next; return the exit code."""
    for problem in error.problems:
        line = "" if problem.line is None else f":{problem.line}"
        say_error(f"{error.source}{line}: {problem.path}: {problem.message}")
    hint(what_next)
    return USAGE


def remedy(error: StewardError) -> str:
    """Return what a person can do about the error, nothing where the error says it all."""
    match error:
        case CopyFailed(cause=AuthenticationFailed() as cause):
            text = _signing_in(server_of(cause), f"{error.origin}-")
        case CopyFailed():
            text = remedy(error.cause)
        case AuthenticationFailed():
            text = _signing_in(server_of(error))
        case AccessDenied():
            text = f"an account or role lacks a permission: steward doctor {server_of(error)} says which"
        case NotFound():
            text = f"steward repositories {_place(server_of(error))} and steward tags list what there is"
        case OperationDisallowed():
            text = "it may be locked: steward unlock; or the registry does not offer this"
        case RateLimited():
            text = f"try again in {f'{error.retry_after:.0f} s' if error.retry_after else 'some minutes'}"
        case RegistryUnavailable():
            text = _unreachable(error)
        case StorageError():
            text = "check the StewardStorage settings: steward doctor tries each"
        case _:
            text = ""
    return text


def _place(server: str) -> str:
    """Return what ``steward repositories`` takes: of Docker Hub, a namespace."""
    return f"{server}/NAMESPACE" if server == DOCKER_HUB else server


def _signing_in(server: str, side: str = "") -> str:
    if server == DOCKER_HUB:
        return "set DOCKERHUB_USERNAME and DOCKERHUB_TOKEN to an account and one of its access tokens"
    if server.endswith(AZURE_DOMAINS):
        return (
            "sign in with az login, or set STEWARD_USERNAME and STEWARD_PASSWORD; the identity needs AcrPull "
            f"to read, AcrDelete to remove, AcrPush to write: steward doctor {server} says what is missing"
        )
    variable = f"STEWARD_{side.replace('-', '_').upper()}"
    return f"give --{side}username and --{side}password, or set {variable}USERNAME and {variable}PASSWORD"


def _unreachable(error: RegistryError) -> str:
    text, server = str(error).lower(), server_of(error)
    if "certverification" in text or "certificate" in text:
        return "a registry whose certificate is signed by your own authority needs --ca-file"
    if is_loopback(LoginServer(server)):
        return "is it running? A registry without TLS on this machine needs --plain-http"
    if server.endswith(AZURE_DOMAINS):
        return "steward login-server lists what your registries are really called; else it is the network"
    return "check the name and the network"
