"""What Docker Hub decides about its registry, on top of the common engine."""

import uuid
from collections.abc import Callable, Iterable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from emulators.dockerhub.hub import Hub
from emulators.dockerhub.limits import Allowance, FixedWindows, client_address
from emulators.dockerhub.tokens import TokenRejectedError, bearer_token
from emulators.registry.host import Referrers, RegistryHost
from emulators.registry.records import MANIFEST_TYPES, OCI_ARTIFACT, Manifest
from emulators.registry.wire import WireError, decoded_path

_READS = frozenset({"GET", "HEAD"})
_PULL_LIMIT_REACHED = (
    "You have reached your pull rate limit. You may increase the limit by authenticating and upgrading: "
    "https://www.docker.com/increase-rate-limit"
)


class DockerHubHost(RegistryHost):
    """The registry of Docker Hub: who may pull, push and delete, and what it refuses."""

    media_types = MANIFEST_TYPES - {OCI_ARTIFACT}

    def __init__(
        self,
        hub: Hub,
        *,
        auth_url: str,
        sign_blob_url: Callable[[str], str],
        pulls: FixedWindows | None,
        referrers: Referrers,
        slow_deletes: bool,
    ) -> None:
        super().__init__(hub.catalogue.state)
        self.referrers = referrers
        self.registry_url = ""
        """Where the host is served; known only after it is."""
        self.orphans: set[tuple[str, str]] = set()
        """Repositories and digests of blobs that HEAD finds and a manifest PUT does not."""
        self._hub = hub
        self._realm = f"{auth_url}/token"
        self._sign_blob_url = sign_blob_url
        self._pulls = pulls
        self._slow_deletes = slow_deletes

    def authorize(
        self, request: Request, repository: str | None, actions: tuple[str, ...]
    ) -> Response | None:
        """Ask for a token that allows the actions, and for a mount also a pull of the source.

        Missing rights are answered 401 with ``insufficient_scope``, as CNCF distribution does.
        """
        needed: list[tuple[str, str, tuple[str, ...]]] = []
        if repository is not None:
            needed.append(("repository", repository, actions))
            source = _mount_source(request)
            if source is not None and _has_two_components(source):
                needed.append(("repository", source, ("pull",)))
        elif actions:
            needed.append(("registry", "catalog", actions))
        try:
            claims = self._claims(request)
        except TokenRejectedError:
            raise self._challenge(needed, error="invalid_token") from None
        if claims is None:
            raise self._challenge(needed)
        if repository is not None and not _has_two_components(repository):
            raise self._challenge(needed, error="insufficient_scope", code="DENIED")
        for kind, name, wanted in needed:
            if not set(wanted) <= _granted(claims, kind, name):
                raise self._challenge(needed, error="insufficient_scope")
        return None

    def refuse_pull(self, request: Request, repository: str, reference: str) -> Response | None:
        """Count a manifest GET as a pull; HEAD is free."""
        if request.method != "GET":
            return None
        if not _is_manifest(request):
            if (repository, reference) in self.orphans:
                raise _blob_unknown(404, "BLOB_UNKNOWN", reference)
            return None
        if self._pulls is not None and not self._pulls.take(self._puller(request)).allowed:
            raise WireError(429, "TOOMANYREQUESTS", _PULL_LIMIT_REACHED)
        self._hub.catalogue.note_pull(repository, reference)
        return None

    def refuse_upload(self, request: Request, repository: str) -> Response | None:
        """Refuse to delete blobs, and to mount from what cannot be a repository of Docker Hub.

        The latter is what a copier meets that names the repository of another registry
        (google/go-containerregistry#1741).
        """
        if request.method == "DELETE":
            raise WireError(405, "UNSUPPORTED", "The operation is unsupported.", {"name": repository})
        source = _mount_source(request)
        if source is not None and not _has_two_components(source):
            raise WireError(400, "NAME_INVALID", "invalid repository name", {"name": source})
        return None

    def refuse_push(
        self, request: Request, repository: str, manifest: Manifest, tag: str | None
    ) -> Response | None:
        """Refuse manifests over orphaned blobs, and any push to an immutable tag that exists.

        An identical push is refused too (docker/hub-feedback#2466).
        """
        del request
        for digest in manifest.references:
            if (repository, digest) in self.orphans:
                raise _blob_unknown(400, "MANIFEST_BLOB_UNKNOWN", digest)
        settings = self._hub.catalogue.find(repository)
        stored = self.state.repository(repository)
        if tag is not None and settings and stored and tag in stored.tags and settings.immutable.cover(tag):
            raise WireError(403, "DENIED", f"tag {tag} is immutable and cannot be overwritten")
        return None

    def refuse_delete(self, request: Request, repository: str, manifest: Manifest) -> Response | None:
        """Refuse to delete what a tag or an index still holds (docker/hub-feedback#2450)."""
        del request
        stored = self.state.repository(repository)
        others = stored.manifests.page() if stored is not None else ()
        if manifest.tags or any(manifest.digest in other.references for other in others):
            raise WireError(403, "DENIED", "manifest is referenced by a tag or another image")
        if self._slow_deletes:
            self.state.delete_manifest(repository, manifest.digest)
            raise WireError(500, "UNKNOWN", "deletion is being retried in the background")
        return None

    def refuse_delete_by_tag(self, request: Request, repository: str, tag: str) -> Response | None:
        del request, repository
        raise WireError(405, "UNSUPPORTED", "Only digest-based deletion is allowed", {"Tag": tag})

    def redirect_blob(self, request: Request, repository: str, digest: str) -> str | None:
        del request, repository
        return self._sign_blob_url(digest)

    def location(self, request: Request, path: str) -> str:
        """Write an absolute Location."""
        del request
        return f"{self.registry_url}{path}"

    def finish(self, request: Request, response: Response) -> None:
        """Add what every answer carries, and notice a blob that arrived whole after all."""
        response.headers["Docker-Distribution-Api-Version"] = "registry/2.0"
        path = decoded_path(request)
        if self.orphans and response.status_code == 201 and "/blobs/uploads/" in path:  # noqa: PLR2004 - Created
            repository = path.removeprefix("/v2/").partition("/blobs/uploads/")[0]
            self.orphans.discard((repository, response.headers["Docker-Content-Digest"]))
        if self._pulls is None or request.method not in _READS or not _is_manifest(request):
            return
        if response.status_code in {200, 429}:
            response.headers.update(self._pull_headers(request, self._pulls.look(self._puller(request))))

    def _pull_headers(self, request: Request, allowance: Allowance) -> dict[str, str]:
        puller = self._puller(request)
        window = int(self._pulls.length.total_seconds()) if self._pulls else 0
        known = puller != client_address(request.scope)
        return {
            "ratelimit-limit": f"{allowance.limit};w={window}",
            "ratelimit-remaining": f"{allowance.remaining};w={window}",
            "docker-ratelimit-source": str(uuid.uuid5(uuid.NAMESPACE_DNS, puller)) if known else puller,
        }

    def _claims(self, request: Request) -> dict[str, Any] | None:
        authorization = request.headers.get("authorization")
        if authorization is None:
            return None
        token = bearer_token(authorization)
        if token is None:
            raise TokenRejectedError("not a Bearer token")
        return self._hub.registry_tokens.read(token)

    def _puller(self, request: Request) -> str:
        """Name whose limit a pull counts against: the user, or the address of nobody in particular."""
        try:
            claims = self._claims(request)
        except TokenRejectedError:
            claims = None
        return (claims or {}).get("sub") or client_address(request.scope)

    def _challenge(
        self,
        needed: Iterable[tuple[str, str, tuple[str, ...]]],
        *,
        error: str | None = None,
        code: str = "UNAUTHORIZED",
    ) -> WireError:
        needed = list(needed)
        parts = [f'Bearer realm="{self._realm}"', f'service="{self._hub.registry_tokens.audience}"']
        if needed:
            scope = " ".join(f"{kind}:{name}:{','.join(actions)}" for kind, name, actions in needed)
            parts.append(f'scope="{scope}"')
        if error is not None:
            parts.append(f'error="{error}"')
        detail = [
            {"Type": kind, "Class": "", "Name": name, "Action": action}
            for kind, name, actions in needed
            for action in actions
        ]
        denied = code == "DENIED"
        message = "requested access to the resource is denied" if denied else "authentication required"
        headers = {"WWW-Authenticate": ",".join(parts)}
        return WireError(401, code, message, detail or None, headers=headers)


def _granted(claims: dict[str, Any], kind: str, name: str) -> set[str]:
    entries = claims.get("access", ())
    return {
        action
        for entry in entries
        if (entry["type"], entry["name"]) == (kind, name)
        for action in entry["actions"]
    }


def _has_two_components(name: str) -> bool:
    """Tell whether a name is ``namespace/repository``, the only form there is (moby/moby#31760)."""
    return name.count("/") == 1


def _is_manifest(request: Request) -> bool:
    return "/manifests/" in decoded_path(request)


def _mount_source(request: Request) -> str | None:
    if request.method != "POST" or "mount" not in request.query_params:
        return None
    return request.query_params.get("from")


def _blob_unknown(status: int, code: str, digest: str) -> WireError:
    return WireError(status, code, "blob unknown to registry", {"digest": digest})
