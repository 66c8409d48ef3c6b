import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from azure.core.credentials import AccessToken

from emulators.acr import AcrEmulator
from emulators.certificates import CertificateAuthority
from emulators.dockerhub import DockerHubEmulator
from emulators.identity import IdentityEmulator
from shared.oci.names import parse_login_server
from shared.registry.acr import AcrClient
from shared.registry.client import RegistryClient
from shared.registry.credentials import BasicCredential, Credential, EntraCredential
from shared.registry.dockerhub import DockerHubClient
from shared.registry.transport import TransportOptions
from tests.registry.debian import REGISTRY, require, serving_docker_registry
from tests.registry.scripted import Script, ScriptedServer


@pytest.fixture(scope="session")
def ca() -> Iterator[CertificateAuthority]:
    with CertificateAuthority() as authority:
        yield authority


@pytest.fixture
def running() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def options(ca: CertificateAuthority) -> TransportOptions:
    """Short waits, so that what is retried is retried at once."""
    return TransportOptions(ca_file=ca.ca_file, backoff=0.01, patience=2.0, read_timeout=5.0)


class LocalIdentity:
    """A token credential whose tokens the emulated registries trust."""

    def __init__(self, identity: IdentityEmulator) -> None:
        self._identity = identity
        self.asked: list[tuple[str, ...]] = []

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        self.asked.append(scopes)
        resource = scopes[0].removesuffix("/.default")
        token = self._identity.issuer.issue(self._identity.client_id, resource, 3600)
        return AccessToken(token, int(time.time()) + 3600)


@pytest.fixture
def identity(running: ExitStack) -> IdentityEmulator:
    return running.enter_context(IdentityEmulator())


@pytest.fixture
def start_acr(
    ca: CertificateAuthority, identity: IdentityEmulator, running: ExitStack
) -> Callable[..., AcrEmulator]:
    def start(**settings: Any) -> AcrEmulator:
        return running.enter_context(AcrEmulator(ca=ca, identity=identity, **settings))

    return start


@pytest.fixture
def acr(start_acr: Callable[..., AcrEmulator]) -> AcrEmulator:
    return start_acr()


def admin_of(acr: AcrEmulator) -> BasicCredential:
    return BasicCredential(username=acr.admin_username, secret=acr.admin_password)


@pytest.fixture
def entra(identity: IdentityEmulator) -> EntraCredential:
    return EntraCredential(tokens=LocalIdentity(identity))


@pytest.fixture
def acr_client(options: TransportOptions, running: ExitStack) -> Callable[..., AcrClient]:
    def build(
        acr: AcrEmulator, credential: Credential | None = None, options: TransportOptions = options
    ) -> AcrClient:
        server = parse_login_server(acr.login_server)
        return running.enter_context(AcrClient(server, credential or admin_of(acr), options=options))

    return build


@pytest.fixture
def start_hub(ca: CertificateAuthority, running: ExitStack) -> Callable[..., DockerHubEmulator]:
    def start(**settings: Any) -> DockerHubEmulator:
        return running.enter_context(DockerHubEmulator(ca=ca, **settings))

    return start


@pytest.fixture
def hub(start_hub: Callable[..., DockerHubEmulator]) -> DockerHubEmulator:
    return start_hub()


@pytest.fixture
def hub_registry(options: TransportOptions, running: ExitStack) -> Callable[..., RegistryClient]:
    def build(hub: DockerHubEmulator, options: TransportOptions = options) -> RegistryClient:
        credential = BasicCredential(username=hub.username, secret=hub.token)
        server = parse_login_server(hub.registry)
        return running.enter_context(RegistryClient(server, credential, options=options))

    return build


@pytest.fixture
def hub_api(options: TransportOptions, running: ExitStack) -> Callable[..., DockerHubClient]:
    def build(
        hub: DockerHubEmulator,
        secret: str | None = None,
        username: str | None = None,
        options: TransportOptions = options,
    ) -> DockerHubClient:
        credential = BasicCredential(username=username or hub.username, secret=secret or hub.token)
        return running.enter_context(DockerHubClient(credential, api_url=hub.api_url, options=options))

    return build


@pytest.fixture
def scripted(running: ExitStack) -> Callable[[Script], ScriptedServer]:
    def start(script: Script) -> ScriptedServer:
        return running.enter_context(ScriptedServer(script))

    return start


@pytest.fixture
def scripted_client(options: TransportOptions, running: ExitStack) -> Callable[..., RegistryClient]:
    def build(server: ScriptedServer, options: TransportOptions = options, **settings: Any) -> RegistryClient:
        name = parse_login_server(f"localhost:{server.port}")
        return running.enter_context(RegistryClient(name, endpoint=server.url, options=options, **settings))

    return build


@pytest.fixture(scope="session")
def docker_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Debian's docker-registry: the code behind Docker Hub and many others, and not ours."""
    require(REGISTRY)
    with serving_docker_registry(tmp_path_factory.mktemp("docker-registry")) as url:
        yield url


@pytest.fixture
def docker_client(docker_registry: str, options: TransportOptions, running: ExitStack) -> RegistryClient:
    server = parse_login_server(docker_registry.removeprefix("http://"))
    return running.enter_context(RegistryClient(server, endpoint=docker_registry, options=options))
