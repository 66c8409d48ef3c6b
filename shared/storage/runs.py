"""Runs as blobs: what was planned, what happened, and what is still missing.

::

    runs/{run}/run.json                              how the run was opened, and for which repositories
    runs/{run}/{registry}/{repository}/plan.json     the plan, saved before anything is touched
    runs/{run}/{registry}/{repository}/outcomes.jsonl  one line per action, appended as it happens
    runs/{run}/{registry}/{repository}/report.json   plan and outcomes, when the repository is finished
    runs/{run}/replication.jsonl                     one line per replicated tag

The counts of a report stand in its blob's metadata too, so that one listing sums up a run of thousands
of repositories. Times are UTC. All names in paths were parsed, so none can leave its place.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobServiceClient, ContentSettings

from shared.errors import StorageError
from shared.oci.names import LoginServer, RepositoryName
from shared.storage.account import create_container, storage_errors
from shared.storage.append_log import AppendLog

PLAN: Final = "plan.json"
OUTCOMES: Final = "outcomes.jsonl"
REPORT: Final = "report.json"
RUN: Final = "run.json"
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
class ReportCounts:
    """The metadata of one report: where it belongs, and its counts by name."""

    registry: str
    repository: str
    counts: Mapping[str, int]


class RunStore:
    """The blobs of all runs in one container, which is made when it is first written to."""

    def __init__(self, service: BlobServiceClient, container: str) -> None:
        self._container = service.get_container_client(container)

    def open_run(self, run: str, document: Document) -> bool:
        """Save how the run was opened; ``False`` when it was opened before, which changes nothing."""
        return self._write(f"runs/{run}/{RUN}", document, overwrite=False)

    def read_run(self, run: str) -> Document | None:
        """Return how the run was opened, or ``None`` when there is no such run."""
        return self._read(f"runs/{run}/{RUN}")

    def list_runs(self) -> Iterator[str]:
        """Yield the names of all runs, in the order of their names."""
        with storage_errors("listing runs"):
            try:
                for found in self._container.walk_blobs("runs/", delimiter="/"):
                    yield found.name.removeprefix("runs/").rstrip("/")
            except ResourceNotFoundError:
                return

    def save_plan(self, part: Part, document: Document) -> None:
        """Save the plan, replacing an earlier one."""
        self._write(part.path(PLAN), document)

    def read_plan(self, part: Part) -> Document | None:
        return self._read(part.path(PLAN))

    def outcomes(self, part: Part) -> AppendLog:
        """Return the log that this repository's outcomes are appended to."""
        return AppendLog(self._container, part.path(OUTCOMES))

    def save_report(self, part: Part, document: Document, counts: Mapping[str, int]) -> None:
        """Save the report; ``counts`` (names of letters and underscores) are listed with it."""
        metadata = {name: str(count) for name, count in counts.items()}
        self._write(part.path(REPORT), document, metadata=metadata)

    def read_report(self, part: Part) -> Document | None:
        return self._read(part.path(REPORT))

    def list_reports(self, run: str) -> Iterator[ReportCounts]:
        """Yield the counts of every finished repository of the run, by one listing."""
        prefix = f"runs/{run}/"
        with storage_errors(f"listing the reports of {run}"):
            try:
                for blob in self._container.list_blobs(name_starts_with=prefix, include=["metadata"]):
                    registry, _, rest = blob.name.removeprefix(prefix).partition("/")
                    repository, slash, name = rest.rpartition("/")
                    if slash and name == REPORT:
                        counts = {key: int(text) for key, text in (blob.metadata or {}).items()}
                        yield ReportCounts(registry=registry, repository=repository, counts=counts)
            except ResourceNotFoundError:
                return

    def replications(self, run: str) -> AppendLog:
        """Return the log that the outcomes of replicated tags are appended to."""
        return AppendLog(self._container, f"runs/{run}/{REPLICATION}")

    def _write(
        self,
        name: str,
        document: Document,
        *,
        overwrite: bool = True,
        metadata: Mapping[str, str] | None = None,
    ) -> bool:
        content = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        blob = self._container.get_blob_client(name)
        options: dict[str, Any] = {
            "overwrite": overwrite,
            "content_settings": _JSON,
            "metadata": dict(metadata or {}),
        }
        with storage_errors(f"writing {name}"):
            try:
                blob.upload_blob(content, **options)
            except ResourceExistsError:
                return False
            except ResourceNotFoundError:
                create_container(self._container)
                blob.upload_blob(content, **options)
            return True

    def _read(self, name: str) -> Document | None:
        with storage_errors(f"reading {name}"):
            try:
                content = self._container.download_blob(name).readall()
            except ResourceNotFoundError:
                return None
        document = json.loads(content)
        if not isinstance(document, dict):
            raise StorageError(f"reading {name}: expected a JSON object")
        return document
