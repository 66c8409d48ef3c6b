"""A plain `requests` client of the emulated Docker Hub: it shares no code with the app."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import requests

from emulators.certificates import CertificateAuthority
from emulators.dockerhub import DockerHubEmulator
from emulators.registry.images import Artifact


class SteppingClock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Driver:
    """Sends single requests, as one user or as nobody, and follows nothing by itself."""

    def __init__(
        self, hub: DockerHubEmulator, ca: CertificateAuthority, *, username: str = "", secret: str = ""
    ) -> None:
        self.hub = hub
        self._ca = ca
        self._credentials = (username, secret) if username else None
        self._session = requests.Session()
        self._session.verify = str(ca.ca_file)
        self._session.trust_env = False

    def close(self) -> None:
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def signed_in_as(self, username: str, secret: str) -> "Driver":
        return Driver(self.hub, self._ca, username=username, secret=secret)

    def send(
        self,
        method: str,
        url: str,
        *,
        token: str | None = None,
        headers: dict[str, str] | None = None,
        **rest: Any,
    ) -> requests.Response:
        headers = dict(headers or {})
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return self._session.request(method, url, headers=headers, allow_redirects=False, timeout=20, **rest)

    def sign_in(self) -> requests.Response:
        username, secret = self._credentials or ("", "")
        return self.send(
            "POST", f"{self.hub.api_url}/v2/auth/token", json={"identifier": username, "secret": secret}
        )

    def api(self, method: str, path: str, *, token: str | None = None, **rest: Any) -> requests.Response:
        if token is None and self._credentials:
            token = self.sign_in().json()["access_token"]
        return self.send(method, f"{self.hub.api_url}{path}", token=token, **rest)

    def ask_token(self, *scopes: str) -> requests.Response:
        return self._session.get(
            f"{self.hub.auth_url}/token",
            params={"service": "registry.docker.io", "scope": list(scopes)},
            auth=self._credentials,
            timeout=20,
        )

    def token(self, *scopes: str) -> str:
        token: str = self.ask_token(*scopes).json()["token"]
        return token

    def registry(
        self, method: str, path: str, *, actions: str = "pull,push,delete", **rest: Any
    ) -> requests.Response:
        """Send one request with a token for the repository of the path."""
        name = "/".join(path.split("/")[2:4])
        url = path if path.startswith("https://") else f"https://{self.hub.registry}{path}"
        if path.startswith("https://"):
            name = "/".join(path.split("/")[4:6])
        return self.send(method, url, token=self.token(f"repository:{name}:{actions}"), **rest)

    def push_blob(self, repository: str, digest: str, content: bytes) -> requests.Response:
        session = self.registry("POST", f"/v2/{repository}/blobs/uploads/")
        location = f"{session.headers['Location']}&digest={digest}"
        return self.registry("PUT", location, data=content)

    def push_manifest(self, repository: str, artifact: Artifact, reference: str) -> requests.Response:
        return self.registry(
            "PUT",
            f"/v2/{repository}/manifests/{reference}",
            data=artifact.content,
            headers={"Content-Type": artifact.media_type},
        )

    def push(self, repository: str, artifact: Artifact, tag: str) -> requests.Response:
        """Push blobs, then children by digest, then the artifact by tag."""
        for node in artifact.walk():
            for digest, content in node.blobs.items():
                assert self.push_blob(repository, digest, content).status_code == 201
            if node is not artifact:
                assert self.push_manifest(repository, node, node.digest).status_code == 201
        return self.push_manifest(repository, artifact, tag)


@contextmanager
def running(ca: CertificateAuthority, **options: Any) -> Iterator[Driver]:
    """Run a Docker Hub and drive it as its own user."""
    with (
        DockerHubEmulator(ca=ca, **options) as hub,
        Driver(hub, ca, username=hub.username, secret=hub.token) as driver,
    ):
        yield driver
