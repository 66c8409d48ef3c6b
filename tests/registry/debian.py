"""Real tools, from Debian, that share no code with this project: a registry, and makers of images."""

import hashlib
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import requests

MAKERS: Final = ("buildah", "skopeo", "umoci")
REGISTRY: Final = "docker-registry"


def require(*tools: str) -> None:
    """Skip the test where a tool is missing, unless the peers must be there; then it fails on its own."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing and os.environ.get("STEWARD_REQUIRE_PEERS") != "1":
        pytest.skip(f"not installed: {', '.join(missing)}")


@contextmanager
def serving_docker_registry(folder: Path) -> Iterator[str]:
    """Run a docker-registry and yield its URL; it ends with the block, and so does its content."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = folder / "config.yml"
    settings.write_text(
        "version: 0.1\n"
        "log: {level: error, accesslog: {disabled: true}}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder}/content}}, delete: {{enabled: true}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}'}}\n"
    )
    silence = subprocess.DEVNULL
    process = subprocess.Popen([REGISTRY, "serve", str(settings)], stdout=silence, stderr=silence)
    try:
        for _ in range(200):
            try:
                requests.get(f"http://127.0.0.1:{port}/v2/", timeout=1)
                break
            except requests.ConnectionError:
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder / "content", ignore_errors=True)


class Workshop:
    """Where buildah, umoci and skopeo make images and look at them, apart from what the machine has."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._count = 0
        (folder / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        (folder / "storage.conf").write_text(
            f'[storage]\ndriver = "vfs"\nrunroot = "{folder}/run"\ngraphroot = "{folder}/graph"\n'
        )
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "TMPDIR": str(folder),
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
            "BUILDAH_ISOLATION": "chroot",
        }

    def run(self, *command: str | Path, **environment: str) -> bytes:
        """Run a tool and return what it prints.

        :raises AssertionError: with what it complains of, when it fails.
        """
        done = subprocess.run(
            command,
            env=self._environment | environment,
            cwd=self.folder,
            capture_output=True,
            check=False,
            timeout=600,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def file(self, size: int = 3000) -> Path:
        """Write a file that nobody else has."""
        path = self.place("file")
        path.write_bytes(hashlib.shake_256(path.name.encode()).digest(size))
        return path

    def place(self, name: str) -> Path:
        """Return a path that nothing stands at."""
        self._count += 1
        return self.folder / f"{name}-{self._count}"

    # buildah

    def build(self, *, layers: int = 2, platform: str = "linux/amd64") -> str:
        """Build an image with buildah and return its name in its store."""
        system, _, architecture = platform.partition("/")
        image = ""
        for _ in range(layers):
            container = self.run("buildah", "from", image or "scratch").decode().strip()
            self.run("buildah", "copy", "--quiet", container, self.file(), "/")
            self.run("buildah", "config", "--os", system, "--arch", architecture, container)
            image = f"localhost/{self.place('image').name}"
            self.run("buildah", "commit", "--quiet", "--rm", container, image)
        return image

    def push(self, image: str, target: str, *options: str) -> None:
        """Push a built image to ``docker://`` or ``oci:``."""
        self.run("buildah", "push", "--quiet", "--tls-verify=false", *options, image, target)

    def push_list(self, images: Sequence[str], target: str, *options: str) -> None:
        """Push a list of built images, all of them with it."""
        name = f"localhost/{self.place('list').name}"
        self.run("buildah", "manifest", "create", name, *images)
        options = ("--quiet", "--all", "--tls-verify=false", *options)
        self.run("buildah", "manifest", "push", *options, name, target)

    # umoci

    def layout(self, *, layers: int = 2) -> Path:
        """Make an OCI layout with one image, tagged ``v1``, with umoci."""
        place = self.place("layout")
        self.run("umoci", "init", "--layout", place)
        self.run("umoci", "new", "--image", f"{place}:v1")
        for _ in range(layers):
            self.run("umoci", "insert", "--rootless", "--image", f"{place}:v1", self.file(), "/file")
        return place

    # skopeo

    def skopeo(self, *arguments: str | Path, **environment: str) -> bytes:
        return self.run("skopeo", "--policy", self.folder / "policy.json", *arguments, **environment)

    def copy(self, source: str, target: str, *options: str) -> None:
        """Copy with skopeo, byte for byte."""
        self.skopeo(
            "copy",
            "--quiet",
            "--all",
            "--preserve-digests",
            "--src-tls-verify=false",
            "--dest-tls-verify=false",
            *options,
            source,
            target,
        )


class Layout:
    """An OCI image layout written by hand, for what no tool in Debian makes (image-spec, image-layout.md)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._blobs = folder / "blobs" / "sha256"
        self._blobs.mkdir(parents=True)
        (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')

    def add(self, content: bytes, media_type: str, **more: Any) -> dict[str, Any]:
        """Add content and return its descriptor."""
        hexadecimal = hashlib.sha256(content).hexdigest()
        (self._blobs / hexadecimal).write_bytes(content)
        return {"mediaType": media_type, "digest": f"sha256:{hexadecimal}", "size": len(content), **more}

    def add_sparse(self, size: int, media_type: str) -> dict[str, Any]:
        """Add so many zeros, which take no room here."""
        digest, zeros = hashlib.sha256(), bytes(1024**2)
        for start in range(0, size, len(zeros)):
            digest.update(zeros[: size - start])
        place = self._blobs / digest.hexdigest()
        place.touch()
        os.truncate(place, size)
        return {"mediaType": media_type, "digest": f"sha256:{place.name}", "size": size}

    def add_json(self, document: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        """Add a manifest or an index, whose own media type says what it is."""
        return self.add(json.dumps(document).encode(), document["mediaType"], **more)

    def adopt(self, other: Path, **more: Any) -> dict[str, Any]:
        """Take over the image of a layout that a tool made, and return its descriptor."""
        for blob in (other / "blobs" / "sha256").iterdir():
            shutil.copy(blob, self._blobs)
        (found,) = json.loads((other / "index.json").read_bytes())["manifests"]
        return {key: found[key] for key in ("mediaType", "digest", "size")} | more

    def tag(self, descriptor: Mapping[str, Any]) -> str:
        """Tag it ``v1`` and return the name by which skopeo finds it."""
        entry = {**descriptor, "annotations": {"org.opencontainers.image.ref.name": "v1"}}
        (self.folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
        return f"oci:{self.folder}:v1"
