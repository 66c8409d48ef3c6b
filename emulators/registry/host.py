"""What one registry product decides about the common engine."""

from __future__ import annotations

from typing import Literal

from starlette.requests import Request
from starlette.responses import Response

from emulators.registry.records import MANIFEST_TYPES, Manifest
from emulators.registry.state import RegistryState
from emulators.registry.wire import WireError

type Referrers = Literal["none", "half", "full"]


class RegistryHost:
    """The decisions of an open registry; a product overrides those it takes otherwise.

    A method that returns a Response refuses by it; raising WireError does the same.
    """

    referrers: Referrers = "full"
    """``half`` answers OCI-Subject to a push but has no referrers API, as Docker Hub once did."""
    validate_references: bool = True
    manifest_limit: int = 4 * 1024 * 1024
    default_page: int | None = None
    page_cap: int | None = None
    null_catalog: bool = False
    """An empty catalog is ``null``, as services in Go easily write it."""
    link_order: bool = False
    """ACR's Link headers end in ``orderby=``."""
    tags_actions: tuple[str, ...] = ("pull",)
    media_types: frozenset[str] = MANIFEST_TYPES

    def __init__(self, state: RegistryState) -> None:
        self.state = state

    def authorize(
        self, request: Request, repository: str | None, actions: tuple[str, ...]
    ) -> Response | None:
        """Check the caller; ``(None, ())`` is GET /v2/ and ``(None, ("*",))`` the catalog."""
        del request, repository, actions
        return None

    def refuse_name(self, name: str) -> Response | None:
        """Refuse a repository name that is valid by the specification."""
        del name
        return None

    def refuse_pull(self, request: Request, repository: str, reference: str) -> Response | None:
        """Refuse to serve a manifest or a blob that is there."""
        del request, repository, reference
        return None

    def refuse_upload(self, request: Request, repository: str) -> Response | None:
        """Refuse to begin the upload of a blob, or to delete one."""
        del request, repository
        return None

    def refuse_push(
        self, request: Request, repository: str, manifest: Manifest, tag: str | None
    ) -> Response | None:
        """Refuse a manifest that is well-formed; ``tag`` is None for a push by digest."""
        del request, repository, manifest, tag
        return None

    def refuse_delete(self, request: Request, repository: str, manifest: Manifest) -> Response | None:
        """Refuse to delete a manifest that is there."""
        del request, repository, manifest
        return None

    def refuse_delete_by_tag(self, request: Request, repository: str, tag: str) -> Response | None:
        """Refuse to delete by tag; None lets the manifest behind it be deleted."""
        del request, repository, tag
        return WireError(405, "UNSUPPORTED", "The operation is unsupported.").response()

    def may_mount(self, request: Request, source: str) -> bool:
        """Say whether the caller may pull from the repository to mount from."""
        del request, source
        return True

    def redirect_blob(self, request: Request, repository: str, digest: str) -> str | None:
        """Name the URL that serves a blob; None serves it inline."""
        del request, repository, digest
        return None

    def location(self, request: Request, path: str) -> str:
        """Write a Location; relative here, as ACR's are."""
        del request
        return path

    def pushed(self, request: Request, repository: str, manifest: Manifest, tag: str | None) -> None:
        """Hear of each manifest PUT, new or not."""

    def deleted(self, request: Request, repository: str, manifest: Manifest) -> None:
        """Hear of each manifest that was deleted, as it was."""

    def finish(self, request: Request, response: Response) -> None:
        """Add headers to any answer."""

    def unknown_repository(self, name: str) -> WireError:
        return WireError(404, "NAME_UNKNOWN", "repository name not known to registry", {"name": name})

    def unknown_manifest(self, reference: str) -> WireError:
        detail = {"Digest" if ":" in reference else "Tag": reference}
        return WireError(404, "MANIFEST_UNKNOWN", "manifest unknown", detail)
