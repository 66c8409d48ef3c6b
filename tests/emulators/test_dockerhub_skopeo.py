import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulators.certificates import CertificateAuthority
from emulators.registry.images import build_image, build_index
from tests.emulators.dockerhub_driver import Driver, running

pytestmark = pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed")


@pytest.fixture(scope="module")
def ca() -> Iterator[CertificateAuthority]:
    with CertificateAuthority() as authority:
        yield authority


@pytest.fixture
def driver(ca: CertificateAuthority) -> Iterator[Driver]:
    with running(ca) as driver:
        yield driver


class Skopeo:
    """Runs skopeo with the emulator's credentials and certificate authority."""

    def __init__(self, driver: Driver, ca: CertificateAuthority, directory: Path) -> None:
        self._hub = driver.hub
        self._certificates = directory / "certificates"
        self._certificates.mkdir()
        shutil.copy(ca.ca_file, self._certificates / "ca.crt")
        self._policy = directory / "policy.json"
        self._policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        self._home = directory

    def run(self, command: str, *arguments: str, side: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                "skopeo",
                f"--policy={self._policy}",
                command,
                f"--{side}creds={self._hub.username}:{self._hub.token}",
                f"--{side}cert-dir={self._certificates}",
                *arguments,
            ],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
            env={"HOME": str(self._home), "PATH": "/usr/local/bin:/usr/bin:/bin"},
        )

    def name(self, repository: str, tag: str = "") -> str:
        return f"docker://{self._hub.registry}/{repository}{tag and ':'}{tag}"


@pytest.fixture
def skopeo(driver: Driver, ca: CertificateAuthority, tmp_path: Path) -> Skopeo:
    return Skopeo(driver, ca, tmp_path)


def test_skopeo_pushes_lists_inspects_and_pulls_an_index(
    driver: Driver, skopeo: Skopeo, tmp_path: Path
) -> None:
    index = build_index([build_image(platform="linux/amd64"), build_image(platform="linux/arm64")])
    index.write_layout(tmp_path / "layout", tag="v1")

    pushed = skopeo.run(
        "copy", "--all", f"oci:{tmp_path}/layout:v1", skopeo.name("acme/app", "v1"), side="dest-"
    )
    assert pushed.returncode == 0, pushed.stderr
    listed = skopeo.run("list-tags", skopeo.name("acme/app"))
    inspected = skopeo.run("inspect", "--raw", skopeo.name("acme/app", "v1"))
    pulled = skopeo.run("copy", "--all", skopeo.name("acme/app", "v1"), f"dir:{tmp_path}/pulled", side="src-")

    assert json.loads(listed.stdout)["Tags"] == ["v1"], listed.stderr
    assert inspected.stdout.encode() == index.content
    assert pulled.returncode == 0, pulled.stderr
    assert (tmp_path / "pulled" / "manifest.json").read_bytes() == index.content
    assert driver.hub.cdn_traffic.count("GET", status=200) == 4
    assert not any(request.authorized for request in driver.hub.cdn_traffic.requests)


def test_skopeo_copies_between_repositories(driver: Driver, skopeo: Skopeo) -> None:
    image = build_image(layers=2, docker=True)
    image.push_to(driver.hub.state, "acme/app", tag="v1")

    hub = driver.hub
    copied = skopeo.run(
        "copy",
        f"--src-cert-dir={skopeo._certificates}",
        f"--src-creds={hub.username}:{hub.token}",
        skopeo.name("acme/app", "v1"),
        skopeo.name("acme/copy", "v1"),
        side="dest-",
    )

    assert copied.returncode == 0, copied.stderr
    head = driver.registry("HEAD", "/v2/acme/copy/manifests/v1")
    assert head.headers["Docker-Content-Digest"] == image.digest


def test_skopeo_deletes_only_what_no_tag_holds(driver: Driver, skopeo: Skopeo) -> None:
    image = build_image()
    image.push_to(driver.hub.state, "acme/app", tag="v1")
    by_digest = f"docker://{driver.hub.registry}/acme/app@{image.digest}"

    tagged = skopeo.run("delete", skopeo.name("acme/app", "v1"))
    assert tagged.returncode != 0
    driver.api("DELETE", "/v2/repositories/acme/app/tags/v1/")
    untagged = skopeo.run("delete", by_digest)

    assert untagged.returncode == 0, untagged.stderr
    assert driver.registry("HEAD", f"/v2/acme/app/manifests/{image.digest}").status_code == 404


def test_skopeo_is_denied_a_name_of_three_components(skopeo: Skopeo, tmp_path: Path) -> None:
    build_image().write_layout(tmp_path / "layout", tag="v1")
    pushed = skopeo.run("copy", f"oci:{tmp_path}/layout:v1", skopeo.name("acme/team/app", "v1"), side="dest-")
    assert pushed.returncode != 0
    assert "denied" in pushed.stderr
