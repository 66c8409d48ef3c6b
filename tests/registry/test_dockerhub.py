import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from emulators.dockerhub import DockerHubEmulator
from emulators.registry.images import build_image
from shared.errors import (
    AccessDenied,
    AuthenticationFailed,
    ContentRejected,
    InvalidName,
    ProtocolViolation,
    RateLimited,
)
from shared.oci.names import parse_repository, parse_tag
from shared.registry.credentials import BasicCredential
from shared.registry.dockerhub import DockerHubClient, HubAuthenticator
from shared.registry.dockerhub_records import read_tag
from shared.registry.transport import TransportOptions
from tests.registry.scripted import Answer, Asked, Script, ScriptedServer

APP = parse_repository("acme/app")
V1 = parse_tag("v1")

type Api = Callable[..., DockerHubClient]


def test_a_repository_is_created_private_and_once(hub: DockerHubEmulator, hub_api: Api) -> None:
    client = hub_api(hub)
    assert client.find_repository(APP) is None
    assert client.create_repository(APP) is True
    assert client.create_repository(APP, private=False) is False
    found = client.find_repository(APP)
    assert found is not None
    assert (found.name, found.private) == (APP, True)


def test_a_public_repository_must_be_asked_for(hub: DockerHubEmulator, hub_api: Api) -> None:
    client = hub_api(hub)
    client.create_repository(APP, private=False, description="ours")
    found = client.find_repository(APP)
    assert found is not None
    assert found.private is False


def test_a_refusal_that_is_no_duplicate_is_told(hub: DockerHubEmulator, hub_api: Api) -> None:
    with pytest.raises(ContentRejected, match="description"):
        hub_api(hub).create_repository(APP, description="x" * 101)


def test_lists_are_followed_to_the_end(start_hub: Callable[..., DockerHubEmulator], hub_api: Api) -> None:
    hub = start_hub(page_cap=3)
    for number in range(7):
        build_image().push_to(hub.state, APP, tag=f"v{number}")
        build_image().push_to(hub.state, f"acme/app{number}", tag="v1")
    client = hub_api(hub)
    assert {tag.name for tag in client.list_tags(APP)} == {f"v{number}" for number in range(7)}
    assert len(list(client.list_repositories("acme"))) == 8
    assert hub.api_traffic.count("GET", r"/v2/namespaces/acme/repositories/app/tags") == 3


def test_tags_carry_digest_and_push_time(hub: DockerHubEmulator, hub_api: Api) -> None:
    digest = build_image().push_to(hub.state, APP, tag=V1)
    (tag,) = hub_api(hub).list_tags(APP)
    assert (tag.name, tag.digest, tag.active) == (V1, digest, True)
    assert tag.pushed is not None
    assert tag.pushed.tzinfo is not None
    assert hub_api(hub).find_tag(APP, V1) == tag
    assert hub_api(hub).find_tag(APP, parse_tag("v2")) is None


def test_what_does_not_exist_lists_as_empty(hub: DockerHubEmulator, hub_api: Api) -> None:
    assert list(hub_api(hub).list_tags(APP)) == []


def test_deleting_says_whether_there_was_something(hub: DockerHubEmulator, hub_api: Api) -> None:
    build_image().push_to(hub.state, APP, tag=V1)
    client = hub_api(hub)
    assert client.delete_tag(APP, V1) is True
    assert client.delete_tag(APP, V1) is False
    assert client.delete_repository(APP) is True
    assert client.delete_repository(APP) is False


def test_one_sign_in_serves_all_threads(hub: DockerHubEmulator, hub_api: Api) -> None:
    build_image().push_to(hub.state, APP, tag=V1)
    client = hub_api(hub)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: client.find_tag(APP, V1), range(16)))
    assert hub.api_traffic.count("POST", "/v2/auth/token") == 1


def test_a_token_refused_before_its_time_is_renewed_once(hub: DockerHubEmulator, hub_api: Api) -> None:
    build_image().push_to(hub.state, APP, tag=V1)
    client = hub_api(hub)
    client.find_tag(APP, V1)
    hub.api_faults.inject(method="GET", status=401)
    assert client.find_tag(APP, V1) is not None
    assert hub.api_traffic.count("POST", "/v2/auth/token") == 2


def test_a_wrong_secret_is_never_hammered(hub: DockerHubEmulator, hub_api: Api) -> None:
    client = hub_api(hub, secret="wrong")
    for _ in range(4):
        with pytest.raises(AuthenticationFailed):
            client.find_tag(APP, V1)
    assert hub.api_traffic.count("POST", "/v2/auth/token") == 1


