"""What runs did, and whether the app is ready: read from storage, for people and monitors."""

from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median_high
from typing import Any, Literal

from shared.errors import StewardError
from shared.jobs.runs import Run, read_run
from shared.jobs.services import Services
from shared.oci.names import LoginServer, RepositoryName
from shared.retention.report import add_counts, postponed_in, traffic_in
from shared.storage.runs import Part


def list_runs(services: Services, *, limit: int) -> list[str]:
    """Return the names of the newest runs, newest first."""
    names = list(services.runs.list_runs())
    return sorted(names, key=lambda name: name.partition("-")[2], reverse=True)[:limit]


def run_summary(services: Services, name: str) -> dict[str, Any] | None:
    """Return how far a run is and what it did so far; ``None`` when there is no such run.

    ``state`` is ``planning``, ``applying``, ``refused`` or ``finished``; ``missing`` names the
    repositories without a report. A reconciliation is ``comparing`` until each repository has a report, and
    then ``replicating`` until each queued tag has an outcome; ``drift`` counts what was found. ``lag`` is how
    many seconds after their pushes tags were copied, ``None`` where no source told when that was. ``traffic``
    is what was asked of registries, and ``postponed`` what caps left for the next run.
    """
    run = read_run(services, name)
    if run is None:
        return _replication_only(services, name)
    if run.kind in {"reconciliation", "mirror"}:
        return _comparison(services, run)
    planned = [found.counts for found in services.runs.list_plans(name)]
    reported = {
        (found.registry, found.repository): found.counts for found in services.runs.list_reports(name)
    }
    applying = services.runs.read_applying(name) if run.mode == "apply" else None
    refused = None if applying is None else applying["refused"]
    missing = [part for part in run.repositories if part not in reported]
    ended = services.runs.read_finished(name) or {}
    done = add_counts(reported.values())
    return {
        **run.to_json(),
        "state": _state(
            run, refused=refused is not None, missing=bool(missing), applying=applying is not None
        ),
        "finished": ended.get("finished"),
        "seconds": ended.get("seconds"),
        "refused": refused,
        "planned": add_counts(planned),
        "done": done,
        "postponed": postponed_in(reported.values()),
        "traffic": traffic_in(done),
        "missing": [{"registry": registry, "repository": repository} for registry, repository in missing],
        "warnings": ended.get("warnings", list(run.warnings)),
    }


def _comparison(services: Services, run: Run) -> dict[str, Any]:
    drift: Counter[str] = Counter()
    finished: set[tuple[LoginServer, RepositoryName]] = set()
    for found in services.runs.list_reports(run.name):
        drift.update(found.counts)
        finished.add((found.registry, found.repository))
    missing = [part for part in run.repositories if part not in finished]
    done, lag = _replicated(services, run.name)
    state = "comparing"
    if not missing:
        ended = done.total() - done["deferred"]
        state = "finished" if ended >= drift["queued"] else "replicating"
    return {
        **run.to_json(),
        "queued": drift["queued"],
        "state": state,
        "drift": dict(drift),
        "done": dict(done),
        "lag": lag,
        "missing": [{"registry": registry, "repository": repository} for registry, repository in missing],
    }


def _state(run: Run, *, refused: bool, missing: bool, applying: bool) -> str:
    if refused:
        return "refused"
    if not missing:
        return "finished"
    return "applying" if run.mode == "apply" and applying else "planning"


def _replication_only(services: Services, name: str) -> dict[str, Any] | None:
    """Sum up a day of replicated pushes, which nobody opens: it is there when something was recorded."""
    done, lag = _replicated(services, name)
    return {"run": name, "kind": "pushes", "done": dict(done), "lag": lag} if done else None


def _replicated(services: Services, name: str) -> tuple[Counter[str], dict[str, float] | None]:
    """Return how often each result came, and how long after their pushes tags were copied."""
    results: Counter[str] = Counter()
    lags: list[float] = []
    for outcome in services.runs.replications(name).read():
        results[str(outcome["result"])] += 1
        if outcome.get("lag_seconds") is not None:
            lags.append(float(outcome["lag_seconds"]))
    if not lags:
        return results, None
    return results, {"tags": len(lags), "median_seconds": median_high(lags), "max_seconds": max(lags)}


def replications(services: Services, name: str, *, limit: int) -> list[dict[str, Any]]:
    """Return the outcomes of replicated tags that the run recorded, newest first."""
    return list(reversed(deque(services.runs.replications(name).read(), maxlen=limit)))


@dataclass(frozen=True, slots=True, kw_only=True)
class PartStatus:
    """One repository of a run; ``counts`` are those of its report or, until there is one, of its plan."""

    registry: LoginServer
    repository: RepositoryName
    state: Literal["waiting", "planned", "finished"]
    counts: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """Return the form that the API shows."""
        return {
            "registry": self.registry,
            "repository": self.repository,
            "state": self.state,
            "counts": dict(self.counts),
        }


def parts(services: Services, name: str) -> list[PartStatus]:
    """Return every repository of the run in the order of their names; none when there is no such run."""
    run = read_run(services, name)
    if run is None:
        return []
    planned = {(found.registry, found.repository): found.counts for found in services.runs.list_plans(name)}
    finished = {
        (found.registry, found.repository): found.counts for found in services.runs.list_reports(name)
    }
    return [
        PartStatus(
            registry=place[0],
            repository=place[1],
            state="finished" if place in finished else "planned" if place in planned else "waiting",
            counts=finished.get(place) or planned.get(place) or {},
        )
        for place in sorted(run.repositories)
    ]


def repository_report(
    services: Services, run: str, registry: LoginServer, repository: RepositoryName
) -> dict[str, Any] | None:
    """Return the report of one repository; while it is not finished, its plan and the outcomes so far."""
    part = Part(run=run, registry=registry, repository=repository)
    report = services.runs.read_report(part)
    if report is not None:
        return report
    plan = services.runs.read_plan(part)
    if plan is None:
        return None
    return {"finished": None, "plan": plan, "outcomes": list(services.runs.outcomes(part).read())}


def readiness(services: Services) -> dict[str, str | None]:
    """Return one line per dependency: its name, and ``None`` or what is wrong with it."""
    checks: dict[str, Callable[[], object]] = {
        "policy": services.policy.current,
        "storage": lambda: services.runs.read_run("readiness"),
        "queues": services.cleanup_queue.length,
    }
    found: dict[str, str | None] = {}
    for name, check in checks.items():
        try:
            check()
        except StewardError as error:
            found[name] = str(error)
        else:
            found[name] = None
    return found
