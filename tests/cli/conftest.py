import itertools
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from emulators.acr import AcrEmulator
from emulators.certificates import CertificateAuthority
from emulators.dockerhub import DockerHubEmulator
from emulators.registry.images import Artifact, build_cosign_signature, build_image, build_index, cosign_tag
from tests.cli.terminal import Steward

TRANSCRIPTS = Path(__file__).with_name("transcripts")
AT = datetime(2026, 3, 1, tzinfo=UTC)

POLICY = """\
version: 1
retention:
  protect:
    - {name: releases, repositories: ["**"], tags: ["v*"]}
  rules:
    - {name: pull-requests, repositories: ["**"], tags: ["pr-*"], older_than: 14d, keep_newest: 1}
    - {name: stale-untagged, repositories: ["**"], untagged: true, older_than: 7d}
"""


@pytest.fixture(scope="session")
def ca() -> Iterator[CertificateAuthority]:
    with CertificateAuthority() as authority:
        yield authority


@pytest.fixture(scope="session")
def acr(ca: CertificateAuthority) -> Iterator[AcrEmulator]:
    with AcrEmulator(ca=ca) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def hub(ca: CertificateAuthority) -> Iterator[DockerHubEmulator]:
    with DockerHubEmulator(ca=ca) as emulator:
        yield emulator


@pytest.fixture(autouse=True)
def untroubled(acr: AcrEmulator, hub: DockerHubEmulator) -> Iterator[None]:
    yield
    acr.faults.clear()
    hub.faults.clear()
    hub.api_faults.clear()
    acr.latency = 0.0


@pytest.fixture
def registry(acr: AcrEmulator) -> str:
    return acr.login_server


@pytest.fixture
def steward(tmp_path: Path, ca: CertificateAuthority, acr: AcrEmulator, hub: DockerHubEmulator) -> Steward:
    (tmp_path / "policy.yaml").write_text(POLICY, encoding="utf-8")
    return Steward(
        directory=tmp_path,
        environment={
            "STEWARD_CA_FILE": str(ca.ca_file),
            "STEWARD_USERNAME": acr.admin_username,
            "STEWARD_PASSWORD": acr.admin_password,
            "DOCKERHUB_REGISTRY_ENDPOINT": f"https://{hub.registry}",
            "DOCKERHUB_API_ENDPOINT": hub.api_url,
            "DOCKERHUB_USERNAME": hub.username,
            "DOCKERHUB_TOKEN": hub.token,
        },
    )


@pytest.fixture
def bare(tmp_path: Path) -> Steward:
    """Nothing is configured."""
    return Steward(directory=tmp_path)


_numbers = itertools.count(1)


@pytest.fixture
def repository(request: pytest.FixtureRequest) -> str:
    """A name that no other test uses."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:60].strip("-")
    return f"test/{name}-{next(_numbers)}"


type Push = Callable[..., str]


@pytest.fixture
def push(acr: AcrEmulator) -> Push:
    """Put an image into the registry, that many days before ``AT``."""

    def push(repository: str, artifact: Artifact, *, tag: str | None = None, days: float = 0) -> str:
        return artifact.push_to(acr.state, repository, tag=tag, at=AT - timedelta(days=days))

    return push


@pytest.fixture
def filled(push: Push, repository: str) -> str:
    """A repository with old and young tags, an index, a signature and an orphan; the same each time."""
    release = build_index([build_image(seed=1), build_image(seed=2, platform="linux/arm64")])
    push(repository, release, tag="v1.0", days=400)
    signature = build_cosign_signature(release, seed=8)
    push(repository, signature, tag=cosign_tag(release.digest), days=400)
    push(repository, build_image(seed=3), tag="pr-1", days=40)
    old = build_index([build_image(seed=4), build_image(seed=5, platform="linux/arm64")])
    push(repository, old, tag="pr-2", days=39)
    push(repository, build_image(seed=6), tag="pr-3", days=2)
    push(repository, build_image(seed=7), days=90)
    return repository


@pytest.fixture
def transcript(repository: str) -> Callable[[str, str], None]:
    """Compare what was shown with what was shown when somebody looked at it."""

    def compare(name: str, shown: str) -> None:
        shown = re.sub(r"localhost:\d{4,5}", "localhost:12345", shown).replace(repository, "team/app")
        file = TRANSCRIPTS / f"{name}.txt"
        if os.environ.get("UPDATE_TRANSCRIPTS"):
            file.parent.mkdir(exist_ok=True)
            file.write_text(shown, encoding="utf-8")
        assert shown == file.read_text(encoding="utf-8")

    return compare


@pytest.fixture(scope="session")
def docker_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Debian's docker-registry, without TLS; its login server."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("docker-registry is not installed")
    directory = tmp_path_factory.mktemp("docker-registry")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = directory / "config.yml"
    settings.write_text(
        "version: 0.1\n"
        "log: {level: error, accesslog: {disabled: true}}\n"
        f"storage: {{filesystem: {{rootdirectory: {directory}/content}}, delete: {{enabled: true}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}'}}\n"
    )
    silence = subprocess.DEVNULL
    process = subprocess.Popen([program, "serve", str(settings)], stdout=silence, stderr=silence)
    try:
        for _ in range(400):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"localhost:{port}"
    finally:
        process.terminate()
        process.wait()
