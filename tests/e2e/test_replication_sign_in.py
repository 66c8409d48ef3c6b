"""Signing in to Docker Hub: locked names are left alone, wrong secrets lock nobody out, tokens end midway."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

import pytest
import requests

from emulators.registry.images import Artifact, build_image
from tests.e2e.world import ROUTES, World, eventually, unique, world

pytestmark = pytest.mark.e2e

FAILURES_THAT_LOCK: Final = 10
LARGE: Final = 2_500_000


class Clock:
    """The registries' time, which a test can let pass."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def pass_by(self, **length: float) -> None:
        self._ahead += timedelta(**length)


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def steward(tmp_path_factory: pytest.TempPathFactory, clock: Clock) -> Iterator[World]:
    with world(
        tmp_path_factory.mktemp("sign-in"),
        policy=ROUTES,
        acr_options={"clock": clock},
        dockerhub_options={"clock": clock},
    ) as started:
        yield started


def sign_ins(steward: World) -> int:
    """Count how often anybody asked for a token, of the registry or of the Hub API."""
    hub = steward.stack.dockerhub
    return hub.auth_traffic.count() + hub.api_traffic.count("POST", "/v2/auth/token")


def forget_sign_ins(steward: World) -> None:
    steward.stack.dockerhub.auth_traffic.clear()
    steward.stack.dockerhub.api_traffic.clear()


def push_five(steward: World) -> dict[str, Artifact]:
    images = {unique("locked"): build_image() for _ in range(5)}
    for repository, image in images.items():
        steward.acr.push(repository, image, "v1")
    return images


def await_deferrals(steward: World, images: dict[str, Artifact]) -> None:
    for repository in images:
        found = eventually(partial(steward.outcomes, repository, "v1"), f"an outcome of {repository}")
        assert {each["result"] for each in found} == {"deferred"}
        assert steward.hub_digest(repository, "v1") is None


def arrive(steward: World, images: dict[str, Artifact]) -> None:
    """Push once more: what waits in the queue waits for minutes."""
    for repository, image in images.items():
        steward.acr.push(repository, image, "v1")
    for repository, image in images.items():
        steward.await_replica(repository, "v1", image)


def test_a_locked_name_is_left_alone_until_the_lock_is_over(steward: World, clock: Clock) -> None:
    """Somebody's old password has locked the name; the app's secret is right, and refused all the same."""
    hub = steward.stack.dockerhub
    for _ in range(FAILURES_THAT_LOCK):
        requests.get(
            f"{hub.auth_url}/token",
            auth=(hub.username, "an old password"),
            verify=str(steward.stack.ca.ca_file),
            timeout=10,
        )
    steward.stack.restart_host()
    forget_sign_ins(steward)

    images = push_five(steward)
    await_deferrals(steward, images)
    assert 1 <= sign_ins(steward) <= 2, "one for the registry, one for the Hub API, whatever was pushed"
    more = push_five(steward)
    await_deferrals(steward, more)
    assert sign_ins(steward) <= 2

    clock.pass_by(minutes=11)
    steward.stack.restart_host()
    arrive(steward, images | more)


def test_a_wrong_secret_is_not_sent_until_the_name_is_locked(steward: World) -> None:
    steward.stack.restart_host({"DOCKERHUB_TOKEN": "dckr_pat_revoked"})
    forget_sign_ins(steward)

    images: dict[str, Artifact] = {}
    for _ in range(3):
        images |= push_five(steward)
        await_deferrals(steward, images)
    assert 1 <= sign_ins(steward) <= 2

    steward.stack.restart_host({"DOCKERHUB_TOKEN": steward.stack.dockerhub.token})
    arrive(steward, images)


def test_tokens_that_end_while_a_layer_is_on_its_way_are_renewed(steward: World, clock: Clock) -> None:
    """Two hours pass once the layer has begun: the tokens expire, and so does the signature of its URL."""
    repository, image = unique("slow"), build_image(layer_size=LARGE)
    layer = max(image.blobs, key=lambda digest: len(image.blobs[digest]))
    replica = steward.replica(repository)
    acr, hub = steward.stack.acr, steward.stack.dockerhub
    cut = acr.storage_faults.inject(path=f"/content/{layer.replace(':', '-')}", cut_after=LARGE // 2)
    resumed = acr.faults.inject(path=f"/v2/{repository}/blobs/{layer}", nth=2, delay=2.0)
    late = hub.faults.inject(
        method="PUT",
        path=f"/v2/{replica}/blobs/uploads/.*",
        query=layer.replace(":", "(:|%3A)"),
        delay=2.0,
    )

    steward.acr.push(repository, image, "v1")
    eventually(lambda: cut.fired and resumed.fired, "the layer to be cut")
    clock.pass_by(hours=2)

    steward.await_replica(repository, "v1", image)
    assert late.fired == 1
    assert acr.traffic.count("GET", f"/v2/{repository}/blobs/{layer}", status=401) >= 1
    assert hub.traffic.count("PUT", f"/v2/{replica}/blobs/uploads/.*", status=401) >= 1
    assert [each["result"] for each in steward.outcomes(repository, "v1")] == ["copied"]
