"""Runs as people follow them: which there are, how far each is, what became of one repository."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from cli.columns import Column, Columns, paragraph
from cli.exits import FAILED, REFUSED, Failure
from cli.output import Output
from cli.places import parse_repository_place
from cli.threads import threads
from cli.words import age, short
from shared.jobs.services import Services
from shared.jobs.status import list_runs as names_of_runs
from shared.jobs.status import parts, repository_report, run_summary
from shared.messages import parse_run

_EVERY: Final = 2.0
_ENDED: Final = frozenset({"finished", "refused"})
_COUNTS: Final = (
    "untag",
    "delete",
    "untagged",
    "deleted",
    "failed",
    "failures",
    "copied",
    "up_to_date",
    "queued",
)


def list_runs(output: Output, services: Services, *, limit: int) -> int:
    """Print the newest runs."""
    names = names_of_runs(services, limit=limit)
    with threads(8) as pool:
        found = [summary for summary in pool.map(lambda name: run_summary(services, name), names) if summary]
    if output.json:
        output.document({"runs": found})
        return 0
    now = datetime.now(UTC)
    table = Columns(
        output=output,
        columns=(
            Column(title="RUN", shrinks=True, least=24),
            Column(title="STATE"),
            Column(title="STARTED"),
            Column(title="REPOSITORIES", right=True),
            Column(title="COUNTS", wraps=True),
        ),
    )
    for summary in found:
        started = summary.get("started")
        table.add(
            summary["run"],
            summary.get("state", ""),
            age(datetime.fromisoformat(started), now) if started else "",
            str(len(summary["repositories"])) if "repositories" in summary else "",
            _counts(summary),
        )
    table.flush()
    if not found:
        output.note("there are no runs yet; the app opens one each night, and on pushes")
    return 0


def show_run(output: Output, services: Services, name: str, *, follow: bool) -> int:
    """Print one run; to ``follow`` it is to wait until it ends."""
    parse_run(name)
    summary = _summary(services, name)
    if follow:
        with output.progress() as progress:
            bar = progress.bar(name, len(summary.get("repositories", ())) or None)
            done = 0
            while summary.get("state", "finished") not in _ENDED:
                time.sleep(_EVERY)
                summary = _summary(services, name)
                finished = len(summary.get("repositories", ())) - len(summary.get("missing", ()))
                bar.advance(finished - done)
                done = finished
    repositories = [part.to_json() for part in parts(services, name)]
    if output.json:
        output.document({**summary, "parts": repositories})
    else:
        _show(output, summary, repositories)
    return REFUSED if summary.get("state") == "refused" else 0


def show_repository(output: Output, services: Services, name: str, place: str) -> int:
    """Print what was planned and done in one repository of a run."""
    reference = parse_repository_place(place)
    found = repository_report(services, parse_run(name), reference.registry, reference.repository)
    if found is None:
        hint = f"steward runs show {name} lists what there is"
        raise Failure(f"{name} has nothing about {reference}", hint=hint, code=FAILED)
    if output.json:
        output.document(found)
        return 0
    words = short if output.terminal else str
    output.say(f"{reference} in {name}", bold=True)
    if "failed" in found:
        output.say(f"failed: {found['failed']}", fg="red")
    results = {outcome["target"]: outcome for outcome in found.get("outcomes", ())}
    plan = found.get("plan") or {}
    table = paragraph(
        output,
        Column(title="action"),
        Column(title="target", shrinks=True, least=19),
        Column(title="result"),
        Column(title="reason", wraps=True),
    )
    for action, key in (("untag", "tag"), ("delete", "digest")):
        for item in plan.get(action, ()):
            outcome = results.get(item[key], {})
            detail = outcome.get("detail") or f"{item['rule']}: {item['reason']}"
            table.add(action, words(item[key]), outcome.get("result", "planned"), words(detail))
    for line in (*found.get("queued", ()), *found.get("extra", ())):
        table.add(line["state"], words(line["target"]), "", words(line.get("source") or ""))
    table.flush()
    return 0


def _summary(services: Services, name: str) -> Mapping[str, Any]:
    found = run_summary(services, name)
    if found is None:
        raise Failure(f"there is no run {name}", hint="steward runs list shows which there are", code=FAILED)
    return found


def _show(output: Output, summary: Mapping[str, Any], repositories: list[dict[str, Any]]) -> None:
    words = short if output.terminal else str
    output.say(summary["run"], bold=True)
    for key in ("kind", "state", "mode", "started", "policy_digest"):
        if summary.get(key):
            output.say(f"  {key.replace('_', ' ')}: {words(str(summary[key]))}")
    counts = _counts(summary)
    if counts:
        output.say(f"  {counts}")
    refused = summary.get("refused")
    if refused:
        output.say_folded(f"  refused: {refused.get('message', refused)}", indent=4, fg="red", bold=True)
    for problem in summary.get("problems", ()):
        output.say_folded(f"  problem: {problem}", indent=4, fg="yellow")
    table = paragraph(
        output,
        Column(title="state"),
        Column(title="repository", shrinks=True, least=20),
        Column(title="counts", wraps=True),
    )
    for part in repositories:
        place = f"{part['registry']}/{part['repository']}"
        table.add(part["state"], place, _counts({"done": part["counts"]}))
    table.flush()


def _counts(summary: Mapping[str, Any]) -> str:
    found: dict[str, int] = {}
    for key in ("planned", "drift", "done"):
        found |= {name: count for name, count in summary.get(key, {}).items() if name in _COUNTS and count}
    return ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in found.items())
