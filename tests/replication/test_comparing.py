"""Reconciliation: what events missed is found, queued no faster than it is worked off, and reported."""

from datetime import timedelta
from typing import Any

import pytest

from emulators.registry.images import Artifact, build_image, build_index, build_referrer
from shared.jobs import comparing
from shared.jobs.poisoned import record_poison
from shared.jobs.reconciling import start_reconciliation
from shared.jobs.status import repository_report, run_summary
from shared.messages import ReconcileRepository
from shared.oci.names import parse_repository
from tests.jobs.world import body
from tests.replication.desk import Desk


def two_platforms() -> Artifact:
    return build_index([build_image(platform=platform) for platform in ("linux/amd64", "linux/arm64")])


def reconcile(desk: Desk) -> str:
    desk.world.clock.pass_by(minutes=1)
    run = start_reconciliation(desk.services, now=desk.world.clock())
    desk.work()
    return run.name


def summary(desk: Desk, run: str) -> dict[str, Any]:
    found = run_summary(desk.services, run)
    assert found is not None
    return found


def test_what_is_missing_or_different_is_copied_and_the_rest_is_left_alone(desk: Desk) -> None:
    desk.route()
    same = desk.push(build_image(), "v1")
    desk.push(build_image(), "v2")
    desk.work()
    moved = desk.world.push(build_image(), tag="v2")
    missed = desk.world.push(build_image(), tag="v3")
    desk.world.push(build_image(), tag="not-routed")
    run = reconcile(desk)
    assert desk.on_hub() == {"v1": same, "v2": moved, "v3": missed}
    found = summary(desk, run)
    assert found["state"] == "finished"
    assert found["drift"] == {
        "compared": 3,
        "in_step": 1,
        "missing": 1,
        "different": 1,
        "queued": 2,
        "failures": 0,
    }
    assert found["done"] == {"copied": 2}
    report = repository_report(desk.services, run, desk.world.registry, desk.world.repository)
    assert report is not None
    assert [(each["state"], each["target"].rpartition(":")[2]) for each in report["queued"]] == [
        ("different", "v2"),
        ("missing", "v3"),
    ]


def test_the_same_again_queues_nothing_and_reads_listings_only(desk: Desk) -> None:
    desk.route()
    for number in range(5):
        desk.push(build_image(), f"v{number}")
    desk.work()
    desk.world.acr.traffic.clear()
    desk.world.hub.traffic.clear()
    desk.world.hub.api_traffic.clear()
    run = reconcile(desk)
    assert summary(desk, run)["drift"]["in_step"] == 5
    assert desk.world.hub.traffic.count() == 0
    assert desk.world.hub.api_traffic.count("GET") == 1
    assert desk.world.acr.traffic.count("GET", "/acr/v1/.*/_tags") == 1
    assert desk.world.acr.traffic.count(path_regex="/v2/.*") == 0


def test_a_backfill_goes_no_faster_than_the_queue_is_worked_off(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparing, "_BATCH", 2)
    monkeypatch.setattr(comparing, "_FULL", 4)
    desk.route()
    image = build_image()
    for number in range(10):
        desk.world.push(image, tag=f"v{number}")
    run = start_reconciliation(desk.services, now=desk.world.clock())
    longest = 0
    for _ in range(20):
        for message in desk.take(desk.services.cleanup_queue):
            desk.carry_on(message)
        longest = max(longest, desk.services.replication_queue.length())
        for message in desk.take(desk.services.replication_queue)[:]:
            desk.carry_out(message)
    assert longest == 4
    assert len(desk.on_hub()) == 10
    assert 60.0 in desk.delays
    assert summary(desk, run.name)["drift"]["missing"] == 10
    assert summary(desk, run.name)["state"] == "finished"


def test_as_long_as_the_queue_is_full_no_reconciliation_lists_anything_and_a_delete_is_still_mirrored(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparing, "_FULL", 1)
    desk.route(on_delete="mirror")
    digest = desk.push(build_image(), "v1")
    desk.work()
    desk.services.replication_queue.send(desk.message("v9"))
    start_reconciliation(desk.services, now=desk.world.clock())
    (message,) = desk.take(desk.services.cleanup_queue)
    desk.world.acr.traffic.clear()
    desk.world.hub.api_traffic.clear()
    desk.carry_on(message)
    assert desk.world.acr.traffic.count() == desk.world.hub.api_traffic.count() == 0
    assert desk.delays[-1] == 60.0
    assert desk.take(desk.services.cleanup_queue) == [message]
    desk.untag("v1")
    desk.event("delete", digest=digest)
    for each in desk.take(desk.services.cleanup_queue):
        desk.carry_on(each)
    assert desk.on_hub() == {}


def test_what_no_route_can_name_is_in_the_report_with_its_reason(desk: Desk) -> None:
    word, hub = desk.world.word, desk.world.hub.namespace
    source = f"{{repositories: ['{word}/app'], tags_matching: ['(?P<team>[A-Za-z]*)-[0-9]*']}}"
    desk.route(f"name: teams, from: {source}, to: 'docker.io/{hub}/{word}-{{team}}'")
    image = build_image()
    for tag in ("abc-1", "ABC-1"):
        desk.world.push(image, tag=tag)
    report = desk.report(reconcile(desk))
    assert (report["counts"]["missing"], report["counts"]["unmappable"]) == (1, 1)
    (nameless,) = report["unmappable"]
    assert nameless["source"] == str(desk.source("ABC-1"))
    assert (nameless["route"], nameless["target"]) == ("teams", f"docker.io/{hub}/{word}-{{team}}")
    assert "is not a repository" in nameless["reason"]


