"""Debian's ``docker-registry`` on loopback: the reference implementation, shared by all contenders."""

import shutil
import socket
import subprocess
import time
from pathlib import Path
from tempfile import mkdtemp
from typing import Final, Self

import requests

from emulators.registry.images import Artifact

_CONFIG: Final = """
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: {root}, maxthreads: 200}}
  delete: {{enabled: true}}
http: {{addr: "127.0.0.1:{port}"}}
"""
_IN_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a directory of our own is made in it
"""Where Linux keeps files in memory: the registry syncs every upload, and only the disk would be measured."""


def missing_tools() -> list[str]:
    """Return the Debian packages that these benchmarks need and this machine does not have."""
    return [tool for tool in ("docker-registry", "skopeo") if shutil.which(tool) is None]


class DockerRegistry:
    """One registry process over an empty directory, both gone when it is closed."""

    def __init__(self) -> None:
        self.root = Path(
            mkdtemp(prefix="benchmark-registry-", dir=_IN_MEMORY if _IN_MEMORY.is_dir() else None)
        )
        self.netloc = f"localhost:{_free_port()}"
        config = self.root / "config.yml"
        port = self.netloc.partition(":")[2]
        config.write_text(_CONFIG.format(root=self.root / "data", port=port))
        self._process = subprocess.Popen(
            ["docker-registry", "serve", str(config)],  # noqa: S607 - wherever the package puts it
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"OTEL_TRACES_EXPORTER": "none", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        )
        self._wait()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{self.netloc}"

    def _wait(self) -> None:
        for _ in range(1000):
            try:
                requests.get(f"{self.url}/v2/", timeout=5).raise_for_status()
            except requests.RequestException:
                time.sleep(0.01)
            else:
                return
        self.close()
        raise RuntimeError("docker-registry does not answer")

    def push(self, repository: str, artifact: Artifact, *, tag: str) -> None:
        """Push an artifact with everything in it, one plain request after the other."""
        with requests.Session() as session:
            for node in artifact.walk():
                for digest, blob in node.blobs.items():
                    self._push_blob(session, repository, digest, blob)
                name = tag if node is artifact else node.digest
                session.put(
                    f"{self.url}/v2/{repository}/manifests/{name}",
                    data=node.content,
                    headers={"Content-Type": node.media_type},
                    timeout=60,
                ).raise_for_status()

    def _push_blob(self, session: requests.Session, repository: str, digest: str, blob: bytes) -> None:
        if session.head(f"{self.url}/v2/{repository}/blobs/{digest}", timeout=60).ok:
            return
        opened = session.post(f"{self.url}/v2/{repository}/blobs/uploads/", timeout=60)
        opened.raise_for_status()
        location = f"{opened.headers['Location']}&digest={digest}"
        session.put(location, data=blob, timeout=600).raise_for_status()

    def plant_blob(self, repository: str, digest: str, size: int) -> None:
        """Put a blob of so many zero bytes where the registry keeps blobs, as a sparse file."""
        encoded = digest.partition(":")[2]
        data = self.root / "data/docker/registry/v2"
        home = data / "blobs/sha256" / encoded[:2] / encoded
        link = data / "repositories" / repository / "_layers/sha256" / encoded
        home.mkdir(parents=True)
        link.mkdir(parents=True)
        (link / "link").write_text(digest)
        with (home / "data").open("wb") as sparse:
            sparse.truncate(size)

    def digest(self, repository: str, tag: str) -> str:
        """Return what a tag points at."""
        answer = requests.head(
            f"{self.url}/v2/{repository}/manifests/{tag}",
            headers={"Accept": ", ".join(_ANY)},
            timeout=60,
        )
        answer.raise_for_status()
        return answer.headers["Docker-Content-Digest"]

    def close(self) -> None:
        """End the process and remove what it kept."""
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self.root)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


_ANY: Final = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
