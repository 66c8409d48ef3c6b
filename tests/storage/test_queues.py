import json
import time
from base64 import b64decode

import pytest
from azure.core.exceptions import ResourceNotFoundError

from shared.errors import StorageError
from shared.messages import PlanRepository, ReplicateTag
from shared.oci.names import Reference, parse_login_server, parse_repository, parse_tag
from shared.storage.account import StorageAccount
from shared.storage.queues import LONGEST_DELAY, WorkQueue

DEMO = parse_login_server("demo.azurecr.io")
MESSAGE = PlanRepository(run="night-1", registry=DEMO, repository=parse_repository("team/app"))
SOURCE = Reference(registry=DEMO, repository=parse_repository("team/app"), tag=parse_tag("v1"))


def bodies(account: StorageAccount, name: str) -> list[str]:
    """Return the messages that are visible now, as they stand in the queue."""
    with account.queues.get_queue_client(name) as queue:
        return [message.content for message in queue.receive_messages(messages_per_page=32)]


def test_sending_makes_the_queue(account: StorageAccount, name: str) -> None:
    queue = WorkQueue(account.queues, name)
    assert queue.length() == 0
    with pytest.raises(ResourceNotFoundError):
        account.queues.get_queue_client(name).get_queue_properties()
    queue.send(MESSAGE)
    queue.send(MESSAGE)
    assert queue.length() == 2


def test_messages_are_base64_as_the_functions_host_expects(account: StorageAccount, name: str) -> None:
    message = ReplicateTag(run="pushes-1", route="über ☁", source=SOURCE, target=SOURCE)
    WorkQueue(account.queues, name).send(message)
    (body,) = bodies(account, name)
    assert b64decode(body, validate=True).decode() == message.to_json()
    assert json.loads(b64decode(body))["route"] == "über ☁"


def test_a_message_never_expires(account: StorageAccount, name: str) -> None:
    WorkQueue(account.queues, name).send(MESSAGE)
    (waiting,) = account.queues.get_queue_client(name).peek_messages()
    assert waiting.expires_on is not None
    assert waiting.expires_on.year > 9000


def test_a_delayed_message_is_not_read_too_soon(account: StorageAccount, name: str) -> None:
    queue = WorkQueue(account.queues, name)
    sent = time.monotonic()
    queue.send(MESSAGE, delay=1.2)  # whole seconds in the protocol: rounded up, never down
    assert bodies(account, name) == []
    assert queue.length() == 1
    while not bodies(account, name):
        assert time.monotonic() - sent < 10
        time.sleep(0.1)
    assert time.monotonic() - sent >= 1.2


@pytest.mark.parametrize("delay", [LONGEST_DELAY + 1.0, 1e300, float("inf")])
def test_a_delay_beyond_what_storage_takes_is_cut(account: StorageAccount, name: str, delay: float) -> None:
    queue = WorkQueue(account.queues, name)
    queue.send(MESSAGE, delay=delay)
    assert queue.length() == 1
    assert bodies(account, name) == []


@pytest.mark.parametrize("delay", [0.0, -5.0])
def test_a_delay_that_is_over_is_none(account: StorageAccount, name: str, delay: float) -> None:
    WorkQueue(account.queues, name).send(MESSAGE, delay=delay)
    assert len(bodies(account, name)) == 1


def test_a_message_that_storage_refuses_is_an_error_naming_the_queue(
    account: StorageAccount, name: str
) -> None:
    huge = ReplicateTag(run="pushes-1", route="r" * 70_000, source=SOURCE, target=SOURCE)
    with pytest.raises(StorageError, match=rf"^sending to queue {name}: 4\d\d \w+$") as caught:
        WorkQueue(account.queues, name).send(huge)
    assert not caught.value.temporary
