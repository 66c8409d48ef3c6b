"""Reports say what was asked of the registry, by all invocations that worked on the repository."""

from concurrent.futures import ThreadPoolExecutor

from emulators.registry.images import build_image
from shared.jobs.cleaning import clean
from shared.jobs.nightly import start_night
from shared.jobs.status import run_summary
from shared.retention.traffic import Traffic
from tests.jobs.running import OLD, finished, report, work
from tests.jobs.world import World, body


def about(world: World, repository: str) -> int:
    """Return how many requests the registry got about a repository."""
    return sum(f"/{repository}/" in f"{each.path}/" for each in world.acr.traffic.requests)


def test_a_report_counts_the_requests_of_planning_and_of_applying(world: World) -> None:
    world.write_policy(OLD)
    world.push(build_image(), tag="pr-1")
    run = start_night(world.services, now=world.clock())
    world.acr.traffic.clear()
    work(world)
    traffic = Traffic.from_json(report(world, run)["traffic"])
    assert traffic.requests["delete"] == 2
    assert traffic.counts["requests"] == len(world.acr.traffic.requests)
    summary = run_summary(world.services, run.name)
    assert summary is not None
    assert summary["traffic"] == finished(world, run)["traffic"] == traffic.counts
    assert summary["traffic"]["throttled"] == 0


def test_repositories_that_are_worked_on_at_once_each_count_their_own(world: World) -> None:
    world.write_policy(OLD)
    names = [f"{world.word}/few", f"{world.word}/many"]
    for name, images in zip(names, (1, 8), strict=True):
        for number in range(images):
            world.push(build_image(), tag=f"pr-{number}", at=name)
    run = start_night(world.services, now=world.clock())
    world.acr.traffic.clear()
    while messages := world.take_cleanups():
        with ThreadPoolExecutor(2) as hosts:
            list(hosts.map(lambda each: clean(world.services, body(each), clock=world.clock), messages))
    for name in names:
        requests = report(world, run, name)["traffic"]["requests"]
        assert sum(count for kind, count in requests.items() if kind != "oauth") == about(world, name)


def test_throttling_is_added_up_over_invocations(world: World) -> None:
    world.write_policy(OLD)
    world.push(build_image(), tag="pr-1")
    run = start_night(world.services, now=world.clock())
    path = f"/acr/v1/{world.repository}/_tags"
    world.acr.faults.inject(path=path, status=429, headers={"Retry-After": "1"})
    work(world)
    found = report(world, run)
    assert found["traffic"]["throttled"] == 1
    assert found["traffic"]["waited_seconds"] >= 1
    assert found["counts"]["throttled"] == 1
    assert found["counts"]["waited_seconds"] >= 1


def test_a_repository_that_failed_has_its_requests_counted(world: World) -> None:
    world.write_policy(OLD)
    world.push(build_image(), tag="pr-1")
    run = start_night(world.services, now=world.clock())
    world.acr.faults.inject(path=f"/acr/v1/{world.repository}.*", status=403, times=None)
    work(world)
    assert report(world, run)["traffic"]["requests"]["read"] >= 1
    assert finished(world, run)["traffic"]["requests"] >= 1
