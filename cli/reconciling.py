"""How source and targets differ, looked at from here; or the app's own reconciliation, started now."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from cli.columns import Cell, Column, Columns
from cli.exits import FAILED
from cli.output import Output
from cli.remedies import remedy
from cli.sentences import in_words
from cli.words import count
from shared.errors import StewardError
from shared.jobs.reconciling import start_reconciliation
from shared.jobs.services import Services
from shared.jobs.targets import TargetRepository
from shared.oci.names import LoginServer, RepositoryName
from shared.policy import Policy
from shared.replication.drift import Comparison, TagDrift, TargetListing
from shared.replication.routes import routes_repository

_COPIED: Final = frozenset({"missing", "different"})
_COLOURS: Final = {"missing": "yellow", "different": "yellow", "orphaned": "magenta"}


def reconcile(output: Output, services: Services, *, apply: bool) -> int:
    """Compare, and print what differs; to ``apply`` is to have the app mend it."""
    if apply:
        return _start(output, services)
    policy = services.policy.current()
    found: list[TagDrift] = []
    compared = 0
    problems: list[str] = []
    with output.progress() as progress:
        bar = progress.bar("comparing")
        for registry in services.settings.login_servers:
            try:
                for name in services.registries.acr(registry).list_repositories():
                    if not routes_repository(registry, name, policy.replication):
                        continue
                    try:
                        comparison, listings = _compare(services, policy, registry, name)
                        found.extend(_differences(comparison, listings))
                        compared += comparison.compared(listings)
                    except StewardError as error:
                        problems.append(f"{registry}/{name}: {in_words(error)}")
                        output.fail(problems[-1], remedy(error))
                    bar.advance()
            except StewardError as error:
                problems.append(str(error))
                output.fail(in_words(error), remedy(error))
    if output.json:
        output.document(
            {
                "applied": False,
                "run": None,
                "compared": compared,
                "drift": [each.to_json() for each in found],
                "problems": problems,
            }
        )
    else:
        _show(output, found, compared)
    return FAILED if problems else 0


def _start(output: Output, services: Services) -> int:
    run = start_reconciliation(services, now=datetime.now(UTC))
    if output.json:
        output.document(
            {
                "applied": True,
                "run": run.name,
                "compared": 0,
                "drift": [],
                "problems": list(run.problems),
            }
        )
    else:
        places = count(len(run.repositories), "repository", "repositories")
        output.say(f"{run.name}: {places} queued for the app to compare and mend")
        output.note(f"steward runs show {run.name} --follow")
    for problem in run.problems:
        output.fail(problem)
    return FAILED if run.problems else 0


def _compare(
    services: Services, policy: Policy, registry: LoginServer, name: RepositoryName
) -> tuple[Comparison, dict[tuple[LoginServer, RepositoryName], TargetListing]]:
    records = services.registries.acr(registry).list_tag_records(name)
    tags = {record.name: record.digest for record in records}
    comparison = Comparison(registry, name, tags, policy.replication)
    listings = {
        place: TargetListing(
            tags=TargetRepository(services, *place).digests(wanted),
            replicas=services.ledger.replicas(*place),
        )
        for place, wanted in comparison.places.items()
    }
    return comparison, listings


def _differences(
    comparison: Comparison, listings: dict[tuple[LoginServer, RepositoryName], TargetListing]
) -> Iterator[TagDrift]:
    yield from comparison.behind(listings)
    yield from comparison.surplus(listings)


def _show(output: Output, found: list[TagDrift], compared: int) -> None:
    table = Columns(
        output=output,
        columns=(
            Column(title="STATE"),
            Column(title="TARGET", shrinks=True, least=20),
            Column(title="SOURCE", shrinks=True, least=20),
        ),
    )
    for drift in found:
        state = Cell(drift.state, {"fg": _COLOURS[drift.state]} if drift.state in _COLOURS else {})
        table.add(state, str(drift.target), "" if drift.source is None else str(drift.source))
    table.flush()
    behind = sum(drift.state in _COPIED for drift in found)
    output.note(
        f"{count(compared, 'tag')} compared: {behind:,} to copy, {len(found) - behind:,} only on targets"
        + ("; --apply has the app copy them" if behind else "")
    )
