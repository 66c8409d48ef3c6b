from __future__ import annotations

from collections.abc import Callable

import pytest
import requests

from emulators.acr import AcrEmulator
from emulators.acr.quotas import Category, Quotas, categories_of
from emulators.registry.images import build_image
from tests.emulators.acr_caller import CLIENT_ID, AcrCaller, as_admin
from tests.emulators.conftest import TurnedClock


def quotas(clock: TurnedClock, scale: float = 1.0, **options: str) -> Quotas:
    sku = options.get("sku", "Standard")
    return Quotas(sku=sku, enforced=True, clock=clock, scale=scale)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sku", "category", "registry", "identity"),
    [
        ("Basic", "read", 10_000, 5_000),
        ("Standard", "write", 2_000, 1_000),
        ("Standard", "delete", 1_000, 500),
        ("Standard", "referrers", 500, 250),
        ("Premium", "read", 20_000, 10_000),
        ("Premium", "delete", 4_000, 2_000),
    ],
)
def test_one_identity_has_half_of_what_the_registry_has(
    clock: TurnedClock, sku: str, category: Category, registry: int, identity: int
) -> None:
    limits = quotas(clock, sku=sku)
    passed = {"first": 0, "second": 0, "third": 0}
    for who in passed:
        while limits.take(who, category) is None:
            passed[who] += 1
    assert passed == {"first": identity, "second": registry - identity, "third": 0}


def test_a_bucket_is_refilled_continuously(clock: TurnedClock) -> None:
    limits = quotas(clock)
    for _ in range(500):
        assert limits.take("me", "delete") is None
    clock.turn(0.13)
    assert limits.take("me", "delete") is None
    assert limits.take("me", "delete") == 60


def test_a_steady_pace_below_the_rate_never_waits(clock: TurnedClock) -> None:
    limits = quotas(clock)
    for _ in range(2_000):
        assert limits.take("me", "delete") is None
        clock.turn(60 / 500)


def test_the_wait_counts_down_and_a_retry_does_not_prolong_it(clock: TurnedClock) -> None:
    limits = quotas(clock, scale=0.01)
    while limits.take("me", "delete") is None:
        pass
    waits = []
    for _ in range(7):
        waits.append(limits.take("me", "delete"))
        clock.turn(10)
    assert waits == [60, 50, 40, 30, 20, 10, None]


def test_a_refused_request_costs_no_other_bucket(clock: TurnedClock) -> None:
    limits = quotas(clock, scale=0.004)
    assert limits.take("me", "read", "referrers") is None
    for _ in range(30):
        assert limits.take("me", "read", "referrers") is not None
    assert limits.take("me", "read") is None


def test_requests_count_by_method_and_referrers_twice() -> None:
    assert categories_of("HEAD", "/v2/a/manifests/v1") == ("read",)
    assert categories_of("GET", "/v2/a/referrers/sha256:0") == ("read", "referrers")
    assert categories_of("PATCH", "/acr/v1/a") == ("write",)
    assert categories_of("DELETE", "/acr/v1/a") == ("delete",)


def test_a_registry_over_its_quota_answers_429(
    start_acr: Callable[..., AcrEmulator], http: requests.Session, clock: TurnedClock
) -> None:
    acr = start_acr(clock=clock, enforce_quotas=True, quota_scale=0.002)
    build_image().push_to(acr.state, "app", tag="v1")
    url = f"{acr.url}/v2/app/manifests/v1"
    statuses = [http.get(url, auth=as_admin(acr)).status_code for _ in range(11)]
    assert statuses == [200] * 10 + [429]
    clock.turn(15)
    answer = http.get(url, auth=as_admin(acr))
    assert answer.headers["Retry-After"] == "45"
    assert answer.json()["errors"][0]["code"] == "TOOMANYREQUESTS"
    acr.grant(CLIENT_ID, "AcrPull")
    other = AcrCaller(acr, http).call("GET", "/v2/app/manifests/v1", "repository:app:pull")
    assert other.status_code == 200
    acr.quotas.enforced = False
    assert http.get(url, auth=as_admin(acr)).status_code == 200


def test_the_token_endpoints_have_a_quota_of_their_own(
    start_acr: Callable[..., AcrEmulator], http: requests.Session, clock: TurnedClock
) -> None:
    acr = start_acr(clock=clock, enforce_quotas=True, quota_scale=0.0002)
    answers = [http.get(f"{acr.url}/oauth2/token", auth=as_admin(acr)) for _ in range(3)]
    assert [each.status_code for each in answers] == [200, 200, 429]
    assert answers[2].headers["Retry-After"] == "60"


def test_latency_is_waited_for(start_acr: Callable[..., AcrEmulator], http: requests.Session) -> None:
    acr = start_acr(latency=0.1)
    assert http.get(f"{acr.url}/v2/").elapsed.total_seconds() >= 0.1
    acr.latency = 0
    assert http.get(f"{acr.url}/v2/").elapsed.total_seconds() < 0.1
