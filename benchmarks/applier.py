"""A Functions instance that cleans one repository, as a process: ``python -m benchmarks.applier``."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from benchmarks.children import serve
from benchmarks.listings import POLICY
from benchmarks.registry_process import Place
from shared.jobs.applying import PlanApplication
from shared.oci.names import parse_repository
from shared.registry.acr import AcrClient
from shared.retention.plan import RepositoryPlan, plan_repository
from shared.retention.report import Outcome


class Instance:
    """Plans once, then applies for as long as it is told."""

    def __init__(self) -> None:
        self._client: AcrClient | None = None
        self._plan: RepositoryPlan | None = None

    def prepare(self, place: Mapping[str, str], repository: str, options: Mapping[str, object]) -> int:
        """Take the snapshot, make the plan, and say how many manifests it deletes."""
        self._client = Place(**place).client(**options)
        snapshot = self._client.snapshot(parse_repository(repository))
        self._plan = plan_repository(snapshot, POLICY, now=datetime.now(UTC))
        return len(self._plan.delete)

    def apply(self, threads: int, until: float) -> dict[str, object]:
        """Apply the plan until it is done or the time (by the wall clock) has come; count the outcomes.

        A pause is waited for, as the queue would.
        """
        assert self._client is not None
        assert self._plan is not None
        outcomes: list[Outcome] = []
        started = time.perf_counter()
        deadline = datetime.fromtimestamp(until, UTC)
        while datetime.now(UTC) < deadline:
            pause = PlanApplication(
                self._plan,
                self._client,
                record=outcomes.extend,
                earlier=tuple(outcomes),
                clock=lambda: datetime.now(UTC),
                deadline=deadline,
                threads=threads,
            ).run()
            if pause is None:
                break
            left = deadline - datetime.now(UTC)
            time.sleep(max(0.0, min(timedelta(seconds=pause.delay), left).total_seconds()))
        return {
            "seconds": time.perf_counter() - started,
            "results": Counter(outcome.result for outcome in outcomes),
            "details": _samples(outcomes),
        }


def _samples(outcomes: Sequence[Outcome]) -> list[str]:
    return sorted({outcome.detail for outcome in outcomes if outcome.result != "done"})[:3]


if __name__ == "__main__":
    instance = Instance()
    serve({"prepare": instance.prepare, "apply": instance.apply}, {})