def test_a_comparison_that_runs_out_of_time_goes_on_where_it_stopped(desk: Desk) -> None:
    desk.restart(INVOCATION_SECONDS="5")
    desk.route()
    image = build_image()
    for number in range(6):
        desk.world.push(image, tag=f"v{number}")
    run = start_reconciliation(desk.services, now=desk.world.clock())
    (message,) = desk.take(desk.services.cleanup_queue)
    ticks = iter(range(1000))
    start = desk.world.clock()
    step = comparing.compare_repository(
        desk.services,
        _reconcile(message),
        clock=lambda: start + timedelta(seconds=1.5 * next(ticks)),
    )
    assert step.step == "paused"
    sent = [each.target.tag for each in desk.take(desk.services.replication_queue)]  # type: ignore[union-attr]
    assert 0 < len(sent) < 6
    (rest,) = desk.take(desk.services.cleanup_queue)
    assert _reconcile(rest).after == sent[-1]
    desk.carry_on(rest)
    sent += [each.target.tag for each in desk.take(desk.services.replication_queue)]  # type: ignore[union-attr]
    assert sent == [f"v{number}" for number in range(6)]
    assert desk.report(run.name)["counts"]["queued"] == 6


def test_while_a_reconciliation_is_going_on_no_other_begins_until_a_day_is_over(desk: Desk) -> None:
    desk.route()
    desk.world.push(build_image(), tag="v1")
    first = start_reconciliation(desk.services, now=desk.world.clock())
    desk.world.clock.pass_by(hours=23)
    assert start_reconciliation(desk.services, now=desk.world.clock()) == first
    assert desk.services.cleanup_queue.length() == 1
    desk.world.clock.pass_by(hours=2)
    second = start_reconciliation(desk.services, now=desk.world.clock())
    assert second.name != first.name
    desk.work()
    assert summary(desk, second.name)["state"] == "finished"
    assert "not finished within a day" in desk.report(first.name)["failed"]
    desk.world.clock.pass_by(minutes=1)
    assert start_reconciliation(desk.services, now=desk.world.clock()).name not in {first.name, second.name}


def test_a_target_that_cannot_be_listed_is_said_and_stops_no_other(desk: Desk) -> None:
    word, hub = desk.world.word, desk.world.hub.namespace
    desk.route(
        f"name: hub, from: {{repositories: ['{word}/app'], tags: [v*]}}, "
        f"to: [docker.io/forbidden/x{word}, 'docker.io/{hub}/{{flattened}}']"
    )
    digest = desk.world.push(build_image(), tag="v1")
    desk.world.hub.api_faults.inject(path="/v2/namespaces/forbidden/.*", status=403, times=None)
    run = reconcile(desk)
    assert desk.on_hub() == {"v1": digest}
    report = desk.report(run)
    assert report["counts"]["failures"] == 1
    assert report["counts"]["compared"] == 1
    assert "docker.io/forbidden" in report["problems"][0]


def test_what_only_lists_referrers_is_not_reported_as_foreign(desk: Desk) -> None:
    desk.route()
    image = build_image()
    desk.push(image, "v1")
    desk.work()
    desk.put_on_hub(build_referrer(image), image.digest.replace(":", "-"))
    desk.put_on_hub(build_image(), "theirs")
    report = desk.report(reconcile(desk))
    assert [each["target"].rpartition(":")[2] for each in report["extra"]] == ["theirs"]


def test_a_comparison_that_dies_on_every_delivery_is_a_failure_of_its_run(desk: Desk) -> None:
    desk.route()
    desk.world.push(build_image(), tag="v1")
    run = start_reconciliation(desk.services, now=desk.world.clock())
    (message,) = desk.take(desk.services.cleanup_queue)
    record_poison(desk.services, "clean-repository", "m1", body(message), now=desk.world.clock())
    assert summary(desk, run.name)["state"] == "finished"
    assert summary(desk, run.name)["drift"] == {"failures": 1}


def test_a_narrowed_index_is_in_step_with_its_source(desk: Desk) -> None:
    desk.route(platforms="[linux/amd64]")
    whole = two_platforms()
    desk.push(whole, "v1")
    desk.push(build_image(), "v2")
    desk.work()
    held = desk.on_hub()
    assert held["v1"] != whole.digest
    run = reconcile(desk)
    assert summary(desk, run)["drift"]["in_step"] == 2
    desk.world.push(two_platforms(), tag="v1")
    run = reconcile(desk)
    assert summary(desk, run)["drift"]["different"] == 1
    assert desk.on_hub()["v1"] != held["v1"]


def test_the_run_can_be_asked_while_it_is_going_on(desk: Desk) -> None:
    desk.route()
    desk.world.push(build_image(), tag="v1")
    desk.world.push(build_image(), tag="v1", at=f"{desk.world.word}/second")
    run = start_reconciliation(desk.services, now=desk.world.clock())
    assert summary(desk, run.name)["state"] == "comparing"
    assert len(summary(desk, run.name)["missing"]) == 2
    for message in desk.take(desk.services.cleanup_queue):
        desk.carry_on(message)
    assert summary(desk, run.name)["state"] == "replicating"
    assert summary(desk, run.name)["queued"] == 2
    desk.work()
    assert summary(desk, run.name)["state"] == "finished"
    assert set(desk.on_hub(desk.replica_of(f"{desk.world.word}/second"))) == {"v1"}


def _reconcile(message: object) -> ReconcileRepository:
    assert isinstance(message, ReconcileRepository)
    return message


def test_names_that_no_catalog_lists_are_not_compared(desk: Desk) -> None:
    desk.route(on_delete="mirror")
    run = start_reconciliation(desk.services, now=desk.world.clock())
    mine = [name for _, name in run.repositories if name.startswith(desk.world.word)]
    assert mine == []
    assert parse_repository(desk.world.repository) not in mine
