import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Never

import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import CredentialUnavailableError

from emulators.azurite import Azurite
from shared.errors import InvalidSettings, StorageError, StorageUnavailable
from shared.messages import PlanRepository
from shared.oci.names import parse_login_server, parse_repository
from shared.settings import load_settings
from shared.storage.account import StorageAccount, create_container, storage_errors
from shared.storage.append_log import AppendLog
from shared.storage.queues import WorkQueue
from shared.storage.runs import RunStore
from tests.environments import in_azure, on_a_laptop
from tests.storage.conftest import Connect
from tests.storage.relay import Answer, Relay, Request, refusal

MESSAGE = PlanRepository(
    run="night-1", registry=parse_login_server("demo.azurecr.io"), repository=parse_repository("team/app")
)


class Refusing(Relay):
    """Every request is refused in the same way."""

    def __init__(self, connection_string: str, status: int, code: str) -> None:
        super().__init__(connection_string)
        self._answer = refusal(status, code)

    def answer(self, request: Request) -> Answer | None:
        del request
        return self._answer


class TornBody(Relay):
    """Blobs break off before their announced end."""

    def answer(self, request: Request) -> Answer | None:
        answer = self.upstream(request)
        if request.method == "GET":
            answer.announced = len(answer.body)
            answer.body = answer.body[:-1]
        return answer


class GarbledAnswer(Relay):
    """Something on the way answers in place of storage, and says that all is well."""

    def answer(self, request: Request) -> Answer | None:
        del request
        return Answer(status=200, headers={"Content-Type": "application/xml"}, body=b"<html>welcome")


class UnreachableIdentity:
    """The identity endpoint does not answer."""

    def get_token(self, *_: str, **__: Any) -> Never:
        raise CredentialUnavailableError(message="no managed identity endpoint found\nsecond line")


def operations(account: StorageAccount, name: str) -> dict[str, Callable[[], object]]:
    """Return one operation of each kind that a job may do."""
    runs = RunStore(account.blobs, name)
    log = AppendLog(account.blobs.get_container_client(name), "log.jsonl")
    queue = WorkQueue(account.queues, name)
    return {
        f"sending to queue {name}": lambda: queue.send(MESSAGE),
        f"reading queue {name}": queue.length,
        "writing runs/night-1/run.json": lambda: runs.open_run("night-1", {}),
        "reading runs/night-1/run.json": lambda: runs.read_run("night-1"),
        "listing runs": lambda: list(runs.list_runs()),
        "appending to log.jsonl": lambda: log.append([{}]),
        "reading log.jsonl": lambda: list(log.read()),
    }


@dataclass(frozen=True, kw_only=True)
class GivenUp:
    """How operations failed after all their tries."""

    unreachable: dict[str, StorageUnavailable]
    tokenless: dict[str, StorageUnavailable]
    busy: StorageUnavailable
    busy_answers: list[int | None]
    seconds: float


def failure(operation: Callable[[], object]) -> StorageUnavailable:
    with pytest.raises(StorageUnavailable) as caught:
        operation()
    return caught.value


@pytest.fixture(scope="module")
def given_up() -> Iterator[GivenUp]:
    """Run all that is tried again, which takes seconds, at the same time."""
    nowhere = "http://127.0.0.1:1/a"
    key = "AccountName=a;AccountKey=a2V5"
    with ExitStack() as stack:

        def opened(environment: dict[str, str], credential: Any = None) -> StorageAccount:
            account = StorageAccount(load_settings(environment), credential)
            stack.callback(account.close)
            return account

        relay = stack.enter_context(Refusing(f"BlobEndpoint={nowhere};{key}", 503, "ServerBusy"))
        uris = {
            "StewardStorage__blobServiceUri": "https://127.0.0.1:1/a",
            "StewardStorage__queueServiceUri": "https://127.0.0.1:1/a",
        }
        string = f"BlobEndpoint={nowhere};QueueEndpoint={nowhere};{key}"
        refused = operations(opened(on_a_laptop(StewardStorage=string)), "runs")
        tokenless = operations(opened(in_azure(**uris), UnreachableIdentity()), "runs")
        busy = RunStore(opened(on_a_laptop(StewardStorage=relay.connection_string)).blobs, "runs")
        pool = stack.enter_context(ThreadPoolExecutor(32))
        started = time.monotonic()
        refusing = {what: pool.submit(failure, operation) for what, operation in refused.items()}
        identifying = {what: pool.submit(failure, operation) for what, operation in tokenless.items()}
        opening = pool.submit(failure, lambda: busy.open_run("night-1", {}))
        yield GivenUp(
            unreachable={what: future.result() for what, future in refusing.items()},
            tokenless={what: future.result() for what, future in identifying.items()},
            busy=opening.result(),
            busy_answers=relay.statuses("PUT"),
            seconds=time.monotonic() - started,
        )


