import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError
from azure.identity import CredentialUnavailableError

from emulators.acr import AcrEmulator
from emulators.dockerhub import DockerHubEmulator
from emulators.identity import IdentityEmulator
from emulators.registry.images import build_image
from shared.errors import AuthenticationFailed, ProtocolViolation, RateLimited, RegistryUnavailable
from shared.oci.manifest import Descriptor
from shared.oci.names import Digest, parse_login_server, parse_repository, parse_tag
from shared.registry.acr import AcrClient
from shared.registry.client import RegistryClient
from shared.registry.credentials import BasicCredential, EntraCredential, KnownCredentials
from tests.registry.scripted import Answer, Asked, ScriptedServer

APP = parse_repository("team/app")
V1 = parse_tag("v1")

type Clients = Callable[..., AcrClient]


@pytest.fixture
def image(acr: AcrEmulator) -> Digest:
    return Digest(build_image().push_to(acr.state, APP, tag=V1))


def sign_ins(acr: AcrEmulator) -> tuple[int, int]:
    return acr.traffic.count("POST", "/oauth2/exchange"), acr.traffic.count(None, "/oauth2/token")


@pytest.mark.usefixtures("image")
def test_an_entra_identity_is_exchanged_once_however_many_repositories_it_reads(
    acr: AcrEmulator, acr_client: Clients, identity: IdentityEmulator, entra: EntraCredential
) -> None:
    acr.grant(identity.client_id, "AcrPull")
    build_image().push_to(acr.state, "other", tag="v1")
    client = acr_client(acr, entra)
    for _ in range(5):
        client.repository(APP).resolve(V1)
        client.repository(parse_repository("other")).resolve(V1)
    assert sign_ins(acr) == (1, 2)
    assert acr.traffic.count(status=401) == 0


@pytest.mark.usefixtures("image")
def test_a_tokens_scopes_are_asked_for_by_name_ten_repositories_at_a_time(
    acr: AcrEmulator, acr_client: Clients
) -> None:
    names = [parse_repository(f"team/app{number}") for number in range(25)]
    for name in names:
        build_image().push_to(acr.state, name, tag="v1")
    client = acr_client(acr)
    client.expect(names, "metadata_read", "pull")
    for name in names:
        assert client.repository(name).resolve(V1) is not None
        assert client.tag_attributes(name, V1) is not None
    asked = [
        parse_qs(request.query)["scope"]
        for request in acr.traffic.requests
        if request.path == "/oauth2/token"
    ]
    assert [len(scopes) for scopes in asked] == [10, 10, 5]
    assert not any("*" in scope for scopes in asked for scope in scopes)


@pytest.mark.usefixtures("image")
def test_registries_with_abac_permissions_are_served(
    start_acr: Callable[..., AcrEmulator],
    acr_client: Clients,
    identity: IdentityEmulator,
    entra: EntraCredential,
) -> None:
    abac = start_acr(abac=True)
    build_image().push_to(abac.state, APP, tag="v1")
    abac.grant(identity.client_id, "Container Registry Repository Reader", repositories=["team/"])
    abac.grant(identity.client_id, "Container Registry Repository Catalog Lister")
    client = acr_client(abac, entra)
    assert list(client.list_repositories()) == [APP]
    assert client.snapshot(APP).tags[0].name == V1


@pytest.mark.usefixtures("image")
def test_threads_share_one_sign_in(
    acr: AcrEmulator, acr_client: Clients, identity: IdentityEmulator, entra: EntraCredential
) -> None:
    acr.grant(identity.client_id, "AcrPull")
    acr.faults.inject(path="/oauth2/.*", delay=0.05, times=None)
    client = acr_client(acr, entra)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: client.repository(APP).resolve(V1), range(16)))
    assert sign_ins(acr) == (1, 1)


@pytest.mark.usefixtures("image")
def test_a_token_refused_in_mid_flight_is_renewed_once_and_the_request_sent_again(
    acr: AcrEmulator, acr_client: Clients
) -> None:
    repository = acr_client(acr).repository(APP)
    repository.resolve(V1)
    acr.faults.inject(method="HEAD", path="/v2/.*", status=401, headers=challenge_of(acr))
    acr.traffic.clear()
    assert repository.resolve(V1) is not None
    assert sign_ins(acr) == (0, 1)
    assert acr.traffic.count("HEAD") == 2


@pytest.mark.usefixtures("image")
def test_a_401_without_a_challenge_is_understood_where_the_token_service_is_known(
    acr: AcrEmulator, acr_client: Clients
) -> None:
    repository = acr_client(acr).repository(APP)
    repository.resolve(V1)
    acr.faults.inject(method="HEAD", path="/v2/.*", status=401)
    assert repository.resolve(V1) is not None
    assert sign_ins(acr) == (0, 2)


def challenge_of(acr: AcrEmulator) -> dict[str, str]:
    realm = f"https://{acr.login_server}/oauth2/token"
    return {"WWW-Authenticate": f'Bearer realm="{realm}",service="{acr.login_server}",error="invalid_token"'}


