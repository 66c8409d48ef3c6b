"""Fixtures: the servers of a worker, and a test's world on them. Imported by the conftests that need them."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from emulators.acr import AcrEmulator
from emulators.azurite import Azurite
from emulators.certificates import CertificateAuthority
from emulators.dockerhub import DockerHubEmulator
from emulators.identity import IdentityEmulator
from tests.jobs.world import Servers, World


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    with ExitStack() as running:
        ca = running.enter_context(CertificateAuthority())
        identity = running.enter_context(IdentityEmulator())
        acr = running.enter_context(AcrEmulator(ca=ca, identity=identity))
        acr.grant(identity.client_id, "AcrPull", "AcrPush", "AcrDelete")
        hub = running.enter_context(DockerHubEmulator(ca=ca))
        azurite = running.enter_context(Azurite())
        yield Servers(ca=ca, identity=identity, azurite=azurite, acr=acr, hub=hub)


@pytest.fixture
def world(servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for name, value in servers.identity.env().items():
        monkeypatch.setenv(name, value)
    yield World(servers=servers, folder=tmp_path)
    servers.acr.faults.clear()
    servers.hub.faults.clear()
    servers.hub.api_faults.clear()
