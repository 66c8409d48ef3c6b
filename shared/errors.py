"""Every error this project raises on purpose, in one tree.

::

    StewardError
    ├── InvalidInput                  somebody's text is wrong; never retried
    │   ├── InvalidName               a digest, tag, repository, login server or reference
    │   ├── InvalidManifest           manifest bytes that no spec allows, or too many of them
    │   ├── InvalidEvent              a registry event that cannot be understood
    │   ├── InvalidMessage            a queue message of ours that cannot be understood
    │   ├── InvalidPolicy             the policy document; carries every problem at once
    │   └── InvalidSettings           the app settings; carries every problem at once
    ├── RegistryError                 a registry answered with an error, or not at all
    │   ├── AuthenticationFailed      401 that a fresh token did not cure, or refused credentials
    │   ├── AccessDenied              403
    │   ├── NotFound                  404
    │   ├── OperationDisallowed       405: locked, or not offered by this registry
    │   ├── ContentRejected           400, 413, 422 and their kin: the same request fails again
    │   │   └── ManifestBlobUnknown   a manifest was refused because of content it points at
    │   ├── RateLimited               429; knows when to come back
    │   ├── RegistryUnavailable       5xx, or no answer; worth another try later
    │   └── ProtocolViolation         an answer that breaks the spec or our caps
    │       └── DigestMismatch        bytes that are not what their digest says
    ├── CopyFailed                    copying a graph; says which side failed
    └── StorageError                  Azure Storage, ours
        └── StorageUnavailable        worth another try later

The *type* decides what a door does: ``temporary`` errors are raised, so that the queue tries
again; all others are recorded and acknowledged, because the same message would fail the same way.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

type Origin = Literal["source", "target"]


class StewardError(Exception):
    """The root: catching it catches every error raised on purpose, and nothing else."""

    temporary: ClassVar[bool] = False


class InvalidInput(StewardError, ValueError):
    """Text from outside that cannot be understood; the message names the place."""


class InvalidName(InvalidInput):
    """A digest, tag, repository, login server or reference that breaks its grammar."""


class InvalidManifest(InvalidInput):
    """Manifest bytes that cannot be parsed, or that exceed the size this project accepts."""


class InvalidEvent(InvalidInput):
    """A registry event whose envelope or data cannot be understood."""


class InvalidMessage(InvalidInput):
    """A queue message that is not of this project's making, or of a later version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong with a document: where (a path, and a line where there is one) and what."""

    path: str
    message: str
    line: int | None = None

    def __str__(self) -> str:
        """Read as ``path (line 3): message``."""
        place = self.path if self.line is None else f"{self.path} (line {self.line})"
        return f"{place}: {self.message}"


class _Problems(InvalidInput):
    """Carries all problems of one document, so that a person fixes the document once."""

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        self.source = source
        self.problems = tuple(problems)
        super().__init__(f"{source}: " + "; ".join(map(str, self.problems)))


class InvalidPolicy(_Problems):
    """A policy document with one or more problems."""


class InvalidSettings(_Problems):
    """App settings with one or more problems."""


class RegistryError(StewardError):
    """A registry answered with an error, or did not answer.

    ``url`` is redacted before it comes here; ``codes`` are the error codes of the body
    (distribution-spec, "Error Codes"), empty when it had none; ``status`` is ``None`` when there was
    no answer.
    """

    def __init__(
        self,
        message: str,
        *,
        registry: str,
        method: str = "",
        url: str = "",
        status: int | None = None,
        codes: Sequence[str] = (),
    ) -> None:
        self.message = message
        self.registry = registry
        self.method = method
        self.url = url
        self.status = status
        self.codes = tuple(codes)
        request = f"{method} {url}".strip()
        answer = "" if status is None else f"{status} "
        coded = f"[{', '.join(self.codes)}] " if self.codes else ""
        super().__init__(f"{registry}: {f'{request}: ' if request else ''}{answer}{coded}{message}")


class AuthenticationFailed(RegistryError):
    """Credentials were refused, or a fresh token does not grant what the operation needs.

    ``retry_after`` is in how many seconds a refused credential is tried again, ``None`` when it was not
    the credential that was refused.
    """

    def __init__(
        self,
        message: str,
        *,
        registry: str,
        retry_after: float | None = None,
        method: str = "",
        url: str = "",
        status: int | None = None,
        codes: Sequence[str] = (),
    ) -> None:
        super().__init__(message, registry=registry, method=method, url=url, status=status, codes=codes)
        self.retry_after = retry_after


class AccessDenied(RegistryError):
    """The registry knows who asks, and says no."""


class NotFound(RegistryError):
    """The repository, tag, manifest, blob or upload session does not exist."""


class OperationDisallowed(RegistryError):
    """The content is locked, or the registry does not offer the operation."""


class ContentRejected(RegistryError):
    """The request itself is refused; the same request would be refused again."""


class ManifestBlobUnknown(ContentRejected):
    """A manifest was refused because the registry does not have what it points at."""


class RateLimited(RegistryError):
    """Too many requests. ``retry_after`` is seconds from now, ``None`` when the registry gave none."""

    temporary: ClassVar[bool] = True

    def __init__(
        self,
        message: str,
        *,
        registry: str,
        retry_after: float | None = None,
        method: str = "",
        url: str = "",
        status: int | None = 429,
        codes: Sequence[str] = (),
    ) -> None:
        super().__init__(message, registry=registry, method=method, url=url, status=status, codes=codes)
        self.retry_after = retry_after


class RegistryUnavailable(RegistryError):
    """The registry failed, or could not be reached; the same request may succeed later."""

    temporary: ClassVar[bool] = True


class ProtocolViolation(RegistryError):
    """An answer that breaks the spec, or is larger than this project reads."""


class DigestMismatch(ProtocolViolation):
    """Bytes whose digest or size is not the announced one; they are never passed on."""


class CopyFailed(StewardError):
    """A graph could not be copied; ``origin`` says which side failed and ``cause`` how.

    As temporary as its cause.
    """

    def __init__(self, what: str, *, origin: Origin, cause: StewardError) -> None:
        self.what = what
        self.origin = origin
        self.cause = cause
        super().__init__(f"copying {what}: {origin} failed: {cause}")

    @property
    def temporary(self) -> bool:  # type: ignore[override]
        """True when the cause is worth another try."""
        return self.cause.temporary


class StorageError(StewardError):
    """Azure Storage refused something of ours."""


class StorageUnavailable(StorageError):
    """Azure Storage failed or could not be reached."""

    temporary: ClassVar[bool] = True
