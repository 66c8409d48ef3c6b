"""Errors as people read them: who failed and why, without the request; ``-vv`` shows those."""

from http import HTTPStatus
from typing import Final

from shared.errors import CopyFailed, RegistryError, RegistryUnavailable, StewardError
from shared.oci.names import DOCKER_HUB

_FAILURES: Final = (
    (("SSLCertVerificationError",), "its certificate is not trusted here"),
    (("SSL",), "no TLS is spoken there"),
    (("ConnectionRefusedError",), "nothing listens there"),
    (("gaierror", "NameResolutionError"), "its name is not known"),
    (("imeout",), "it takes too long"),
    (("ConnectionResetError", "RemoteDisconnected", "IncompleteRead"), "it hangs up"),
)
"""Parts of the names of exceptions, as :mod:`shared.registry.retry` lists them, in words."""


def in_words(error: StewardError) -> str:
    """Return the error as a sentence."""
    if isinstance(error, CopyFailed):
        return f"{error.what}: the {error.origin} failed: {in_words(error.cause)}"
    if isinstance(error, RegistryUnavailable) and error.status is None and "no answer" in error.message:
        return f"{error.registry} does not answer: {_why(error.message)}"
    if not isinstance(error, RegistryError):
        return str(error)
    message = error.message
    if server_of(error) == DOCKER_HUB and error.status == HTTPStatus.FORBIDDEN:
        message = "the account, or its token, may not do this"
    place = "" if message.startswith(error.registry) else f"{error.registry}: "
    parts = [*([] if error.status is None else [str(int(error.status))]), *error.codes]
    return f"{place}{message}{f' ({" ".join(parts)})' if parts else ''}"


def server_of(error: RegistryError) -> str:
    """Return the registry that failed, without a repository."""
    return error.registry.partition("/")[0]


def _why(message: str) -> str:
    for names, words in _FAILURES:
        if any(name in message for name in names):
            return words
    return message
