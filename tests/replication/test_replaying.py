import base64
import json

import pytest

from emulators.registry.images import build_image
from shared.errors import InvalidMessage
from shared.jobs.poisoned import record_poison
from shared.jobs.replaying import replay
from shared.messages import ReconcileRepository, ReplicateTag
from tests.jobs.world import body
from tests.replication.desk import Desk


def poisoned(desk: Desk, origin: str, content: bytes) -> str:
    return record_poison(desk.services, origin, "message-1", content, now=desk.world.clock()).name


def test_a_message_goes_back_to_its_queue_and_its_record_goes(desk: Desk) -> None:
    desk.route()
    digest = desk.world.push(build_image(), tag="v1")
    name = poisoned(desk, "replicate-tag", body(desk.message("v1", deferrals=9)))
    replayed = replay(desk.services, name)
    assert replayed is not None
    assert replayed.to_json() == {
        "name": name,
        "origin": "replicate-tag",
        "queue": desk.services.replication_queue.name,
    }
    (message,) = desk.take(desk.services.replication_queue)
    assert isinstance(message, ReplicateTag)
    assert message.deferrals == 0
    assert desk.carry_out(message).result == "copied"
    assert desk.on_hub() == {"v1": digest}
    assert replay(desk.services, name) is None


def test_an_event_is_received_once_more(desk: Desk) -> None:
    text = json.dumps({"specversion": "1.0", "id": "ä"}, ensure_ascii=False)
    replay(desk.services, poisoned(desk, "registry-event", text.encode()))
    assert desk.services.events_queue.length() == 1


def test_a_comparison_goes_back_with_its_patience_restored(desk: Desk) -> None:
    message = ReconcileRepository(
        run="reconciliation-1",
        registry=desk.world.registry,
        repository=desk.world.repository,
        deferrals=12,
    )
    replay(desk.services, poisoned(desk, "clean-repository", body(message)))
    (again,) = desk.take(desk.services.cleanup_queue)
    assert isinstance(again, ReconcileRepository)
    assert again.deferrals == 0


@pytest.mark.parametrize("name", ["runs/x/run.json", "poison/none.json", "", "../secrets"])
def test_there_is_nothing_to_replay_under_a_name_that_is_no_record(desk: Desk, name: str) -> None:
    assert replay(desk.services, name) is None


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"origin": "elsewhere"}, "'elsewhere' has no queue"),
        ({"body": "not base64!"}, "body"),
        ({"body": base64.b64encode(b"\xff\xfe").decode()}, "UnicodeDecodeError"),
    ],
)
def test_a_damaged_record_is_refused_and_stays(desk: Desk, change: dict[str, str], problem: str) -> None:
    document = {"origin": "replicate-tag", "body": base64.b64encode(b"{}").decode()} | change
    name = desk.services.poison.save("replicate-tag", "m1", document, now=desk.world.clock())
    with pytest.raises(InvalidMessage, match=problem):
        replay(desk.services, name)
    assert desk.poison() == [name]
