from collections.abc import Iterator
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.certificates import CertificateAuthority
from emulators.dockerhub.limits import FixedWindows
from emulators.registry.images import build_image
from tests.emulators.dockerhub_driver import Driver, SteppingClock, running

MANIFEST = "/v2/acme/app/manifests/v1"
TAGS = "/v2/namespaces/acme/repositories/app/tags"


@pytest.fixture(scope="module")
def ca() -> Iterator[CertificateAuthority]:
    with CertificateAuthority() as authority:
        yield authority


@pytest.fixture
def clock() -> SteppingClock:
    return SteppingClock()


def with_an_image(driver: Driver) -> None:
    build_image(seed=1).push_to(driver.hub.state, "acme/app", tag="v1")


@given(limit=st.integers(1, 5), steps=st.lists(st.integers(0, 40), max_size=40))
def test_no_window_ever_lets_more_than_its_limit_through(limit: int, steps: list[int]) -> None:
    clock = SteppingClock()
    windows = FixedWindows(limit=limit, length=timedelta(seconds=60), clock=clock)
    let_through: dict[object, int] = {}
    for step in steps:
        clock.advance(step)
        allowance = windows.take("someone")
        assert clock() < allowance.resets_at <= clock() + timedelta(seconds=60)
        assert 0 <= allowance.remaining < limit or not allowance.allowed
        let_through[allowance.resets_at] = let_through.get(allowance.resets_at, 0) + allowance.allowed
    assert all(1 <= count <= limit for count in let_through.values())


def test_the_api_limit_tells_the_unix_time_to_come_back(
    ca: CertificateAuthority, clock: SteppingClock
) -> None:
    with running(ca, clock=clock, api_limit_per_minute=3) as driver:
        with_an_image(driver)
        token = driver.sign_in().json()["access_token"]
        clock.advance(10)
        answers = [driver.api("GET", TAGS, token=token) for _ in range(3)]

        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["1", "0", "0"]
        assert answers[0].headers["X-RateLimit-Limit"] == "3"
        back = int(clock().timestamp()) + 50
        assert answers[2].headers["X-Retry-After"] == str(back) == answers[0].headers["X-RateLimit-Reset"]
        assert "Retry-After" not in answers[2].headers
        assert answers[2].json() == {"detail": "Rate limit exceeded", "error": False}

        clock.advance(50)
        assert driver.api("GET", TAGS, token=token).status_code == 200
        assert driver.registry("GET", MANIFEST).status_code == 200


def test_the_pull_limit_counts_manifest_gets_of_one_user(
    ca: CertificateAuthority, clock: SteppingClock
) -> None:
    with running(ca, clock=clock, pull_limit=2) as driver, driver.signed_in_as("", "") as nobody:
        with_an_image(driver)
        looked = driver.registry("HEAD", MANIFEST)
        assert looked.headers["ratelimit-limit"] == "2;w=21600"
        assert looked.headers["ratelimit-remaining"] == "2;w=21600"
        assert driver.registry("GET", "/v2/acme/app/manifests/none").status_code == 404

        pulls = [driver.registry("GET", MANIFEST) for _ in range(3)]
        assert [pull.status_code for pull in pulls] == [200, 200, 429]
        assert [pull.headers["ratelimit-remaining"] for pull in pulls] == [
            "1;w=21600",
            "0;w=21600",
            "0;w=21600",
        ]
        (error,) = pulls[2].json()["errors"]
        assert error["code"] == "TOOMANYREQUESTS"
        assert error["message"].startswith("You have reached your pull rate limit")

        assert driver.registry("HEAD", MANIFEST).status_code == 200
        other = nobody.registry("GET", MANIFEST)
        assert (other.status_code, other.headers["docker-ratelimit-source"]) == (200, "127.0.0.1")
        assert pulls[0].headers["docker-ratelimit-source"] != "127.0.0.1"

        clock.advance(6 * 3600)
        assert driver.registry("GET", MANIFEST).status_code == 200


def test_an_unlimited_registry_sends_no_limit_headers(ca: CertificateAuthority) -> None:
    with running(ca) as driver:
        with_an_image(driver)
        assert "ratelimit-limit" not in driver.registry("GET", MANIFEST).headers
        assert "X-RateLimit-Limit" not in driver.api("GET", TAGS).headers


def test_the_abuse_limit_covers_all_hosts_in_plain_text(
    ca: CertificateAuthority, clock: SteppingClock
) -> None:
    with running(ca, clock=clock, abuse_limit_per_minute=4) as driver:
        url = f"https://{driver.hub.registry}/v2/"
        assert driver.ask_token().status_code == 200
        assert driver.sign_in().status_code == 200
        assert [driver.send("GET", url).status_code for _ in range(2)] == [401, 401]

        clock.advance(20)
        refusals = [driver.send("GET", url), driver.sign_in(), driver.ask_token()]

        assert [refusal.status_code for refusal in refusals] == [429] * 3
        assert [refusal.text for refusal in refusals] == [
            "Too Many Requests (HAP429).\n",
            "",
            "Too Many Requests (HAP429).\n",
        ]
        assert {refusal.headers["Retry-After"] for refusal in refusals} == {"40"}
        clock.advance(40)
        assert driver.send("GET", url).status_code == 401


def test_a_minute_can_be_made_short(ca: CertificateAuthority, clock: SteppingClock) -> None:
    with running(ca, clock=clock, api_limit_per_minute=1, minute=2) as driver:
        assert driver.sign_in().status_code == 200
        assert driver.sign_in().status_code == 429
        clock.advance(2)
        assert driver.sign_in().status_code == 200
