import json
import logging
from collections.abc import Callable

import pytest

from emulators.dockerhub import DockerHubEmulator
from emulators.registry.images import build_image
from shared.oci.names import Digest, TagName, parse_repository
from shared.registry.client import RegistryClient
from shared.registry.pulls import Pulls

HOURS = 3600.0


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def said(remaining: str, limit: str = "100;w=21600") -> dict[str, str]:
    return {"ratelimit-limit": limit, "ratelimit-remaining": remaining}


@pytest.mark.parametrize(
    ("headers", "left"),
    [
        (said("76;w=21600"), 76),
        (said("0;w=21600"), 0),
        (said("76"), 76),
        ({"ratelimit-remaining": " 5 ; w=60 "}, 5),
        ({}, None),
        (said("many;w=21600"), None),
        (said("-1;w=21600"), None),
    ],
)
def test_what_is_left_is_read_from_the_headers(headers: dict[str, str], left: int | None) -> None:
    pulls = Pulls("docker.io")
    pulls.note(headers)
    assert pulls.remaining == left


def test_a_word_counts_until_its_window_is_over_or_another_one_says_that_there_is_no_limit() -> None:
    clock = Clock()
    pulls = Pulls("docker.io", clock)
    pulls.note(said("3;w=21600"))
    clock.now += 6 * HOURS
    assert pulls.remaining == 3
    clock.now += 1
    assert pulls.remaining is None
    assert pulls.shortage(50) is None
    pulls.note(said("2;w=21600"))
    pulls.note({})
    assert pulls.remaining is None


def test_there_is_a_shortage_when_no_more_than_the_reserve_is_left() -> None:
    pulls = Pulls("docker.io")
    assert pulls.shortage(50) is None, "what is not known is not short"
    pulls.note(said("51;w=21600"))
    assert pulls.shortage(50) is None
    pulls.note(said("50;w=21600"))
    assert pulls.shortage(50) == "50 of 100 pulls in 6 hours are left, and 50 are kept for others"
    assert pulls.shortage(0) is None
    pulls.note(said("0;w=21600"))
    assert pulls.shortage(0) is not None


def test_that_few_are_left_is_logged_once_until_there_are_more_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pulls = Pulls("docker.io")
    with caplog.at_level(logging.WARNING, "steward.pulls"):
        for remaining in (50, 10, 9, 0, 60, 8):
            pulls.note(said(f"{remaining};w=21600"))
    lines = [json.loads(record.getMessage().partition("few pulls are left ")[2]) for record in caplog.records]
    assert [line["remaining"] for line in lines] == [10, 8]
    assert lines[0] == {"registry": "docker.io", "remaining": 10, "limit": 100, "window_seconds": 21600.0}


def test_a_get_is_a_pull_and_a_head_tells_for_nothing(
    start_hub: Callable[..., DockerHubEmulator], hub_registry: Callable[..., RegistryClient]
) -> None:
    hub = start_hub(pull_limit=20)
    image = build_image()
    image.push_to(hub.state, "acme/app", tag="v1")
    client = hub_registry(hub)
    repository = client.repository(parse_repository("acme/app"))
    assert client.pulls.remaining is None
    for _ in range(3):
        repository.resolve(TagName("v1"))
    assert client.pulls.remaining == 20
    repository.fetch_manifest(Digest(image.digest))
    assert client.pulls.remaining == 19
    client.repository(parse_repository("acme/other")).resolve(TagName("v1"))
    assert client.pulls.remaining == 19, "what does not exist says nothing of the limit"
