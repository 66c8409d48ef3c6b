"""A run whose every text is an attack, as stored by an app that a registry lied to."""

from shared.jobs.runs import Run
from shared.oci.names import parse_repository
from tests.jobs.world import World

ATTACKS = (
    "<script>document.title='owned';alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)' x='",
    "javascript:alert(1)",
    "</style></title><svg onload=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "v1\u202egpj.exe",
)
ATTACK = "".join(ATTACKS)
DIGEST = f"sha256:{'0' * 64}"


def attack(world: World, run: str = "night-20260101t020000000000z") -> str:
    """Store a run, its report and its replications, all of them hostile; return the run's name."""
    opened = Run(
        name=run,
        kind="night",
        started=world.clock(),
        mode="apply",
        policy_digest=ATTACK,
        repositories=((world.registry, parse_repository("team/app")),),
        problems=(ATTACK,),
        warnings=(ATTACK,),
    )
    part = opened.part(*opened.repositories[0])
    plan = {
        "untag": [{"tag": ATTACK, "digest": ATTACK, "rule": ATTACK, "reason": ATTACK}],
        "delete": [{"digest": ATTACK, "size": 5, "rule": ATTACK, "reason": ATTACK}],
        "keep": [
            {"tag": ATTACK, "rule": ATTACK, "reason": ATTACK},
            {"digest": DIGEST, "rule": None, "reason": ATTACK},
        ],
        "warnings": [ATTACK],
        "refused": {"message": ATTACK},
        "postponed": {"cap": ATTACK, "most": 1, "tags": 1, "manifests": 1, "message": ATTACK},
        "closed": True,
    }
    outcomes = [
        {"action": "untag", "target": ATTACK, "result": "failed", "at": ATTACK, "detail": ATTACK},
        {"action": "delete", "target": ATTACK, "result": ATTACK, "at": ATTACK, "detail": ATTACK},
    ]
    report = {
        "failed": ATTACK,
        "finished": ATTACK,
        "seconds": 1.0,
        "traffic": {"requests": {ATTACK: 1}, "throttled": 1, "waited_seconds": 1.0},
        "plan": plan,
        "outcomes": outcomes,
        "problems": [ATTACK],
        "queued": [{"target": ATTACK, "state": ATTACK, "source": ATTACK}],
    }
    counts = {"failures": 1, "untag": 1, "delete": 1, "bytes": 5, "requests": 1, "postponed_tags": 1}
    store = world.services.runs
    store.open_run(run, opened.to_json())
    store.save_plan(part, plan, counts)
    store.save_report(part, report, counts)
    for name in (run, "pushes-20260101"):
        store.replications(name).append(
            {
                "route": ATTACK,
                "source": ATTACK,
                "target": ATTACK,
                "result": result,
                "at": ATTACK,
                "detail": f"{ATTACK}. To mend it: {ATTACK}",
                "bytes_copied": 1,
                "seconds": 1.0,
                "lag_seconds": 1.0,
            }
            for result in ("failed", "deferred", "copied", ATTACK)
        )
    return run


def pages(world: World, run: str) -> tuple[str, ...]:
    """Return the paths of all pages that show something of the attack."""
    return "", f"reports/{run}", "reports/pushes-20260101", f"reports/{run}/{world.registry}/team/app"
