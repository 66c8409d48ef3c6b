"""Runs as blobs: what was planned, what happened, and what is still missing.

::

    runs/{run}/run.json                              how the run was opened, and for which repositories
    runs/{run}/finished.json                         when the last repository was, and what came of all
    runs/{run}/applying.json                         every plan was seen, and the run's limits checked
    runs/{run}/{registry}/{repository}/plan.json     the plan, saved before anything is touched
    runs/{run}/{registry}/{repository}/outcomes.jsonl  one line per action, appended as it happens
    runs/{run}/{registry}/{repository}/traffic.jsonl  one line per invocation that left something to do
    runs/{run}/{registry}/{repository}/report.json   plan and outcomes, when the repository is finished
    runs/{run}/progress.jsonl                        one line per repository planned, and per one cleaned
    runs/{run}/replication.jsonl                     one line per replicated tag
    runs/{run}/noted/{key}                           what was recorded there and may be told of again

The counts of a plan or report stand in its blob's metadata too, so that one listing sums up a run of
thousands of repositories. Times are UTC. All names in paths were parsed, so none can leave its place.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobServiceClient, ContentSettings

from shared.errors import StorageError
from shared.oci.names import LoginServer, RepositoryName
from shared.storage.account import create_container, error_code, storage_errors
from shared.storage.append_log import AppendLog

PLAN: Final = "plan.json"
OUTCOMES: Final = "outcomes.jsonl"
TRAFFIC: Final = "traffic.jsonl"
REPORT: Final = "report.json"
RUN: Final = "run.json"
APPLYING: Final = "applying.json"
FINISHED: Final = "finished.json"
PROGRESS: Final = "progress.jsonl"
REPLICATION: Final = "replication.jsonl"

_JSON = ContentSettings(content_type="application/json")

type Document = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One repository's share of a run."""

    run: str
    registry: LoginServer
    repository: RepositoryName

    def path(self, name: str) -> str:
        """Return the name of one of its blobs."""
        return f"runs/{self.run}/{self.registry}/{self.repository}/{name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartCounts:
    """The metadata of one plan or report: where it belongs, and its counts by name."""

    registry: LoginServer
    repository: RepositoryName
    counts: Mapping[str, int]


