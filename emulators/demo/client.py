"""A plain OCI client of the emulators' own: it pushes and pulls as docker would, and checks every digest."""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import requests

from emulators.registry.images import Artifact

_INDEXES = frozenset(
    {
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    }
)
_ACCEPT = ", ".join(
    (
        *sorted(_INDEXES),
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')


class PulledWrong(Exception):
    """Something that should be there is missing, or is not what its digest says."""


class PlainClient:
    """One registry as seen by a user name and a password."""

    def __init__(self, host: str, username: str, password: str, *, ca_file: Path) -> None:
        self._base = f"https://{host}"
        self._basic = (username, password)
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = str(ca_file)
        self._tokens: dict[str, str] = {}

    def close(self) -> None:
        self._session.close()

    def push(self, repository: str, artifact: Artifact, tag: str | None = None) -> str:
        """Push children before parents, each by digest, the artifact itself under the tag if there is one."""
        for node in artifact.walk():
            for digest, blob in node.blobs.items():
                self._push_blob(repository, digest, blob)
            reference = tag if tag is not None and node is artifact else node.digest
            answer = self._ask(
                "PUT",
                f"/v2/{repository}/manifests/{reference}",
                repository,
                data=node.content,
                headers={"Content-Type": node.media_type},
            )
            answer.raise_for_status()
        return artifact.digest

    def digest(self, repository: str, reference: str) -> str | None:
        """Return the digest that a tag points at now, None when there is no such tag."""
        path = f"/v2/{repository}/manifests/{reference}"
        answer = self._ask("HEAD", path, repository, headers={"Accept": _ACCEPT})
        if answer.status_code == requests.codes.not_found:
            return None
        answer.raise_for_status()
        return answer.headers["Docker-Content-Digest"]

    def tags(self, repository: str) -> list[str]:
        answer = self._ask("GET", f"/v2/{repository}/tags/list", repository)
        if answer.status_code == requests.codes.not_found:
            return []
        answer.raise_for_status()
        return sorted(answer.json()["tags"] or [])

    def pull(self, repository: str, reference: str) -> Iterator[tuple[str, int]]:
        """Pull everything below a reference, all platforms and layers; yield each digest with its size.

        Raises PulledWrong at the first thing that is missing or not what its digest says.
        """
        answer = self._ask(
            "GET", f"/v2/{repository}/manifests/{reference}", repository, headers={"Accept": _ACCEPT}
        )
        content = self._checked(answer, reference if ":" in reference else None, f"{repository}@{reference}")
        yield f"sha256:{hashlib.sha256(content).hexdigest()}", len(content)
        manifest = json.loads(content)
        for child in manifest.get("manifests") or ():
            yield from self.pull(repository, child["digest"])
        for blob in (manifest.get("config"), *(manifest.get("layers") or ())):
            if blob is not None:
                answer = self._ask("GET", f"/v2/{repository}/blobs/{blob['digest']}", repository)
                found = self._checked(answer, blob["digest"], f"{repository}@{blob['digest']}")
                yield blob["digest"], len(found)

    @staticmethod
    def _checked(answer: requests.Response, digest: str | None, what: str) -> bytes:
        if answer.status_code != requests.codes.ok:
            raise PulledWrong(f"{what}: {answer.status_code} {answer.text[:200]}")
        found = f"sha256:{hashlib.sha256(answer.content).hexdigest()}"
        if digest is not None and found != digest:
            raise PulledWrong(f"{what}: the bytes are {found}")
        return answer.content

    def _push_blob(self, repository: str, digest: str, blob: bytes) -> None:
        if self._ask("HEAD", f"/v2/{repository}/blobs/{digest}", repository).status_code == requests.codes.ok:
            return
        opened = self._ask("POST", f"/v2/{repository}/blobs/uploads/", repository)
        opened.raise_for_status()
        place = urljoin(f"{self._base}/", opened.headers["Location"])
        separator = "&" if "?" in place else "?"
        self._ask("PUT", f"{place}{separator}digest={digest}", repository, data=blob).raise_for_status()

    def _ask(self, method: str, path: str, repository: str, **options: Any) -> requests.Response:
        """Send with the token of the repository, and once more with a fresh one when that is refused."""
        url = path if path.startswith("https:") else f"{self._base}{path}"
        headers = dict(options.pop("headers", {}))
        answer = self._send(method, url, repository, headers, options)
        if answer.status_code == requests.codes.unauthorized:
            self._tokens[repository] = self._token(answer.headers["WWW-Authenticate"], repository)
            answer = self._send(method, url, repository, headers, options)
        return answer

    def _send(
        self, method: str, url: str, repository: str, headers: dict[str, str], options: dict[str, Any]
    ) -> requests.Response:
        if repository in self._tokens:
            headers = headers | {"Authorization": f"Bearer {self._tokens[repository]}"}
        return self._session.request(method, url, headers=headers, timeout=30, **options)

    def _token(self, challenge: str, repository: str) -> str:
        asked = dict(_PARAMETER.findall(challenge))
        query = {"service": asked["service"], "scope": f"repository:{repository}:pull,push,metadata_read"}
        answer = self._session.get(asked["realm"], params=query, auth=self._basic, timeout=30)
        answer.raise_for_status()
        found: dict[str, str] = answer.json()
        return found.get("access_token") or found["token"]
