from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from emulators.azurite import Azurite
from shared.errors import StorageError, StorageUnavailable
from shared.oci.names import parse_login_server, parse_repository
from shared.storage.account import StorageAccount
from shared.storage.runs import Part, PartCounts, RunStore
from tests.storage.conftest import Connect
from tests.storage.relay import Answer, Relay, Request, refusal

DEMO = parse_login_server("demo.azurecr.io")
LOCAL = parse_login_server("localhost:5000")


def part(repository: str = "team/app", *, run: str = "night-1") -> Part:
    return Part(run=run, registry=DEMO, repository=parse_repository(repository))


@pytest.fixture
def store(account: StorageAccount, name: str) -> RunStore:
    return RunStore(account.blobs, name)


class LostFirstPutAnswer(Relay):
    """The first blob is written, and the answer that says so never arrives."""

    def answer(self, request: Request) -> Answer | None:
        answer = self.upstream(request)
        written = answer.status == 201 and "x-ms-blob-type" in {name.lower() for name in request.headers}
        return None if written and None not in self.statuses("PUT") else answer


class ContainerBeingDeleted(Relay):
    """Somebody deleted the container a moment ago."""

    def answer(self, request: Request) -> Answer | None:
        return refusal(409, "ContainerBeingDeleted") if request.method == "PUT" else self.upstream(request)


class ImmutableContainer(Relay):
    """A policy of the storage account forbids to change blobs."""

    def answer(self, request: Request) -> Answer | None:
        if request.method == "PUT":
            return refusal(409, "BlobImmutableDueToPolicy")
        return self.upstream(request)


# Reading what is not there


def test_what_does_not_exist_reads_as_none_or_nothing(store: RunStore) -> None:
    assert store.read_run("night-1") is None
    assert store.read_applying("night-1") is None
    assert store.read_plan(part()) is None
    assert store.read_report(part()) is None
    assert list(store.list_runs()) == []
    assert list(store.list_plans("night-1")) == []
    assert list(store.list_reports("night-1")) == []
    assert list(store.outcomes(part()).read()) == []
    assert list(store.replications("night-1").read()) == []


# Opening a run


def test_a_run_is_opened_once(store: RunStore) -> None:
    assert store.open_run("night-1", {"mode": "plan"})
    assert not store.open_run("night-1", {"mode": "apply"})
    assert store.read_run("night-1") == {"mode": "plan"}


def test_of_threads_that_open_a_run_at_once_one_does(store: RunStore) -> None:
    callers = 8
    for run in ("night-1", "night-2"):  # the first also makes the container
        start = Barrier(callers)

        def opened(caller: int, run: str = run, start: Barrier = start) -> bool:
            start.wait()
            return store.open_run(run, {"caller": caller})

        with ThreadPoolExecutor(callers) as pool:
            found = list(pool.map(opened, range(callers)))
        assert found.count(True) == 1
        assert store.read_run(run) == {"caller": found.index(True)}


def test_a_run_whose_opening_was_not_confirmed_is_still_opened_by_this_caller(
    azurite: Azurite, connect: Connect, account: StorageAccount, name: str
) -> None:
    account.blobs.create_container(name)
    with LostFirstPutAnswer(azurite.connection_string) as relay:
        store = RunStore(connect(relay.connection_string).blobs, name)
        assert store.open_run("night-1", {"mode": "plan"})
        assert relay.statuses("PUT") == [None, 409]
        assert not store.open_run("night-1", {"mode": "plan"})


def test_a_conflict_of_another_kind_does_not_pass_for_an_opened_run(
    azurite: Azurite, connect: Connect, name: str
) -> None:
    with ContainerBeingDeleted(azurite.connection_string) as relay:
        store = RunStore(connect(relay.connection_string).blobs, name)
        with pytest.raises(StorageUnavailable, match=r"^writing runs/.*: 409 ContainerBeingDeleted$"):
            store.open_run("night-1", {})


def test_a_plan_that_could_not_be_saved_does_not_pass_for_saved(
    azurite: Azurite, connect: Connect, name: str
) -> None:
    with ImmutableContainer(azurite.connection_string) as relay:
        store = RunStore(connect(relay.connection_string).blobs, name)
        with pytest.raises(StorageError, match=r"409 BlobImmutableDueToPolicy$") as caught:
            store.save_plan(part(), {}, {})
        assert not caught.value.temporary


# Plans, outcomes, reports


