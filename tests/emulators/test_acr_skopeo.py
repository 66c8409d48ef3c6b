"""Debian's skopeo, unchanged, works against the emulator."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emulators.acr import AcrEmulator
from emulators.certificates import CertificateAuthority
from emulators.registry.images import build_image, build_index

pytestmark = pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not on PATH")

type Skopeo = Callable[..., str]


@pytest.fixture
def skopeo(acr: AcrEmulator, ca: CertificateAuthority, tmp_path: Path) -> Skopeo:
    """Runs one command as the admin user and returns what it prints."""
    login = tmp_path / "auth.json"
    login.write_text("{}")
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "SSL_CERT_FILE": str(ca.ca_file)}

    def run(*arguments: str) -> str:
        command = ["skopeo", "--insecure-policy", arguments[0], "--authfile", str(login), *arguments[1:]]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("login", "--username", acr.admin_username, "--password", acr.admin_password, acr.login_server)
    return run


def test_it_copies_an_image_in_inspects_lists_and_deletes(
    acr: AcrEmulator, skopeo: Skopeo, tmp_path: Path
) -> None:
    events: list[dict[str, Any]] = []
    acr.subscribe(events.append)
    image = build_image(layers=3)
    image.write_layout(tmp_path / "layout", tag="v1")
    remote = f"docker://{acr.login_server}/team/app"
    skopeo("copy", f"oci:{tmp_path}/layout:v1", f"{remote}:v1")
    seen = json.loads(skopeo("inspect", f"{remote}:v1"))
    assert (seen["Digest"], len(seen["Layers"])) == (image.digest, 3)
    assert json.loads(skopeo("list-tags", remote))["Tags"] == ["v1"]
    skopeo("delete", f"{remote}:v1")
    home = acr.state.repository("team/app")
    assert home is not None
    assert image.digest not in home.manifests
    assert [event["action"] for event in events] == ["push", "delete"]


@pytest.mark.parametrize("kind", ["oci", "docker"])
def test_it_copies_an_index_whole_from_one_repository_to_another(
    acr: AcrEmulator, skopeo: Skopeo, kind: str
) -> None:
    docker = kind == "docker"
    images = [build_image(platform=f"linux/{each}", docker=docker) for each in ("amd64", "arm64")]
    index = build_index(images, docker=docker)
    index.push_to(acr.state, "source", tag="v1")
    here = f"docker://{acr.login_server}"
    skopeo("copy", "--all", f"{here}/source:v1", f"{here}/target/app:v1")
    home = acr.state.repository("target/app")
    assert home is not None
    assert home.tags["v1"].digest == index.digest
    assert sorted(home.manifests) == sorted([index.digest, *(each.digest for each in images)])
    assert all(home.blobs.issuperset(each.blobs) for each in images)


def test_it_copies_an_image_out_byte_for_byte(acr: AcrEmulator, skopeo: Skopeo, tmp_path: Path) -> None:
    image = build_image(layer_size=100_000)
    image.push_to(acr.state, "app", tag="v1")
    skopeo("copy", f"docker://{acr.login_server}/app:v1", f"dir:{tmp_path}/out")
    assert (tmp_path / "out" / "manifest.json").read_bytes() == image.content
    for digest, blob in image.blobs.items():
        assert (tmp_path / "out" / digest.removeprefix("sha256:")).read_bytes() == blob
