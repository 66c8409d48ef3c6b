from collections.abc import Iterator

import jwt
import pytest

from emulators.certificates import CertificateAuthority
from emulators.dockerhub.accounts import Scope
from emulators.registry.images import build_image
from tests.emulators.dockerhub_driver import Driver, SteppingClock, running

REPOSITORIES = "/v2/namespaces/acme/repositories"


@pytest.fixture(scope="module")
def ca() -> Iterator[CertificateAuthority]:
    with CertificateAuthority() as authority:
        yield authority


@pytest.fixture
def clock() -> SteppingClock:
    return SteppingClock()


@pytest.fixture
def driver(ca: CertificateAuthority, clock: SteppingClock) -> Iterator[Driver]:
    with running(ca, clock=clock) as driver:
        yield driver


def granted(token: str) -> dict[str, list[str]]:
    claims = jwt.decode(token, options={"verify_signature": False})
    return {entry["name"]: entry["actions"] for entry in claims["access"]}


def test_an_api_token_opens_private_repositories_for_ten_minutes(
    driver: Driver, clock: SteppingClock
) -> None:
    driver.api("POST", REPOSITORIES, json={"name": "app", "namespace": "acme", "is_private": True})
    token = driver.sign_in().json()["access_token"]

    assert driver.api("GET", f"{REPOSITORIES}/app", token=token).status_code == 200
    clock.advance(599)
    assert driver.api("GET", f"{REPOSITORIES}/app", token=token).status_code == 200
    clock.advance(2)
    refused = driver.api("GET", f"{REPOSITORIES}/app", token=token)
    assert (refused.status_code, refused.json()["detail"]) == (401, "token is expired")


def test_a_wrong_secret_is_401_at_both_doors(driver: Driver) -> None:
    with driver.signed_in_as("acme-bot", "wrong") as stranger:
        assert stranger.sign_in().status_code == 401
        assert stranger.ask_token().json() == {"details": "incorrect username or password"}


def test_the_deprecated_login_still_works_but_not_for_organizations(driver: Driver) -> None:
    url = f"{driver.hub.api_url}/v2/users/login"
    driver.hub.add_account("acme", "dckr_oat_x", "repo:write")

    user = driver.send("POST", url, json={"username": "acme-bot", "password": driver.hub.token})
    organization = driver.send("POST", url, json={"username": "acme", "password": "dckr_oat_x"})

    assert driver.api("GET", REPOSITORIES, token=user.json()["token"]).status_code == 200
    assert organization.status_code == 401
    assert organization.json()["detail"] == "Cannot log into an organization account"
    with driver.signed_in_as("acme", "dckr_oat_x") as member:
        assert member.sign_in().status_code == 200


@pytest.mark.parametrize("door", ["api", "registry"])
def test_many_failed_log_ins_lock_the_name_for_ten_minutes(
    driver: Driver, clock: SteppingClock, door: str
) -> None:
    def attempt(someone: Driver) -> int:
        return (someone.sign_in() if door == "api" else someone.ask_token()).status_code

    with driver.signed_in_as("acme-bot", "stale") as worker:
        assert [attempt(worker) for _ in range(11)] == [401] * 10 + [429]
        assert attempt(driver) == 429
        assert driver.ask_token().status_code == 429
        clock.advance(601)
        assert attempt(driver) == 200
        assert attempt(worker) == 401


def test_a_log_in_that_succeeds_forgives_the_failures_before_it(driver: Driver) -> None:
    with driver.signed_in_as("acme-bot", "stale") as worker:
        for someone in (worker, driver, worker):
            assert {someone.sign_in().status_code for _ in range(9)} <= {200, 401}
    assert driver.sign_in().status_code == 200


def test_a_bad_sign_in_body_names_the_field(driver: Driver) -> None:
    url = f"{driver.hub.api_url}/v2/auth/token"

    missing = driver.send("POST", url, json={"identifier": "acme-bot"})
    broken = driver.send("POST", url, data=b"{")

    assert (missing.status_code, missing.json()["fields"]) == (400, {"secret": ["this field is required"]})
    assert broken.status_code == 400


def test_a_registry_token_lasts_300_seconds(driver: Driver, clock: SteppingClock) -> None:
    answer = driver.ask_token("repository:acme/app:pull,push").json()
    assert answer["expires_in"] == 300
    assert answer["token"] == answer["access_token"]
    assert answer["issued_at"].endswith("Z")

    url = f"https://{driver.hub.registry}/v2/acme/app/blobs/uploads/"
    clock.advance(299)
    assert driver.send("POST", url, token=answer["token"]).status_code == 202
    clock.advance(2)
    late = driver.send("POST", url, token=answer["token"])
    assert late.status_code == 401
    assert 'error="invalid_token"' in late.headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    ("scope", "asked", "given"),
    [
        ("repo:admin", "pull,push,delete", ["pull", "push", "delete"]),
        ("repo:write", "pull,push,delete", ["pull", "push"]),
        ("repo:read", "push,pull", ["pull"]),
        ("repo:public_read", "push", None),
    ],
)
def test_a_token_silently_allows_less_than_was_asked(
    driver: Driver, scope: Scope, asked: str, given: list[str] | None
) -> None:
    driver.hub.add_account("worker", "dckr_pat_w", scope)
    with driver.signed_in_as("worker", "dckr_pat_w") as worker:
        answer = worker.ask_token(f"repository:acme/app:{asked}")

    assert answer.status_code == 200
    assert granted(answer.json()["token"]).get("acme/app") == given


def test_only_two_component_names_are_granted(driver: Driver) -> None:
    token = driver.token(
        "repository:acme/team/app:pull,push", "repository:app:pull", "repository:acme/app:pull"
    )
    assert granted(token) == {"acme/app": ["pull"]}


def test_strangers_may_pull_what_is_public_and_nothing_else(driver: Driver) -> None:
    image = build_image()
    image.push_to(driver.hub.state, "acme/open", tag="v1")
    image.push_to(driver.hub.state, "acme/closed", tag="v1")
    driver.hub.repository("acme/closed").private = True
    driver.hub.add_account("stranger", "dckr_pat_s", "repo:admin", namespaces=["elsewhere"])
    scopes = ("repository:acme/open:pull,push", "repository:acme/closed:pull")

    with driver.signed_in_as("stranger", "dckr_pat_s") as stranger, driver.signed_in_as("", "") as nobody:
        assert granted(stranger.token(*scopes)) == {"acme/open": ["pull"]}
        assert granted(nobody.token(" ".join(scopes))) == {"acme/open": ["pull"]}
        assert nobody.api("GET", f"{REPOSITORIES}/open").status_code == 200
        hidden = nobody.api("GET", f"{REPOSITORIES}/closed")
        assert (hidden.status_code, hidden.json()["message"]) == (404, "object not found")
        listed = nobody.api("GET", REPOSITORIES).json()
        assert [row["name"] for row in listed["results"]] == ["open"]


def test_a_revoked_secret_no_longer_signs_in(driver: Driver) -> None:
    driver.hub.add_account("worker", "dckr_pat_w", "repo:read")
    with driver.signed_in_as("worker", "dckr_pat_w") as worker:
        assert worker.sign_in().status_code == 200
        driver.hub.remove_account("worker")
        assert worker.sign_in().status_code == 401
