from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import requests
from requests.adapters import BaseAdapter

from emulators.acr import AcrEmulator
from emulators.registry.images import build_image
from shared.errors import RateLimited
from shared.oci.names import TagName, parse_repository
from shared.registry.acr import AcrClient
from shared.registry.addresses import origin_of
from shared.registry.pacing import EndpointClass, Pace, Pacing, endpoint_class
from shared.registry.transport import TransportOptions

HOME = origin_of("https://r.example")


class TimedServer(BaseAdapter):
    """Answers at once, as a server does whose time is the test's; writes down when it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.times: list[float] = []
        self.refusals: list[dict[str, str]] = []
        self.while_asleep: Callable[[], object] | None = None

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        meanwhile, self.while_asleep = self.while_asleep, None
        if meanwhile is not None:
            meanwhile()
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


def test_without_a_pace_nothing_waits() -> None:
    server = TimedServer()
    pacing = paced(server, None)
    for _ in range(1000):
        ask(pacing)
    assert server.now == 0.0


def test_with_a_pace_turns_are_waited_for_once_the_burst_is_spent() -> None:
    server = TimedServer()
    pacing = paced(server, 60)
    for _ in range(13):
        ask(pacing)
    assert server.times == pytest.approx([0.0] * 10 + [1.0, 2.0, 3.0], abs=0.001)


def test_a_turn_that_was_given_before_a_refusal_is_void() -> None:
    server = TimedServer()
    pacing = paced(server, 60)
    for _ in range(10):
        ask(pacing)
    server.refusals = [{"Retry-After": "20"}]
    server.while_asleep = lambda: ask(pacing)
    ask(pacing)
    refused, sent = server.times[10:]
    assert refused + 20 <= sent <= refused + 24


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
    for _ in range(10):
        ask(pacing)
    for _ in range(3):
        with pytest.raises(RateLimited) as caught:
            ask(pacing)
        assert caught.value.retry_after == pytest.approx(1.0, abs=0.1)
    server.now += 1.0
    ask(pacing)


def test_the_patience_is_for_all_the_waits_of_a_request_together() -> None:
    server = TimedServer()
    pacing = paced(server, None, patience=5.0)
    server.refusals = [{"Retry-After": "7"}, {"Retry-After": "4"}]
    ask(pacing)
    server.while_asleep = lambda: ask(pacing)  # from 0 to 4; whoever it wakes sleeps on until 8
    with pytest.raises(RateLimited) as caught:
        ask(pacing)
    assert caught.value.retry_after == 3.0


def test_storage_hosts_are_not_counted() -> None:
    server = TimedServer()
    pacing = paced(server, 1)
    for _ in range(10):
        ask(pacing, "https://storage.example/blob")
    assert server.now == 0.0


def test_two_instances_that_exceed_a_quota_are_refused_once_a_worker_and_finish(
    start_acr: Callable[..., AcrEmulator],
    acr_client: Callable[..., AcrClient],
    options: TransportOptions,
) -> None:
    acr = start_acr(enforce_quotas=True, quota_scale=0.12, quota_window=2.0)
    app, image, workers = parse_repository("team/app"), build_image(), 4
    tags = [TagName(f"v{number}") for number in range(90)]
    for tag in tags:
        image.push_to(acr.state, app, tag=tag)
    hasty = replace(options, patience=10.0, delete_patience=10.0, paces={"delete": Pace(per_minute=1200)})
    clients = [acr_client(acr, options=hasty) for _ in range(2)]

    def untag(client: AcrClient, own: Sequence[TagName]) -> int:
        with ThreadPoolExecutor(workers) as pool:
            return sum(pool.map(lambda tag: client.untag(app, tag), own))

    with ThreadPoolExecutor(len(clients)) as pool:
        assert list(pool.map(untag, clients, (tags[:45], tags[45:]))) == [45, 45]
    refused = sum(each.status == requests.codes.too_many_requests for each in acr.traffic.requests)
    assert 0 < refused <= len(clients) * workers
