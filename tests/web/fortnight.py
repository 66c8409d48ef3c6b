"""Two weeks of an app's life, as it stores them: nights, pushes, comparisons, and some trouble."""

from datetime import datetime, timedelta
from typing import Any

from shared.jobs.runs import Run
from shared.oci.names import RepositoryName, parse_reference, parse_repository
from shared.replication.report import ReplicationOutcome, ReplicationResult
from tests.jobs.world import World

NIGHTS = 14
REPOSITORIES = [
    "team/shop",
    "team/a-service-with-quite-a-long-name/and-a-component",
    "web/site",
    "tools/builder",
]
DIGEST = f"sha256:{'2c26b46b68ffc68ff99b453c1d304134' * 2}"


def fortnight(world: World) -> str:
    """Store it all, and return the name of the last night."""
    start = world.clock().replace(hour=2, minute=0, second=0, microsecond=0) - timedelta(days=NIGHTS)
    last = ""
    for number in range(NIGHTS):
        moment = start + timedelta(days=number)
        last = night(world, moment, number)
        if number >= NIGHTS - 5:
            pushes(world, moment, number)
        if number >= NIGHTS - 4:
            comparison(world, moment + timedelta(hours=6), number)
    world.services.poison.save("replicate-tag", "id-1", {"origin": "replicate-tag"}, now=world.clock())
    return last


def night(world: World, moment: datetime, number: int) -> str:
    run = Run(
        name=f"night-{moment:%Y%m%dt%H%M%S}000000z",
        kind="night",
        started=moment,
        mode="apply",
        policy_digest=DIGEST,
        repositories=tuple((world.registry, parse_repository(name)) for name in REPOSITORIES),
        warnings=("rule nightlies matched nothing in any repository",),
    )
    store = world.services.runs
    store.open_run(run.name, run.to_json())
    for place, name in enumerate(REPOSITORIES):
        part = run.part(world.registry, RepositoryName(name))
        tags, failed = 12 + number * 3 * place, int(number == NIGHTS - 1 and place == 1)
        freed = (number % 5 + 1) * (place + 1) * 37_000_000
        plan = plan_of(name, world.registry, tags, freed)
        counts = {
            "tags": 400 * (place + 1),
            "manifests": 900 * (place + 1),
            "untag": tags,
            "delete": tags,
            "bytes": freed,
            "requests": 2000 * (place + 1) + number * 313,
            "throttled": (number % 4) * place,
            "waited_seconds": (number % 4) * place * 21,
            "postponed_tags": 40 * (place == 3),
            "postponed_manifests": 120 * (place == 3),
        }
        store.save_plan(part, plan, counts)
        done = {"untagged": tags - failed, "deleted": tags, "failed": failed, "bytes_freed_at_most": freed}
        report = {
            "mode": "apply",
            "started": moment.isoformat(),
            "finished": (moment + timedelta(minutes=4)).isoformat(),
            "seconds": 241.5,
            "traffic": {
                "requests": {"read": counts["requests"], "delete": 2 * tags},
                "throttled": counts["throttled"],
                "waited_seconds": float(counts["waited_seconds"]),
            },
            "plan": plan,
            "outcomes": [
                {
                    "action": "untag",
                    "target": untag["tag"],
                    "result": "failed" if failed and not index else "done",
                    "at": moment.isoformat(),
                    "detail": "403 [DENIED] requested access to the resource is denied"
                    if failed and not index
                    else "",
                }
                for index, untag in enumerate(plan["untag"])
            ],
        }
        store.save_report(part, report, counts | done)
    ended = (moment + timedelta(minutes=11)).isoformat()
    store.finish_run(run.name, {"finished": ended, "seconds": 660.0, "warnings": list(run.warnings)})
    return run.name


def plan_of(repository: str, registry: str, tags: int, freed: int) -> dict[str, Any]:
    old = "older than 14d: last updated 2026-09-24, 60 days ago; not among the newest 2 of rule pull-requests"
    return {
        "registry": registry,
        "repository": repository,
        "untag": [
            {"tag": f"pr-{n}", "digest": DIGEST, "rule": "pull-requests", "reason": old} for n in range(tags)
        ],
        "delete": [
            {
                "digest": f"sha256:{n:064x}",
                "size": freed // tags,
                "rule": "stale-untagged" if n % 3 else "pull-requests",
                "reason": f"held only by {DIGEST}, which goes",
            }
            for n in range(tags)
        ],
        "keep": [
            {"tag": f"v1.{n}.0", "rule": "releases", "reason": "protected by releases"} for n in range(9)
        ]
        + [
            {"digest": DIGEST, "rule": None, "reason": f"listed by index {DIGEST} tagged v1.1.0, which stays"}
        ],
        "warnings": ["rule nightlies orders by semantic version; not versions: edge, main"],
        "refused": None,
        "closed": False,
        "rules_matched": ["pull-requests", "stale-untagged"],
    }


def pushes(world: World, moment: datetime, number: int) -> None:
    def outcome(index: int) -> ReplicationOutcome:
        result: ReplicationResult = "copied" if index % 4 else "up_to_date"
        detail = ""
        if index == 7 and number == NIGHTS - 1:
            result = "failed"
            detail = "denied: requested access to the resource is denied. To mend it: give the token Write"
        elif index == 9:
            result, detail = "deferred", "429: docker.io asked to come back in 120 s"
        copied = result == "copied"
        return ReplicationOutcome(
            route="releases-to-docker-hub",
            source=parse_reference(f"{world.registry}/team/shop:v1.{index}"),
            target=parse_reference(f"docker.io/acme/shop:v1.{index}"),
            result=result,
            at=moment + timedelta(hours=8, minutes=index),
            bytes_copied=12_000_000 if copied else 0,
            seconds=3.2 if copied else 0.0,
            detail=detail,
            pushed=moment + timedelta(hours=8) if copied else None,
            lag=4.0 + index + number * 2 if copied else None,
        )

    store = world.services.runs
    store.replications(f"pushes-{moment:%Y%m%d}").append(outcome(index).to_json() for index in range(20))


def comparison(world: World, moment: datetime, number: int) -> None:
    run = Run(
        name=f"reconciliation-{moment:%Y%m%dt%H%M%S}000000z",
        kind="reconciliation",
        started=moment,
        mode="apply",
        policy_digest=DIGEST,
        repositories=((world.registry, parse_repository("team/shop")),),
    )
    behind = {"missing": number % 3, "different": number % 2}
    world.services.runs.open_run(run.name, run.to_json())
    queued = sum(behind.values())
    counts = {"compared": 120, "in_step": 110 - queued, **behind, "orphaned": 4, "foreign": 6, "queued": 0}
    report = {
        "finished": moment.isoformat(),
        "problems": [],
        "queued": [],
        "extra": [
            {
                "target": "docker.io/acme/shop:old",
                "state": "orphaned",
                "source": f"{world.registry}/team/shop:old",
            }
        ],
    }
    world.services.runs.save_report(run.part(*run.repositories[0]), report, counts)