@pytest.mark.usefixtures("image")
def test_a_right_that_is_missing_is_told_with_the_rights_that_are_there(
    acr: AcrEmulator, acr_client: Clients, identity: IdentityEmulator, entra: EntraCredential
) -> None:
    acr.grant(identity.client_id, "AcrPull")
    client = acr_client(acr, entra)
    client.expect([APP], "pull", "metadata_read", "delete")
    with pytest.raises(AuthenticationFailed) as caught:
        client.untag(APP, V1)
    assert "granted: repository:team/app:metadata_read,pull" in str(caught.value)
    assert acr.traffic.count("DELETE") == 2


@pytest.mark.usefixtures("image")
def test_a_wrong_secret_is_sent_once_by_all_threads_together(acr: AcrEmulator, acr_client: Clients) -> None:
    wrong = BasicCredential(username=acr.admin_username, secret="wrong")
    client = acr_client(acr, wrong)
    failures = []
    guard = threading.Lock()

    def ask(_: int) -> None:
        try:
            client.repository(APP).resolve(V1)
        except AuthenticationFailed as error:
            with guard:
                failures.append(str(error))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(12)))
    assert len(failures) == 12
    assert sum("refused before, and not asked again yet" in failure for failure in failures) == 11
    assert acr.traffic.count("GET", "/oauth2/token") == 1
    assert "wrong" not in "".join(failures)


@pytest.mark.usefixtures("image")
def test_repository_tokens_and_anonymous_pulls_work(
    start_acr: Callable[..., AcrEmulator], acr_client: Clients
) -> None:
    acr = start_acr(anonymous_pull=True)
    digest = build_image().push_to(acr.state, APP, tag="v1")
    acr.add_token("reader", "secret", {"team/app": ["content/read", "metadata/read"]})
    token = acr_client(acr, BasicCredential(username="reader", secret="secret"))
    record = token.tag_attributes(APP, V1)
    assert record is not None
    assert record.digest == digest
    anonymous = acr_client(acr, KnownCredentials(by_login_server={})(parse_login_server("x")))
    found = anonymous.repository(APP).resolve(V1)
    assert found is not None
    assert found.digest == digest


class UnavailableIdentity:
    def __init__(self, error: Exception) -> None:
        self.error = error
        self.asked = 0

    def get_token(self, *_scopes: str, **_: object) -> AccessToken:
        self.asked += 1
        raise self.error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (CredentialUnavailableError("no managed identity here"), AuthenticationFailed),
        (ClientAuthenticationError("the secret has expired"), AuthenticationFailed),
        (ServiceRequestError("no route to the identity endpoint"), RegistryUnavailable),
    ],
)
def test_an_identity_without_a_token_is_told_apart_from_one_that_cannot_be_reached(
    acr: AcrEmulator, acr_client: Clients, error: Exception, kind: type[Exception]
) -> None:
    identity = UnavailableIdentity(error)
    repository = acr_client(acr, EntraCredential(tokens=identity)).repository(APP)
    with pytest.raises(kind, match="no Entra token"):
        repository.resolve(V1)
    assert acr.traffic.requests == []


@pytest.mark.usefixtures("image")
def test_a_refresh_token_that_was_revoked_is_exchanged_anew(
    acr: AcrEmulator, acr_client: Clients, identity: IdentityEmulator, entra: EntraCredential
) -> None:
    acr.grant(identity.client_id, "AcrPull", "AcrDelete")
    client = acr_client(acr, entra)
    client.repository(APP).resolve(V1)
    acr.faults.inject(method="POST", path="/oauth2/token", status=401)
    client.untag(APP, V1)
    assert sign_ins(acr) == (2, 3)


@pytest.mark.usefixtures("image")
def test_the_token_service_is_retried_and_its_limits_are_told(
    acr: AcrEmulator, acr_client: Clients, identity: IdentityEmulator, entra: EntraCredential
) -> None:
    acr.grant(identity.client_id, "AcrPull")
    acr.faults.inject(path="/oauth2/exchange", status=429, headers={"Retry-After": "0"})
    client = acr_client(acr, entra)
    assert client.repository(APP).resolve(V1) is not None
    acr.faults.inject(path="/oauth2/token", status=429, headers={"Retry-After": "60"})
    with pytest.raises(RateLimited) as caught:
        client.repository_attributes(APP)
    assert caught.value.retry_after == 60.0


def test_an_entra_identity_is_for_acr_only(entra: EntraCredential) -> None:
    with pytest.raises(ValueError, match="for Azure Container Registry only"):
        RegistryClient(parse_login_server("ghcr.io"), entra)


def test_storage_never_sees_a_credential_although_it_is_on_the_same_host(
    acr: AcrEmulator, acr_client: Clients
) -> None:
    image = build_image(layer_size=5000)
    image.push_to(acr.state, APP, tag="v1")
    repository = acr_client(acr).repository(APP)
    for digest, content in image.blobs.items():
        descriptor = Descriptor(media_type="x/y", digest=Digest(digest), size=len(content))
        with repository.open_blob(descriptor) as pieces:
            assert b"".join(pieces) == content
    seen = acr.storage_traffic.requests
    assert len(seen) == len(image.blobs)
    assert not any(request.authorized for request in seen)


