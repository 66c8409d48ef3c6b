"""What failed too often is kept as it came, and its run goes on without it."""

import base64

from emulators.registry.images import build_image
from shared.jobs.cleaning import clean
from shared.jobs.nightly import start_night
from shared.jobs.poisoned import record_poison
from shared.messages import ApplyPlan, PlanRepository, ReplicateTag
from shared.oci.names import Reference, parse_tag
from tests.jobs.world import World, body

OLD = "name: old, tags: ['pr-*'], older_than: 14d"


def test_a_message_that_nobody_understands_is_kept_byte_by_byte(world: World) -> None:
    content = b'\xff\x00{"not": "ours"'
    record = record_poison(world.services, "registry-event", "id-1", content, now=world.clock())
    assert list(world.services.poison.names()) == [record.name]
    document = world.services.poison.read(record.name)
    assert document is not None
    assert base64.b64decode(document["body"]) == content
    assert (document["origin"], document["id"]) == ("registry-event", "id-1")
    assert record.log_fields() == {"origin": "registry-event", "record": record.name, "run": None}


def test_recording_the_same_message_twice_leaves_one_record(world: World) -> None:
    for _ in range(2):
        record_poison(world.services, "registry-event", "id-1", b"x", now=world.clock())
    assert len(list(world.services.poison.names())) == 1


def test_a_poisoned_repository_is_failed_and_the_run_goes_on_without_it(world: World) -> None:
    world.write_policy(OLD)
    for name in ("one", "two"):
        world.push(build_image(), tag="pr-1", at=f"{world.word}/{name}")
        world.push(build_image(), tag="v1", at=f"{world.word}/{name}")
    run = start_night(world.services, now=world.clock())
    first, second = world.take_cleanups()
    clean(world.services, body(first), clock=world.clock)
    record = record_poison(world.services, "clean-repository", "id-2", body(second), now=world.clock())
    assert record.run == run.name
    report = world.services.runs.read_report(world.part(run.name, f"{world.word}/two"))
    assert report is not None
    assert record.name in report["failed"]
    (message,) = world.take_cleanups()
    assert isinstance(message, ApplyPlan)
    assert message.repository == f"{world.word}/one"


def test_a_poisoned_message_does_not_undo_a_report(world: World) -> None:
    world.set(CLEANUP_MODE="plan")
    world.write_policy(OLD)
    world.push(build_image(), tag="pr-1")
    run = start_night(world.services, now=world.clock())
    (message,) = world.take_cleanups()
    clean(world.services, body(message), clock=world.clock)
    before = world.services.runs.read_report(world.part(run.name))
    record_poison(world.services, "clean-repository", "id-3", body(message), now=world.clock())
    assert world.services.runs.read_report(world.part(run.name)) == before


def test_a_poisoned_message_of_a_run_that_was_never_opened_is_kept_all_the_same(world: World) -> None:
    message = PlanRepository(run="night-0", registry=world.registry, repository=world.repository)
    record = record_poison(world.services, "clean-repository", "id-4", body(message), now=world.clock())
    assert world.services.poison.read(record.name) is not None
    assert list(world.services.runs.list_runs()) == []


def test_a_poisoned_replication_is_a_failed_outcome(world: World) -> None:
    place = Reference(registry=world.registry, repository=world.repository, tag=parse_tag("v1"))
    message = ReplicateTag(run="pushes-20260101", route="hub", source=place, target=place)
    record = record_poison(world.services, "replicate-tag", "id-5", body(message), now=world.clock())
    (outcome,) = world.services.runs.replications("pushes-20260101").read()
    assert outcome["result"] == "failed"
    assert record.name in outcome["detail"]