def test_storage_that_cannot_be_reached_is_unavailable(given_up: GivenUp) -> None:
    for what, error in given_up.unreachable.items():
        assert str(error).startswith(f"{what}: ")
        assert "refused" in str(error)
        assert error.temporary


def test_storage_without_a_token_is_unavailable(given_up: GivenUp) -> None:
    for what, error in given_up.tokenless.items():
        assert str(error) == f"{what}: no managed identity endpoint found"


def test_busy_storage_is_asked_three_times(given_up: GivenUp) -> None:
    assert str(given_up.busy) == "writing runs/night-1/run.json: 503 ServerBusy"
    assert given_up.busy_answers == [503, 503, 503]


def test_giving_up_takes_seconds_not_minutes(given_up: GivenUp) -> None:
    assert given_up.seconds < 15


@pytest.mark.parametrize(
    ("status", "code", "temporary"),
    [
        (400, "InvalidHeaderValue", False),
        (403, "AuthorizationPermissionMismatch", False),
        (403, "AuthenticationFailed", False),
        (409, "ContainerBeingDeleted", True),
        (409, "BlobImmutableDueToPolicy", False),
        (412, "LeaseIdMissing", False),
        (429, "TooManyRequests", True),
    ],
)
def test_the_answer_decides_whether_another_try_may_help(  # noqa: PLR0917 - three fixtures, three values
    azurite: Azurite,
    connect: Connect,
    name: str,
    status: int,
    code: str,
    temporary: bool,  # noqa: FBT001
) -> None:
    with Refusing(azurite.connection_string, status, code) as relay:
        store = RunStore(connect(relay.connection_string).blobs, name)
        with pytest.raises(StorageError) as caught:
            store.read_run("night-1")
        assert str(caught.value) == f"reading runs/night-1/run.json: {status} {code}"
        assert caught.value.temporary is temporary
        assert relay.statuses("GET") == [status]


def test_a_blob_that_breaks_off_is_unavailable_not_short(
    azurite: Azurite, connect: Connect, account: StorageAccount, name: str
) -> None:
    RunStore(account.blobs, name).open_run("night-1", {"mode": "plan"})
    with TornBody(azurite.connection_string) as relay:
        store = RunStore(connect(relay.connection_string).blobs, name)
        with pytest.raises(StorageUnavailable, match=r"^reading runs/night-1/run\.json: "):
            store.read_run("night-1")


def test_an_answer_that_is_not_of_storage_is_unavailable(
    azurite: Azurite, connect: Connect, name: str
) -> None:
    with GarbledAnswer(azurite.connection_string) as relay:
        store = RunStore(connect(relay.connection_string).blobs, name)
        with pytest.raises(StorageUnavailable, match=r"^listing runs: "):
            list(store.list_runs())


def test_a_wrong_key_is_refused_and_not_repeated_in_the_error(
    azurite: Azurite, connect: Connect, name: str
) -> None:
    wrong = azurite.connection_string.replace(azurite.KEY, "d3Jvbmc=")
    with pytest.raises(StorageError, match=r"^reading queue [a-z0-9-]+: 403 \w+$") as caught:
        WorkQueue(connect(wrong).queues, name).length()
    assert not caught.value.temporary


def test_a_connection_string_without_an_account_is_a_setting_to_mend(connect: Connect) -> None:
    with pytest.raises(InvalidSettings) as caught:
        connect("AccountKey=c2VjcmV0")
    assert str(caught.value) == (
        "app settings: StewardStorage: a connection string without account or endpoints"
    )
    assert caught.value.__suppress_context__


def test_making_a_container_that_exists_changes_nothing(account: StorageAccount, name: str) -> None:
    container = account.blobs.get_container_client(name)
    create_container(container)
    container.upload_blob("kept", b"")
    create_container(container)
    assert [blob.name for blob in container.list_blobs()] == ["kept"]


def test_errors_that_are_not_of_storage_pass_unchanged() -> None:
    with pytest.raises(KeyError), storage_errors("reading"):
        raise KeyError
    with (
        pytest.raises(StorageUnavailable, match=r"^reading: Client\w+Error$"),
        storage_errors("reading"),
    ):
        raise ClientAuthenticationError(message="\n")
