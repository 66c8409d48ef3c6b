"""Two sources with one target, which only their names show: the second is refused, and nobody takes turns."""

from emulators.registry.images import build_image
from shared.replication.report import ReplicationOutcome
from tests.replication.desk import Desk


def push_both(desk: Desk) -> tuple[str, str, str, list[ReplicationOutcome]]:
    """Push to ``word/a/b-c`` and then to ``word/a-b/c``, which flatten to one name."""
    desk.route()
    word = desk.world.word
    first, second = f"{word}/a/b-c", f"{word}/a-b/c"
    kept = desk.push(build_image(), "v1", at=first)
    outcomes = desk.work()
    desk.push(build_image(), "v1", at=second)
    return first, second, kept, outcomes + desk.work()


def test_the_second_of_two_sources_is_refused_with_both_named_and_not_tried_again(desk: Desk) -> None:
    first, second, kept, (copied, refused) = push_both(desk)
    assert (copied.result, refused.result) == ("copied", "failed")
    registry = desk.world.registry
    target = f"docker.io/{desk.replica_of(first)}:v1"
    assert (
        f"{registry}/{second}:v1 and {registry}/{first}:v1 have the same target, {target}" in refused.detail
    )
    assert "To mend it: narrow the route" in refused.detail
    assert desk.on_hub(desk.replica_of(second)) == {"v1": kept}
    assert desk.services.replication_queue.length() == 0


def test_the_first_source_goes_on_as_before(desk: Desk) -> None:
    first, _, _, _ = push_both(desk)
    newer = desk.push(build_image(), "v1", at=first)
    assert [outcome.result for outcome in desk.work()] == ["copied"]
    assert desk.on_hub(desk.replica_of(first)) == {"v1": newer}


def test_a_source_that_is_gone_makes_way(desk: Desk) -> None:
    first, second, _, _ = push_both(desk)
    desk.untag("v1", at=first)
    newer = desk.push(build_image(), "v1", at=second)
    assert [outcome.result for outcome in desk.work()] == ["copied"]
    assert desk.on_hub(desk.replica_of(second)) == {"v1": newer}


def test_a_source_that_the_policy_does_not_send_there_any_more_makes_way(desk: Desk) -> None:
    word, hub = desk.world.word, desk.world.hub.namespace
    _, second, _, _ = push_both(desk)
    source = f"{{repositories: ['{word}/a-b/*'], tags: ['v*']}}"
    desk.route(f"name: hub, from: {source}, to: 'docker.io/{hub}/{{flattened}}'")
    newer = desk.push(build_image(), "v1", at=second)
    assert [outcome.result for outcome in desk.work()] == ["copied"]
    assert desk.on_hub(desk.replica_of(second)) == {"v1": newer}


def test_what_both_hold_alike_is_nobodys_quarrel(desk: Desk) -> None:
    first, second, _, _ = push_both(desk)
    same = build_image()
    desk.push(same, "v2", at=first)
    desk.push(same, "v2", at=second)
    assert sorted(outcome.result for outcome in desk.work()) == ["copied", "up_to_date"]
