"""A run moves on when the last of its repositories did, however many there are and whoever dies."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from azure.storage.blob import ContainerClient

from emulators.registry.images import build_image
from shared.errors import StorageUnavailable
from shared.jobs.cleaning import clean
from shared.jobs.nightly import start_night
from shared.jobs.status import run_summary
from shared.messages import ApplyPlan, Message
from shared.storage.append_log import AppendLog
from tests.jobs.running import OLD, finished, report, work
from tests.jobs.world import World, body


def fill(world: World, repositories: int) -> None:
    for number in range(repositories):
        world.push(build_image(), tag="pr-1", at=f"{world.word}/r{number}")
        world.push(build_image(), tag="v1", at=f"{world.word}/r{number}")


def test_a_run_is_listed_a_few_times_however_many_repositories_it_has(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.write_policy(OLD)
    fill(world, 6)
    run = start_night(world.services, now=world.clock())
    listings = [0]
    list_blobs = ContainerClient.list_blobs

    def counted(container: ContainerClient, *args: Any, **options: Any) -> Any:
        listings[0] += 1
        return list_blobs(container, *args, **options)

    monkeypatch.setattr(ContainerClient, "list_blobs", counted)
    assert len(work(world)) == 12
    assert finished(world, run)["done"]["untagged"] == 6
    assert listings[0] <= 6


def test_messages_that_come_twice_move_the_run_on_all_the_same(world: World) -> None:
    world.write_policy(OLD)
    fill(world, 3)
    run = start_night(world.services, now=world.clock())
    for _ in range(2):
        messages = [message for message in world.take_cleanups() for _ in range(2)]
        for message in messages:
            clean(world.services, body(message), clock=world.clock)
    assert finished(world, run)["done"]["untagged"] == 3
    assert world.take_cleanups() == []


def test_of_workers_that_plan_at_once_one_queues_each_plan_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All write their notes before any counts them, so that each sees all."""
    world.write_policy(OLD)
    fill(world, 6)
    run = start_night(world.services, now=world.clock())
    count, all_noted = AppendLog.count_blocks, Barrier(6)

    def count_together(log: AppendLog) -> int:
        all_noted.wait()
        return count(log)

    def work_at_once() -> list[Message]:
        messages = world.take_cleanups()
        with ThreadPoolExecutor(6) as workers:
            list(workers.map(lambda each: clean(world.services, body(each), clock=world.clock), messages))
        return messages

    monkeypatch.setattr(AppendLog, "count_blocks", count_together)
    work_at_once()
    monkeypatch.undo()
    queued = [message.repository for message in work_at_once() if isinstance(message, ApplyPlan)]
    assert sorted(queued) == [repository for _, repository in run.repositories]
    assert finished(world, run)["done"]["untagged"] == 6


@pytest.mark.parametrize("at", range(12))
def test_a_worker_that_dies_over_any_note_is_followed_by_one_that_moves_the_run_on(
    world: World, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """The note is written and its answer lost, or it is not written at all: both end in a second delivery."""
    world.write_policy(OLD)
    fill(world, 3)
    run = start_night(world.services, now=world.clock())
    append, notes = AppendLog.append, [0]

    def lose(log: AppendLog, lines: list[dict[str, object]]) -> None:
        lost = False
        if log._name.endswith("progress.jsonl"):
            notes[0] += 1
            lost = notes[0] == at // 2 + 1
        if not lost or at % 2:
            append(log, lines)
        if lost:
            raise StorageUnavailable("appending to progress.jsonl: 503")

    monkeypatch.setattr(AppendLog, "append", lose)
    pending = world.take_cleanups()
    while pending:
        for message in pending:
            try:
                clean(world.services, body(message), clock=world.clock)
            except StorageUnavailable:
                clean(world.services, body(message), clock=world.clock)
        pending = world.take_cleanups()
    assert finished(world, run)["done"]["untagged"] == 3
    assert finished(world, run)["missing"] == 0


def test_plans_that_are_carried_out_before_the_run_is_marked_finish_it_all_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.write_policy(OLD)
    fill(world, 2)
    run = start_night(world.services, now=world.clock())
    store = type(world.services.runs)
    mark = store.mark_applying

    def late(runs: object, name: str, document: dict[str, object]) -> None:
        work(world)
        mark(runs, name, document)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "mark_applying", late)
    work(world)
    assert finished(world, run)["done"]["untagged"] == 2


def test_a_plan_that_is_carried_out_early_does_not_send_the_others_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.write_policy(OLD)
    fill(world, 3)
    start_night(world.services, now=world.clock())
    store = type(world.services.runs)
    mark = store.mark_applying
    early: list[str] = []

    def late(runs: object, name: str, document: dict[str, object]) -> None:
        first, *others = world.take_cleanups()
        clean(world.services, body(first), clock=world.clock)
        early.extend(type(message).__name__ for message in world.take_cleanups())
        for message in others:
            world.services.cleanup_queue.send(message)
        mark(runs, name, document)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "mark_applying", late)
    for message in world.take_cleanups():
        clean(world.services, body(message), clock=world.clock)
    assert early == []
    assert [type(message) for message in world.take_cleanups()] == [ApplyPlan, ApplyPlan]


def test_rules_that_matched_nothing_all_night_are_named_once_for_the_run(world: World) -> None:
    world.write_policy(
        OLD, "name: typo, tags: ['pull-*'], older_than: 14d", "name: rare, tags: [rare], older_than: 1d"
    )
    fill(world, 2)
    world.push(build_image(), tag="rare", days=0, at=f"{world.word}/r1")
    path = world.folder / "policy.yaml"
    path.write_text(
        path.read_text() + "\n  - {name: elsewhere, repositories: [no/such], tags: ['*'], older_than: 14d}"
    )
    run = start_night(world.services, now=world.clock())
    assert run.warnings == ()
    work(world)
    said = [
        "rule elsewhere names none of the repositories that there are",
        "rule typo matched nothing in any repository",
    ]
    assert finished(world, run)["warnings"] == said
    summary = run_summary(world.services, run.name)
    assert summary is not None
    assert summary["warnings"] == said


def test_a_summary_says_how_long_the_run_took(world: World) -> None:
    world.write_policy(OLD)
    fill(world, 1)
    run = start_night(world.services, now=world.clock())
    summary = run_summary(world.services, run.name)
    assert summary is not None
    assert (summary["finished"], summary["seconds"]) == (None, None)
    world.clock.pass_by(seconds=90)
    work(world)
    summary = run_summary(world.services, run.name)
    assert summary is not None
    assert (summary["finished"], summary["seconds"]) == (world.clock().isoformat(), 90)
    assert report(world, run, f"{world.word}/r0")["seconds"] == 0
