from typing import Any

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from requests.adapters import BaseAdapter

from shared.errors import RateLimited
from shared.registry.addresses import origin_of
from shared.registry.pacing import EndpointClass, Pace, Pacing, endpoint_class

HOME = origin_of("https://r.example")


class TimedServer(BaseAdapter):
    """Answers at once, as a server does whose time is the test's; writes down when it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.times: list[float] = []
        self.refusals: list[dict[str, str]] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        del request, args, options
        self.times.append(self.now)
        response = requests.Response()
        response.status_code = 200
        if self.refusals:
            response.status_code = 429
            response.headers.update(self.refusals.pop())
        return response

    def close(self) -> None:
        pass


def paced(server: TimedServer, per_minute: float | None, *, patience: float = 1000.0) -> Pacing:
    return Pacing(
        server,
        registry="r.example",
        home=HOME,
        paces={} if per_minute is None else {"read": Pace(per_minute=per_minute)},
        patience=patience,
        clock=server.clock,
        sleep=server.sleep,
    )


def ask(pacing: Pacing, url: str = "https://r.example/v2/app/tags/list") -> requests.Response:
    return pacing.send(requests.Request("GET", url).prepare())


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("GET", "/v2/app/manifests/v1", "read"),
        ("HEAD", "/v2/app/manifests/token", "read"),
        ("GET", "/v2/app/referrers/sha256:aa", "referrers"),
        ("PUT", "/v2/app/manifests/v1", "write"),
        ("PATCH", "/acr/v1/app/_tags/v1", "write"),
        ("POST", "/v2/app/blobs/uploads/", "write"),
        ("DELETE", "/acr/v1/app/_tags/v1", "delete"),
        ("POST", "/oauth2/exchange", "oauth"),
        ("POST", "/oauth2/token", "oauth"),
        ("GET", "/token", "oauth"),
        ("POST", "/v2/auth/token", "oauth"),
    ],
)
def test_endpoints_are_counted_as_registries_count_them(method: str, path: str, kind: EndpointClass) -> None:
    assert endpoint_class(method, f"https://r.example{path}") == kind


@settings(deadline=None, max_examples=40)
@given(per_minute=st.integers(1, 300), wanted=st.integers(1, 900))
def test_no_minute_sees_more_than_twice_the_pace_and_no_later_one_more_than_it(
    per_minute: int, wanted: int
) -> None:
    server = TimedServer()
    pacing = paced(server, per_minute, patience=1e9)
    for _ in range(wanted):
        ask(pacing)
    assert sum(at < 59.9 for at in server.times) <= 2 * per_minute
    expected = max(0.0, (wanted - per_minute) * 60 / per_minute)
    assert server.now == pytest.approx(expected, abs=1e-6 + 60 / per_minute)


def test_without_a_pace_nothing_waits() -> None:
    server = TimedServer()
    pacing = paced(server, None)
    for _ in range(1000):
        ask(pacing)
    assert server.now == 0.0


def test_a_refusal_halves_the_pace_until_it_has_recovered() -> None:
    server = TimedServer()
    pacing = paced(server, 60)
    server.refusals = [{"Retry-After": "0"}]
    ask(pacing)
    gaps = []
    for _ in range(5):
        before = server.now
        ask(pacing)
        gaps.append(server.now - before)
    assert all(1.0 < gap < 2.1 for gap in gaps)
    server.now += 120
    before = server.now
    for _ in range(30):
        ask(pacing)
    assert server.now == before


@pytest.mark.parametrize(("headers", "wait"), [({"Retry-After": "10"}, 10.0), ({}, 1.0)])
def test_a_refusal_closes_the_gate_for_as_long_as_the_registry_says(
    headers: dict[str, str], wait: float
) -> None:
    server = TimedServer()
    pacing = paced(server, None)
    server.refusals = [headers]
    ask(pacing)
    ask(pacing)
    assert server.times == [0.0, wait]


def test_a_turn_beyond_the_patience_is_not_waited_for_and_not_taken() -> None:
    server = TimedServer()
    pacing = paced(server, 60, patience=0.5)
    for _ in range(60):
        ask(pacing)
    for _ in range(3):
        with pytest.raises(RateLimited) as caught:
            ask(pacing)
        assert caught.value.retry_after == pytest.approx(1.0, abs=0.1)
    server.now += 1.0
    ask(pacing)


def test_storage_hosts_are_not_counted() -> None:
    server = TimedServer()
    pacing = paced(server, 1)
    for _ in range(10):
        ask(pacing, "https://storage.example/blob")
    assert server.now == 0.0