def test_plans_and_reports_come_back_as_saved(store: RunStore) -> None:
    plan = {"untag": ["über ☁", "\ud800", "a\nb"], "at": None}
    store.save_plan(part(), {"old": True}, {"untag": 1})
    store.save_plan(part(), plan, {"untag": 3})
    store.save_report(part(), {"outcomes": []}, {})
    store.mark_applying("night-1", {"refused": None})
    assert store.read_plan(part()) == plan
    assert store.read_report(part()) == {"outcomes": []}
    assert store.read_applying("night-1") == {"refused": None}
    assert store.read_plan(part(run="night-2")) is None
    assert store.read_plan(part("team/other")) is None


def test_outcomes_of_one_repository_are_not_those_of_another(store: RunStore) -> None:
    store.outcomes(part()).append([{"n": 1}])
    store.outcomes(part("team")).append([{"n": 2}])
    store.replications("night-1").append([{"n": 3}])
    assert list(store.outcomes(part()).read()) == [{"n": 1}]
    assert list(store.outcomes(part("team")).read()) == [{"n": 2}]
    assert list(store.replications("night-1").read()) == [{"n": 3}]


def test_a_document_that_somebody_else_wrote_is_an_error_naming_it(
    account: StorageAccount, name: str, store: RunStore
) -> None:
    store.save_plan(part(), {}, {})
    for content, problem in (
        (b"{", "not JSON: "),
        (b"[]", "expected a JSON object"),
        (b"\xff", "not JSON: "),
    ):
        with account.blobs.get_blob_client(name, part().path("plan.json")) as blob:
            blob.upload_blob(content, overwrite=True)
        with pytest.raises(StorageError, match=rf"^reading runs/night-1/.*/plan\.json: {problem}"):
            store.read_plan(part())


# Listing


def test_runs_are_listed_by_name_over_several_pages(account: StorageAccount, name: str) -> None:
    store = RunStore(account.blobs, name, page_size=2)
    runs = [f"night-{number}" for number in (3, 1, 5, 2, 4)]
    for run in runs:
        store.open_run(run, {})
        store.save_plan(part(run=run), {}, {})
    assert list(store.list_runs()) == sorted(runs)


def test_counts_are_listed_over_several_pages(azurite: Azurite, connect: Connect, name: str) -> None:
    with Relay(azurite.connection_string) as relay:
        store = RunStore(connect(relay.connection_string).blobs, name, page_size=3)
        store.open_run("night-1", {})
        store.mark_applying("night-1", {})
        store.replications("night-1").append([{"n": 1}])
        expected = []
        for number in range(7):
            place = part(f"team/app-{number}")
            store.save_plan(place, {"large": "x" * 1000}, {"untag": number})
            store.outcomes(place).append([{"n": number}])
            if number % 2:
                counts = {"untagged": number, "failed_or_moved": 0}
                store.save_report(place, {}, counts)
                expected.append(PartCounts(registry=DEMO, repository=place.repository, counts=counts))
        store.save_report(part(run="night-10"), {}, {"untagged": 99})
        before = len(relay.statuses("GET"))
        assert list(store.list_reports("night-1")) == expected
        assert [found.counts for found in store.list_plans("night-1")] == [{"untag": n} for n in range(7)]
        pages = relay.statuses("GET")[before:]
    assert pages == [200] * len(pages)
    assert len(pages) == 2 * 7  # 20 blobs, three to a page; no blob was read


def test_repositories_named_like_our_files_keep_their_own_reports(store: RunStore) -> None:
    names = ["report.json", "team", "team/report.json", "team/plan.json", "outcomes.jsonl", "run.json"]
    for count, repository in enumerate(names):
        store.save_report(part(repository), {"n": count}, {"n": count})
        store.save_plan(part(repository), {"n": count}, {"n": count})
    assert {found.repository: found.counts["n"] for found in store.list_reports("night-1")} == {
        repository: count for count, repository in enumerate(names)
    }
    assert [store.read_report(part(repository)) for repository in names] == [
        {"n": count} for count in range(len(names))
    ]


def test_a_registry_with_a_port_has_its_own_place(store: RunStore) -> None:
    place = Part(run="night-1", registry=LOCAL, repository=parse_repository("team/app"))
    store.save_report(place, {}, {"untagged": 2})
    store.save_report(part(), {}, {"untagged": 3})
    found = {(counts.registry, counts.counts["untagged"]) for counts in store.list_reports("night-1")}
    assert found == {(LOCAL, 2), (DEMO, 3)}


def test_metadata_that_somebody_else_wrote_is_an_error_naming_the_blob(
    account: StorageAccount, name: str, store: RunStore
) -> None:
    store.save_report(part(), {}, {"untagged": 1})
    with account.blobs.get_blob_client(name, part().path("report.json")) as blob:
        blob.set_blob_metadata({"untagged": "many"})
    with pytest.raises(StorageError, match=r"^metadata of runs/night-1/.*/report\.json: expected counts: "):
        list(store.list_reports("night-1"))
