from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Lock

import pytest
from azure.storage.blob import ContainerClient

from emulators.azurite import Azurite
from shared.errors import StorageError
from shared.storage.account import StorageAccount
from shared.storage.append_log import AppendLog
from tests.storage.conftest import Connect
from tests.storage.relay import Answer, Relay, Request, refusal


class FullAppendBlob(Relay):
    """Append blobs are full after a few blocks, not after 50,000."""

    def __init__(self, connection_string: str, *, blocks: int) -> None:
        super().__init__(connection_string)
        self._left: dict[str, int] = {}
        self._blocks = blocks
        self._counting = Lock()

    def answer(self, request: Request) -> Answer | None:
        if request.method != "PUT" or not request.target.endswith("comp=appendblock"):
            return self.upstream(request)
        with self._counting:
            left = self._left.setdefault(request.path, self._blocks)
            if left == 0:
                return refusal(409, "BlockCountExceedsLimit")
            answer = self.upstream(request)
            if answer.status == 201:
                self._left[request.path] = left - 1
            return answer


class FirstVolumeFullForAll(Relay):
    """All writers are told at the same moment that the first volume is full."""

    def __init__(self, connection_string: str, *, writers: int) -> None:
        super().__init__(connection_string)
        self._together = Barrier(writers, timeout=30)

    def answer(self, request: Request) -> Answer | None:
        if request.target.endswith("/log.jsonl?comp=appendblock"):
            self._together.wait()
            return refusal(409, "BlockCountExceedsLimit")
        return self.upstream(request)


class LostFirstAppendAnswer(Relay):
    """The first append is carried out, and its answer never arrives."""

    def answer(self, request: Request) -> Answer | None:
        answer = self.upstream(request)
        appended = request.target.endswith("comp=appendblock") and answer.status == 201
        return None if appended and None not in self.statuses("PUT") else answer


@pytest.fixture
def container(account: StorageAccount, name: str) -> ContainerClient:
    return account.blobs.get_container_client(name)


def test_what_was_never_written_reads_as_nothing(container: ContainerClient) -> None:
    assert list(AppendLog(container, "log.jsonl").read()) == []
    container.create_container()
    assert list(AppendLog(container, "log.jsonl").read()) == []


def test_appending_nothing_makes_nothing(container: ContainerClient) -> None:
    AppendLog(container, "log.jsonl").append([])
    assert not container.exists()


def test_lines_come_back_in_order_across_writers(container: ContainerClient) -> None:
    AppendLog(container, "a/b/log.jsonl").append([{"n": 1}, {"n": 2}])
    AppendLog(container, "a/b/log.jsonl").append([{"n": 3}])
    assert [line["n"] for line in AppendLog(container, "a/b/log.jsonl").read()] == [1, 2, 3]


def test_any_text_comes_back_as_it_was(container: ContainerClient) -> None:
    lines = [
        {"text": "line\nfeed\r\u2028\u2029\x85"},
        {"text": "über ☁ 🐳"},
        {"text": "\ud800"},
        {"text": "\0"},
    ]
    log = AppendLog(container, "log.jsonl")
    log.append(lines)
    assert list(log.read()) == lines


def test_a_log_that_was_made_but_not_written_reads_as_nothing(container: ContainerClient) -> None:
    container.create_container()
    container.get_blob_client("log.jsonl").create_append_blob()
    log = AppendLog(container, "log.jsonl")
    assert list(log.read()) == []
    log.append([{"n": 1}])
    assert list(log.read()) == [{"n": 1}]


def test_threads_that_start_a_log_at_once_lose_no_line(container: ContainerClient) -> None:
    writers, each = 8, 5
    start = Barrier(writers)

    def write(writer: int) -> None:
        log = AppendLog(container, "log.jsonl")
        start.wait()
        for count in range(each):
            log.append([{"writer": writer, "count": count}])

    with ThreadPoolExecutor(writers) as pool:
        list(pool.map(write, range(writers)))
    lines = list(AppendLog(container, "log.jsonl").read())
    assert len(lines) == writers * each
    for writer in range(writers):
        assert [line["count"] for line in lines if line["writer"] == writer] == list(range(each))


def test_who_appends_last_counts_all_that_was_appended(container: ContainerClient) -> None:
    writers = 8
    for round_ in range(3):
        start = Barrier(writers)

        def write(_: int, name: str = f"{round_}.jsonl", start: Barrier = start) -> int:
            log = AppendLog(container, name)
            start.wait()
            log.append([{"n": 1}])
            return log.count_blocks()

        with ThreadPoolExecutor(writers) as pool:
            assert max(pool.map(write, range(writers))) == writers


def test_a_log_that_nobody_wrote_has_no_blocks(container: ContainerClient) -> None:
    assert AppendLog(container, "log.jsonl").count_blocks() == 0


def test_a_full_log_goes_on_in_the_next_volume(azurite: Azurite, connect: Connect, name: str) -> None:
    with FullAppendBlob(azurite.connection_string, blocks=2) as relay:
        container = connect(relay.connection_string).blobs.get_container_client(name)
        for count in range(5):
            AppendLog(container, "log.jsonl").append([{"n": count}])
        assert [line["n"] for line in AppendLog(container, "log.jsonl").read()] == [0, 1, 2, 3, 4]
        assert [blob.name for blob in container.list_blobs()] == ["log.jsonl", "log.jsonl.1", "log.jsonl.2"]


def test_a_writer_remembers_which_volume_is_not_full(azurite: Azurite, connect: Connect, name: str) -> None:
    with FullAppendBlob(azurite.connection_string, blocks=2) as relay:
        log = AppendLog(connect(relay.connection_string).blobs.get_container_client(name), "log.jsonl")
        for count in range(6):
            log.append([{"n": count}])
        assert relay.statuses("PUT").count(409) == 2


def test_threads_that_meet_the_end_of_a_volume_together_share_the_next(
    azurite: Azurite, connect: Connect, container: ContainerClient, name: str
) -> None:
    writers = 8
    AppendLog(container, "log.jsonl").append([{"writer": "earlier"}])
    with FirstVolumeFullForAll(azurite.connection_string, writers=writers) as relay:
        log = AppendLog(connect(relay.connection_string).blobs.get_container_client(name), "log.jsonl")
        with ThreadPoolExecutor(writers) as pool:
            list(pool.map(lambda writer: log.append([{"writer": writer}]), range(writers)))
        found = [line["writer"] for line in log.read()]
    assert [blob.name for blob in container.list_blobs()] == ["log.jsonl", "log.jsonl.1"]
    assert found[0] == "earlier"
    assert sorted(found[1:]) == list(range(writers))


def test_an_append_whose_answer_was_lost_is_written_again(
    azurite: Azurite, connect: Connect, name: str
) -> None:
    with LostFirstAppendAnswer(azurite.connection_string) as relay:
        log = AppendLog(connect(relay.connection_string).blobs.get_container_client(name), "log.jsonl")
        log.append([{"n": 1}])
        assert list(log.read()) == [{"n": 1}, {"n": 1}]


def test_a_log_that_somebody_else_wrote_to_is_an_error_naming_it(container: ContainerClient) -> None:
    AppendLog(container, "log.jsonl").append([{"n": 1}])
    container.get_blob_client("log.jsonl").append_block(b"{truncated\n")
    with pytest.raises(StorageError, match=r"^reading log\.jsonl: not JSON lines: "):
        list(AppendLog(container, "log.jsonl").read())
