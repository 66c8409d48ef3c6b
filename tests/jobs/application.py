"""Plans made and applied in one process, on a registry over HTTP."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.jobs.applying import Pause, PlanApplication
from shared.render import plan_from_json, plan_to_json
from shared.retention.plan import RepositoryPlan, plan_repository
from shared.retention.report import Outcome
from tests.jobs.world import World

UNTAGGED = "name: untagged, untagged: true, older_than: 7d"
PULL_REQUESTS = "name: old, tags: ['pr-*', 'sig-*'], older_than: 14d"


@dataclass
class Application:
    """One repository's plan, and what its application recorded, batch by batch."""

    world: World
    plan: RepositoryPlan
    batches: list[list[Outcome]] = field(default_factory=list)

    def run(
        self,
        *,
        earlier: Iterable[Outcome] = (),
        threads: int = 4,
        patient: bool = False,
        deadline: datetime | None = None,
    ) -> Pause | None:
        return PlanApplication(
            self.plan,
            self.world.services.registries.acr(self.world.registry),
            record=self._record,
            earlier=earlier,
            clock=self.world.clock,
            deadline=deadline or self.world.clock() + timedelta(hours=1),
            threads=threads,
            patient=patient,
        ).run()

    @property
    def outcomes(self) -> list[Outcome]:
        return [outcome for batch in self.batches for outcome in batch]

    @property
    def results(self) -> dict[str, str]:
        return {outcome.target: outcome.result for outcome in self.outcomes}

    def detail(self, target: str) -> str:
        return next(outcome.detail for outcome in self.outcomes if outcome.target == target)

    def _record(self, batch: Sequence[Outcome]) -> None:
        self.batches.append(list(batch))


def planned(world: World, *rules: str, grace: str = "24h") -> Application:
    """Plan the world's repository as it is now, and read the plan back as if from storage."""
    world.write_policy(*(rules or (UNTAGGED, PULL_REQUESTS)), grace=grace)
    snapshot = world.services.registries.acr(world.registry).snapshot(world.repository)
    plan = plan_repository(snapshot, world.services.policy.current().retention, now=world.clock())
    return Application(world, plan_from_json(plan_to_json(plan)))
