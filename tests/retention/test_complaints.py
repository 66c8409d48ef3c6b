"""What users of other cleaners ran into, each with its public issue: a registry of its own for each."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from emulators.acr import AcrEmulator
from emulators.registry.images import build_image
from shared.retention.report import Outcome
from tests.jobs.application import planned
from tests.jobs.world import Servers, World


@contextmanager
def registry(servers: Servers, folder: Path, **options: Any) -> Iterator[World]:
    """Yield a world whose registry is its own."""
    with AcrEmulator(ca=servers.ca, identity=servers.identity, **options) as acr:
        acr.grant(servers.identity.client_id, *acr_roles(options))
        yield World(servers=replace(servers, acr=acr), folder=folder)


def acr_roles(options: dict[str, Any]) -> tuple[str, ...]:
    if options.get("abac"):
        return ("Container Registry Repository Contributor", "Container Registry Repository Catalog Lister")
    return ("AcrPull", "AcrDelete")


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("abac", [False, True])
def test_an_application_outlives_its_tokens(servers: Servers, tmp_path: Path, *, abac: bool) -> None:
    """Azure/acr-cli#641: 401 after three hours, when the refresh token is over."""
    lifetimes = {"access_token_lifetime": 1.5, "refresh_token_lifetime": 3.0, "latency": 0.08}
    with registry(servers, tmp_path, abac=abac, **lifetimes) as world:
        for number in range(10):
            world.push(build_image(layer_size=16), tag=f"pr-{number}")
        application = planned(world)
        assert application.run(threads=1) is None
        assert set(application.results.values()) == {"done"}
        assert list(world.home().tags) == []
        assert world.acr.traffic.count("POST", "/oauth2/exchange", status=200) > 1, "signed in once more"


@pytest.mark.usefixtures("world")
def test_what_stands_on_later_pages_is_seen(servers: Servers, tmp_path: Path) -> None:
    """Azure/azure-powershell#22922 and others: clients that return the first 100 entries only."""
    with registry(servers, tmp_path, page_cap=100) as world:
        kept = {f"v{number}" for number in range(150)}
        for tag in sorted(kept):
            world.push(build_image(layer_size=16, docker=True), tag=tag)
        for _ in range(130):
            world.push(build_image(layer_size=16, docker=True))
        application = planned(world)
        assert len(application.plan.delete) == 130
        assert {str(verdict.tag) for verdict in application.plan.tag_verdicts} == kept


@pytest.mark.usefixtures("world")
def test_a_second_run_over_what_was_just_removed_finds_nothing_to_do(
    servers: Servers, tmp_path: Path
) -> None:
    """radius-project/radius#12301: what is deleted is listed for a while; gone already is gone."""
    with registry(servers, tmp_path) as world:
        digests = [world.push(build_image(layer_size=16)) for _ in range(3)]
        application, late = planned(world), planned(world)
        assert application.run() is None
        assert late.run() is None
        assert late.results == dict.fromkeys(digests, "already_gone")
        outcomes: list[Outcome] = late.outcomes
        assert all(outcome.is_gone for outcome in outcomes)