class RunStore:
    """The blobs of all runs in one container, which is made when it is first written to.

    ``page_size`` is how many blobs are asked for at a time; 5,000 is the most (List Blobs, REST
    reference).
    """

    def __init__(self, service: BlobServiceClient, container: str, *, page_size: int = 5000) -> None:
        self._container = service.get_container_client(container)
        self._page_size = page_size
        self._opened: Document = {}

    def open_run(self, run: str, document: Document) -> bool:
        """Save how the run was opened; ``False`` when it was opened before, which changes nothing."""
        return self._write_once(f"runs/{run}/{RUN}", document)

    def finish_run(self, run: str, document: Document) -> bool:
        """Save how the run ended; ``False`` when it had ended before, which changes nothing."""
        return self._write_once(f"runs/{run}/{FINISHED}", document)

    def read_finished(self, run: str) -> Document | None:
        """Return how the run ended, ``None`` while it goes on."""
        return self._read(f"runs/{run}/{FINISHED}")

    def _write_once(self, name: str, document: Document) -> bool:
        """Write what is not there yet.

        Of several callers exactly one gets ``True``, even when the answer to its first try was lost and
        the next try found the blob that the first had made.
        """
        attempt = uuid4().hex
        with storage_errors(f"writing {name}"):
            try:
                self._upload(name, document, {"attempt": attempt}, overwrite=False)
            except ResourceExistsError as error:
                if error_code(error) != "BlobAlreadyExists":  # the SDK gives every 409 this type
                    raise
                opened = self._container.get_blob_client(name).get_blob_properties()
                return opened.metadata.get("attempt") == attempt
        return True

    def read_run(self, run: str) -> Document | None:
        """Return how the run was opened, or ``None`` when there is no such run.

        That never changes, and names thousands of repositories: the latest one is remembered.
        """
        latest = self._opened
        if run in latest:
            found: Document = latest[run]
            return found
        document = self._read(f"runs/{run}/{RUN}")
        if document is not None:
            self._opened = {run: document}
        return document

    def list_runs(self, kind: str = "") -> Iterator[str]:
        """Yield the names of all runs, or of all of one kind, in the order of their names."""
        prefix = f"runs/{kind}-" if kind else "runs/"
        with storage_errors("listing runs"):
            try:
                for found in self._container.walk_blobs(
                    prefix, delimiter="/", results_per_page=self._page_size
                ):
                    yield found.name.removeprefix("runs/").rstrip("/")
            except ResourceNotFoundError:
                return

    def mark_applying(self, run: str, document: Document) -> None:
        """Note that the run left planning behind."""
        self._write(f"runs/{run}/{APPLYING}", document)

    def read_applying(self, run: str) -> Document | None:
        """Return what was noted when the run left planning behind, ``None`` before."""
        return self._read(f"runs/{run}/{APPLYING}")

    def save_plan(self, part: Part, document: Document, counts: Mapping[str, int]) -> None:
        """Save the plan, replacing an earlier one; ``counts`` are listed with it."""
        self._write(part.path(PLAN), document, _metadata(counts))

    def read_plan(self, part: Part) -> Document | None:
        return self._read(part.path(PLAN))

    def outcomes(self, part: Part) -> AppendLog:
        """Return the log that this repository's outcomes are appended to."""
        return AppendLog(self._container, part.path(OUTCOMES))

    def traffic(self, part: Part) -> AppendLog:
        """Return the log of what invocations asked of the registry before the one that finishes it."""
        return AppendLog(self._container, part.path(TRAFFIC))

    def progress(self, run: str) -> AppendLog:
        """Return the log of the run's repositories, in the order in which they got on."""
        return AppendLog(self._container, f"runs/{run}/{PROGRESS}")

    def save_report(self, part: Part, document: Document, counts: Mapping[str, int]) -> None:
        """Save the report; ``counts`` (names of letters and underscores) are listed with it."""
        self._write(part.path(REPORT), document, _metadata(counts))

    def read_report(self, part: Part) -> Document | None:
        return self._read(part.path(REPORT))

    def list_plans(self, run: str) -> Iterator[PartCounts]:
        """Yield the counts of every planned repository of the run, by one listing."""
        return self._list_parts(run, PLAN)

    def list_reports(self, run: str) -> Iterator[PartCounts]:
        """Yield the counts of every finished repository of the run, by one listing."""
        return self._list_parts(run, REPORT)

    def replications(self, run: str) -> AppendLog:
        """Return the log that the outcomes of replicated tags are appended to."""
        return AppendLog(self._container, f"runs/{run}/{REPLICATION}")

    def is_noted(self, run: str, key: str) -> bool:
        """Tell whether the run was told of this before; ``key`` is a name of letters and digits."""
        return self._read(f"runs/{run}/noted/{key}") is not None

    def note(self, run: str, key: str) -> None:
        """Remember that the run was told of this."""
        self._write_once(f"runs/{run}/noted/{key}", {})

    def _list_parts(self, run: str, wanted: str) -> Iterator[PartCounts]:
        prefix = f"runs/{run}/"
        with storage_errors(f"listing {run}"):
            try:
                found = self._container.list_blobs(
                    name_starts_with=prefix, include=["metadata"], results_per_page=self._page_size
                )
                for blob in found:
                    registry, _, rest = blob.name.removeprefix(prefix).partition("/")
                    repository, slash, name = rest.rpartition("/")
                    if slash and name == wanted:
                        yield PartCounts(
                            registry=LoginServer(registry),
                            repository=RepositoryName(repository),
                            counts=_counts(blob.name, blob.metadata or {}),
                        )
            except ResourceNotFoundError:
                return

    def _write(self, name: str, document: Document, metadata: Mapping[str, str] | None = None) -> None:
        with storage_errors(f"writing {name}"):
            self._upload(name, document, metadata or {}, overwrite=True)

    def _upload(self, name: str, document: Document, metadata: Mapping[str, str], *, overwrite: bool) -> None:
        content = json.dumps(document, separators=(",", ":")).encode()
        blob = self._container.get_blob_client(name)

        def upload() -> None:
            blob.upload_blob(content, overwrite=overwrite, metadata=dict(metadata), content_settings=_JSON)

        try:
            upload()
        except ResourceNotFoundError:
            create_container(self._container)
            upload()

    def _read(self, name: str) -> Document | None:
        with storage_errors(f"reading {name}"):
            try:
                content = self._container.download_blob(name).readall()
            except ResourceNotFoundError:
                return None
        try:
            document = json.loads(content)
        except ValueError as error:
            raise StorageError(f"reading {name}: not JSON: {error}") from error
        if not isinstance(document, dict):
            raise StorageError(f"reading {name}: expected a JSON object")
        return document


def _metadata(counts: Mapping[str, int]) -> dict[str, str]:
    return {name: str(count) for name, count in counts.items()}


def _counts(name: str, metadata: Mapping[str, str]) -> dict[str, int]:
    try:
        return {key: int(text) for key, text in metadata.items()}
    except ValueError as error:
        raise StorageError(f"metadata of {name}: expected counts: {error}") from error
