"""Registries that count requests: whatever form a refusal has, it is obeyed, and everything arrives."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

import pytest

from emulators.acr.quotas import Quotas
from emulators.dockerhub.limits import FixedWindows
from emulators.registry.images import Artifact, build_image
from emulators.stack import Stack
from emulators.traffic import Traffic
from tests.e2e.world import ROUTES, World, eventually, unique, world

pytestmark = pytest.mark.e2e

MINUTE: Final = 4.0
"""How many seconds the registries' minutes last here."""

SETTLING: Final = 1.0
"""Within so many seconds after a refusal everybody in the app knows of it."""

PLENTY: Final = 100_000
IMAGES: Final = 4


@pytest.fixture(scope="module")
def steward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(
        tmp_path_factory.mktemp("limits"),
        policy=ROUTES,
        dockerhub_options={
            "api_limit_per_minute": PLENTY,
            "abuse_limit_per_minute": PLENTY,
            "minute": MINUTE,
            "referrers": "none",
        },
        acr_options={"quota_window": MINUTE},
    ) as started:
        yield started


@contextmanager
def at_most(windows: FixedWindows | None, limit: int) -> Iterator[None]:
    assert windows is not None
    windows.limit = limit
    try:
        yield
    finally:
        windows.limit = PLENTY


@contextmanager
def enforced(quotas: Quotas, scale: float) -> Iterator[None]:
    quotas.scale, quotas.enforced = scale, True
    try:
        yield
    finally:
        quotas.enforced = False


type Limited = Callable[[Stack], tuple[AbstractContextManager[None], Traffic]]

LIMITS: Final[dict[str, Limited]] = {
    "plain text, then an empty body, from all hosts of Docker Hub": lambda stack: (
        at_most(stack.dockerhub.abuse_windows, 12),
        stack.dockerhub.traffic,
    ),
    "X-Retry-After as a unix time, from the Hub API": lambda stack: (
        at_most(stack.dockerhub.api_windows, 2),
        stack.dockerhub.api_traffic,
    ),
    "a Retry-After that counts down, from ACR": lambda stack: (
        enforced(stack.acr.quotas, 0.003),
        stack.acr.traffic,
    ),
}


def push_unheard(steward: World) -> dict[str, Artifact]:
    """Push images that Event Grid tells nobody of."""
    images = {unique("limited"): build_image(layers=2) for _ in range(IMAGES)}
    steward.stack.eventgrid.loss = 1.0
    try:
        for repository, image in images.items():
            steward.acr.push(repository, image, "v1")
    finally:
        steward.stack.eventgrid.loss = 0.0
    return images


def tell(steward: World, images: dict[str, Artifact]) -> None:
    for event in steward.stack.acr_events():
        if event["target"]["repository"] in images and event["target"].get("tag"):
            steward.stack.eventgrid.publish(event, topic=steward.stack.acr.resource_id)
    steward.stack.eventgrid.drain()


@pytest.mark.parametrize("limit", LIMITS)
def test_after_a_refusal_nothing_is_asked_before_its_time_and_everything_arrives(
    steward: World, limit: str
) -> None:
    images = push_unheard(steward)
    limited, traffic = LIMITS[limit](steward.stack)
    traffic.clear()
    with limited:
        tell(steward, images)
        eventually(lambda: traffic.count(status=429), "a refusal")
        time.sleep(SETTLING)
        refused = traffic.count(status=429)
        time.sleep(SETTLING)
        assert traffic.count(status=429) == refused
    for repository, image in images.items():
        steward.await_replica(repository, "v1", image)
        assert {each["result"] for each in steward.outcomes(repository, "v1")} <= {"copied", "up_to_date"}


def test_a_pull_limit_in_json_that_names_no_time_is_waited_for(steward: World) -> None:
    body = '{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit."}]}'
    repository, image = unique("json"), build_image()
    limit = steward.stack.dockerhub.faults.inject(
        path=f"/v2/{steward.replica(repository)}/manifests/.*", status=429, body=body, times=2
    )

    steward.acr.push(repository, image, "v1")

    steward.await_replica(repository, "v1", image)
    assert limit.fired == 2
