"""What a piece of work asks of registries is counted for it alone, whichever threads send it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from emulators.acr import AcrEmulator
from emulators.registry.images import build_image
from shared.errors import RateLimited
from shared.oci.names import parse_repository, parse_tag
from shared.registry.acr import AcrClient
from shared.registry.counting import Tally, counted, worker_pool
from shared.retention.traffic import Traffic

NAME = parse_repository("team/app")


@pytest.fixture
def filled(acr: AcrEmulator) -> AcrEmulator:
    for number in range(3):
        build_image().push_to(acr.state, NAME, tag=f"v{number}")
    return acr


@pytest.fixture
def client(filled: AcrEmulator, acr_client: Callable[..., AcrClient]) -> AcrClient:
    return acr_client(filled)


def test_requests_are_counted_as_often_as_they_reach_the_registry(
    filled: AcrEmulator, client: AcrClient
) -> None:
    with counted() as tally:
        client.snapshot(NAME)
        client.untag(NAME, parse_tag("v1"))
    requests = tally.traffic.requests
    assert sum(requests.values()) == len(filled.traffic.requests)
    assert requests["delete"] == 1
    assert requests["read"] >= 6, "three of them by the threads of the snapshot"
    assert requests["oauth"] >= 1


def test_work_that_goes_on_at_the_same_time_is_counted_apart(client: AcrClient) -> None:
    client.snapshot(NAME)  # signs in, so that both find a token
    together = Barrier(2)

    def work(times: int) -> Tally:
        with counted() as tally:
            together.wait()
            for _ in range(times):
                client.manifest_attributes(NAME, "sha256:" + "0" * 64)  # type: ignore[arg-type]
        return tally

    with ThreadPoolExecutor(2) as pool:
        few, many = pool.map(work, (2, 7))
    assert (few.traffic.requests, many.traffic.requests) == ({"read": 2}, {"read": 7})


def test_what_nobody_counts_is_not_counted(client: AcrClient) -> None:
    with counted() as tally:
        pass
    client.repository_attributes(NAME)
    assert tally.traffic == Traffic()


def test_refusals_and_the_time_waited_for_them_are_counted(filled: AcrEmulator, client: AcrClient) -> None:
    client.repository_attributes(NAME)
    filled.faults.inject(path=f"/acr/v1/{NAME}", status=429, headers={"Retry-After": "1"})
    with counted() as tally:
        client.repository_attributes(NAME)
    assert tally.traffic.requests == {"read": 2}
    assert tally.traffic.throttled == 1
    assert 1.0 <= tally.traffic.waited < 2.0


def test_a_wait_that_is_left_to_the_queue_is_not_counted_as_waited(
    filled: AcrEmulator, client: AcrClient
) -> None:
    client.repository_attributes(NAME)
    filled.faults.inject(path=f"/acr/v1/{NAME}", status=429, headers={"Retry-After": "300"})
    with counted() as tally, pytest.raises(RateLimited):
        client.repository_attributes(NAME)
    assert (tally.traffic.throttled, tally.traffic.waited) == (1, 0.0)


def test_the_threads_of_a_pool_count_for_who_opened_it(client: AcrClient) -> None:
    with counted() as tally, worker_pool(2, "some") as pool:
        list(pool.map(lambda _: client.repository_attributes(NAME), range(4)))
    assert tally.traffic.requests["read"] == 4


def test_traffic_adds_up_and_is_read_as_it_was_written() -> None:
    one = Traffic(requests={"read": 2, "delete": 1}, throttled=1, waited=0.5)
    both = one + Traffic(requests={"read": 1}, waited=0.25)
    assert both == Traffic(requests={"read": 3, "delete": 1}, throttled=1, waited=0.75)
    assert Traffic.from_json(both.to_json()) == both
    assert both.counts == {"requests": 4, "throttled": 1, "waited_seconds": 1}