def test_a_token_is_renewed_before_its_ten_minutes_are_over(hub: DockerHubEmulator, hub_api: Api) -> None:
    build_image().push_to(hub.state, APP, tag=V1)
    client = hub_api(hub)
    client.find_tag(APP, V1)
    authenticator = client._transport.session.get_adapter(hub.api_url)._authenticator  # type: ignore[attr-defined]
    assert isinstance(authenticator, HubAuthenticator)
    token = authenticator.token_for("GET", hub.api_url)
    now = authenticator._clock()
    assert 400 < token.renew_at - now < 500


def test_a_token_that_may_not_delete_is_told_so(hub: DockerHubEmulator, hub_api: Api) -> None:
    build_image().push_to(hub.state, APP, tag=V1)
    hub.add_account("writer", "dckr_pat_write", "repo:write", namespaces={"acme"})
    with pytest.raises(AccessDenied, match="insufficient scope"):
        hub_api(hub, "dckr_pat_write", "writer").delete_tag(APP, V1)


def test_the_api_limit_is_told_with_its_unix_time(
    start_hub: Callable[..., DockerHubEmulator], hub_api: Api
) -> None:
    hub = start_hub(api_limit_per_minute=3)
    client = hub_api(hub)
    for _ in range(2):  # the third is the sign-in
        client.find_repository(APP)
    with pytest.raises(RateLimited) as caught:
        client.find_repository(APP)
    assert caught.value.retry_after is not None
    assert 0 < caught.value.retry_after <= 61


@pytest.mark.parametrize("name", ["app", "acme/team/app"])
def test_a_name_of_other_than_two_components_is_refused_before_it_is_asked_for(
    hub: DockerHubEmulator, hub_api: Api, name: str
) -> None:
    client = hub_api(hub)
    for call in (client.create_repository, client.find_repository, client.delete_repository):
        with pytest.raises(InvalidName, match="expected namespace/name"):
            call(parse_repository(name))
    assert hub.api_traffic.requests == []


@pytest.mark.parametrize(
    ("fields", "active"),
    [({"tag_status": "active"}, True), ({"status": "inactive"}, False), ({}, None)],
)
def test_both_names_of_the_status_are_read(fields: dict[str, str], active: bool | None) -> None:  # noqa: FBT001
    tag = read_tag({"name": "v1", "last_updated": "2021-05-25T22:27:21.712654Z", **fields})
    assert tag.active is active
    assert tag.digest is None
    assert tag.pushed == datetime(2021, 5, 25, 22, 27, 21, 712654, tzinfo=UTC)


@pytest.fixture
def scripted_api(
    scripted: Callable[[Script], ScriptedServer], options: TransportOptions
) -> Callable[[Script], DockerHubClient]:
    def build(script: Script) -> DockerHubClient:
        def signed_in(asked: Asked) -> Answer:
            if asked.path == "/v2/auth/token":
                return Answer(body=b'{"access_token": "t"}')
            return script(asked)

        credential = BasicCredential(username="u", secret="p")
        return DockerHubClient(credential, api_url=scripted(signed_in).url, options=options)

    return build


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ({"results": [], "next": "https://evil.example/v2/next"}, "the list continues at"),
        ({"results": {"name": "v1"}}, "results is not a list"),
        ({"results": [{"name": "bad tag"}]}, "tag 'bad tag' that cannot be read"),
        ({"results": [7]}, "tag '7' that cannot be read"),
        ([], "not a JSON object"),
    ],
)
def test_answers_that_break_the_rules_are_refused(
    scripted_api: Callable[[Script], DockerHubClient], page: object, message: str
) -> None:
    with (
        scripted_api(lambda _: Answer(body=json.dumps(page).encode())) as client,
        pytest.raises(ProtocolViolation, match=message),
    ):
        list(client.list_tags(APP))


def test_a_page_behind_the_end_is_the_end(
    scripted_api: Callable[[Script], DockerHubClient],
) -> None:
    def script(asked: Asked) -> Answer:
        if "page=2" in asked.query:
            return Answer(status=404, body=b'{"message": "page not found"}')
        following = f"http://{asked.headers['Host']}{asked.path}?page=2"
        return Answer(body=json.dumps({"results": [{"name": "v1"}], "next": following}).encode())

    with scripted_api(script) as client:
        assert [tag.name for tag in client.list_tags(APP)] == [V1]