def test_docker_hub_is_asked_for_a_token_once_its_challenge_is_known(
    hub: DockerHubEmulator, hub_registry: Callable[..., RegistryClient]
) -> None:
    build_image().push_to(hub.state, "acme/app", tag="v1")
    client = hub_registry(hub)
    repository = client.repository(parse_repository("acme/app"))
    for _ in range(3):
        assert repository.resolve(V1) is not None
    assert hub.auth_traffic.count("GET", "/token") == 1
    assert hub.traffic.count(status=401) == 1


def test_an_expired_token_of_docker_hub_is_replaced_before_it_ends(
    start_hub: Callable[..., DockerHubEmulator], hub_registry: Callable[..., RegistryClient]
) -> None:
    hub = start_hub(token_lifetime=60)
    build_image().push_to(hub.state, "acme/app", tag="v1")
    client = hub_registry(hub)
    repository = client.repository(parse_repository("acme/app"))
    repository.resolve(V1)
    assert client._authenticator is not None
    client._authenticator._tokens._clock = lambda: 10**9
    repository.resolve(V1)
    assert hub.auth_traffic.count("GET", "/token") == 2
    assert hub.traffic.count(status=401) == 1


@pytest.mark.parametrize(
    "realm",
    [
        "https://collector.example/token",
        "http://auth.example.com/token",
        "https://169.254.169.254/token",
        "not a url",
        "",
    ],
)
def test_a_credential_is_not_taken_to_a_strange_token_service(
    scripted: Callable[..., ScriptedServer], scripted_client: Callable[..., RegistryClient], realm: str
) -> None:
    def script(_: Asked) -> Answer:
        return Answer(status=401, headers={"WWW-Authenticate": f'Bearer realm="{realm}",service="x"'})

    client = scripted_client(scripted(script), credential=BasicCredential(username="u", secret="p"))
    with pytest.raises(ProtocolViolation, match="where its credential must not go"):
        client.repository(APP).resolve(V1)


def test_a_registry_that_wants_basic_gets_it_and_a_second_refusal_is_final(
    scripted: Callable[..., ScriptedServer], scripted_client: Callable[..., RegistryClient]
) -> None:
    def script(asked: Asked) -> Answer:
        if asked.headers.get("Authorization") == "Basic dTpw":
            return Answer(body=b'{"tags": ["v1"]}')
        return Answer(status=401, headers={"WWW-Authenticate": 'Basic realm="here"'})

    server = scripted(script)
    good = scripted_client(server, credential=BasicCredential(username="u", secret="p"))
    assert list(good.repository(APP).list_tags()) == [V1]
    assert list(good.repository(APP).list_tags()) == [V1]
    assert len(server.asked) == 3
    bad = scripted_client(server, credential=BasicCredential(username="u", secret="q"))
    with pytest.raises(AuthenticationFailed):
        list(bad.repository(APP).list_tags())
    assert len(server.asked) == 5


def test_a_challenge_that_cannot_be_met_is_told(
    scripted: Callable[..., ScriptedServer], scripted_client: Callable[..., RegistryClient]
) -> None:
    client = scripted_client(
        scripted(lambda _: Answer(status=401, headers={"WWW-Authenticate": "Negotiate"}))
    )
    with pytest.raises(AuthenticationFailed, match="401"):
        client.repository(APP).resolve(V1)


def test_a_token_service_without_a_token_is_told(
    scripted: Callable[..., ScriptedServer], scripted_client: Callable[..., RegistryClient]
) -> None:
    def script(asked: Asked) -> Answer:
        if asked.path == "/token":
            return Answer(body=b'{"expires_in": 300}')
        realm = f"http://{asked.headers['Host']}/token"
        return Answer(status=401, headers={"WWW-Authenticate": f'Bearer realm="{realm}",service="x"'})

    client = scripted_client(scripted(script))
    with pytest.raises(ProtocolViolation, match="answered without a token"):
        client.repository(APP).resolve(V1)


def test_a_scope_that_the_registry_demands_beyond_the_usual_is_asked_for(
    scripted: Callable[..., ScriptedServer], scripted_client: Callable[..., RegistryClient]
) -> None:
    def script(asked: Asked) -> Answer:
        if asked.path == "/token":
            return Answer(body=b'{"token": "t", "expires_in": 300}')
        if "Authorization" in asked.headers:
            return Answer(body=b'{"tags": []}')
        realm = f"http://{asked.headers['Host']}/token"
        scope = "project:secret/name:read"
        return Answer(status=401, headers={"WWW-Authenticate": f'Bearer realm="{realm}",scope="{scope}"'})

    server = scripted(script)
    list(scripted_client(server).repository(APP).list_tags())
    (query,) = [parse_qs(asked.query) for asked in server.asked if asked.path == "/token"]
    assert query["scope"] == ["project:secret/name:read", "repository:team/app:metadata_read,pull"]
