"""Docker Hub's limit of pulls: checks cost none, and cleaning stops while some are left for others."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from emulators.dockerhub import DockerHubEmulator
from emulators.registry.images import build_image, build_index
from shared.errors import RateLimited
from shared.jobs.cleaned import cleaned_registry, known_edges
from shared.jobs.nightly import start_night
from shared.jobs.reconciling import start_reconciliation
from shared.jobs.status import run_summary
from shared.oci.names import DOCKER_HUB, RepositoryName
from tests.replication.desk import Desk
from tests.replication.test_replica_retention import HUB_RULE, policy

MANIFESTS = "/v2/.*/manifests/.*"
_LIMIT = 20


@pytest.fixture
def limited(desk: Desk) -> Iterator[Desk]:
    """The desk, with a Docker Hub of its own that allows twenty pulls, of which fifteen are for others."""
    ca = desk.world.servers.ca
    with DockerHubEmulator(ca=ca, pull_limit=_LIMIT) as hub:
        desk.world.servers = replace(desk.world.servers, hub=hub)
        desk.restart(DOCKERHUB_PULL_RESERVE="15")
        yield desk


def pulls(desk: Desk) -> int:
    return desk.world.hub.traffic.count("GET", MANIFESTS, status=200)


def test_no_check_is_a_pull(limited: Desk) -> None:
    limited.route(on_delete="mirror")
    digest = limited.push(build_index([build_image(), build_image(platform="linux/arm64")]), "v1")
    limited.event("push", tag="v1", digest=digest)
    gone = limited.push(build_image(), "v2")
    limited.work()
    limited.push(build_image(), "v1")
    limited.untag("v2")
    limited.event("delete", digest=gone)
    limited.work()
    start_reconciliation(limited.services, now=limited.world.clock())
    limited.work()
    assert set(limited.on_hub()) == {"v1"}
    assert limited.world.hub.traffic.count("HEAD", MANIFESTS) > 0
    assert pulls(limited) == 0
    assert limited.services.registries.target(DOCKER_HUB).pulls.remaining == _LIMIT


def fill(desk: Desk, count: int) -> RepositoryName:
    """Let others push so many indexes, whose bodies nobody here has seen."""
    for number in range(count):
        desk.put_on_hub(build_index([build_image()]), f"v{number}")
    return desk.world.replica


def test_a_snapshot_stops_before_the_reserve_and_remembers_what_it_read(limited: Desk) -> None:
    policy(limited, HUB_RULE)
    name = fill(limited, 7)
    replica = cleaned_registry(limited.services, DOCKER_HUB)
    with pytest.raises(RateLimited, match="15 of 20 pulls in 6 hours are left, and 15 are kept") as caught:
        replica.snapshot(name, edges_known=known_edges(limited.services, DOCKER_HUB, name))
    assert pulls(limited) == _LIMIT - 15
    assert caught.value.retry_after == 1800.0
    assert len(known_edges(limited.services, DOCKER_HUB, name)) == _LIMIT - 15


def test_a_night_that_had_to_stop_goes_on_when_there_are_pulls_again(limited: Desk) -> None:
    policy(limited, HUB_RULE)
    fill(limited, 7)
    run = start_night(limited.services, now=limited.world.clock())
    limited.delays.clear()
    limited.work(rounds=1)
    summary = run_summary(limited.services, run.name)
    assert summary is not None
    assert summary["state"] == "planning"
    (delay,) = limited.delays
    assert 1800 <= delay <= 1980
    assert pulls(limited) == _LIMIT - 15
    limited.restart(DOCKERHUB_PULL_RESERVE="2")
    limited.work()
    summary = run_summary(limited.services, run.name)
    assert summary is not None
    assert summary["state"] == "finished"
    assert summary["done"].get("failures", 0) == 0
    assert pulls(limited) == 14, "seven indexes and their seven images, none of them twice"


def test_what_is_left_is_asked_for_again_by_head_before_it_is_believed(limited: Desk) -> None:
    limited.restart(DOCKERHUB_PULL_RESERVE="2")
    name = fill(limited, 3)
    registry = limited.services.registries.target(DOCKER_HUB)
    registry.pulls.note({"ratelimit-limit": "20;w=21600", "ratelimit-remaining": "1;w=21600"})
    snapshot = cleaned_registry(limited.services, DOCKER_HUB).snapshot(name)
    assert len(snapshot.tags) == 3


def test_without_a_limit_nothing_is_spared(desk: Desk) -> None:
    desk.restart(DOCKERHUB_PULL_RESERVE="100000")
    name = fill(desk, 2)
    assert len(cleaned_registry(desk.services, DOCKER_HUB).snapshot(name).tags) == 2
