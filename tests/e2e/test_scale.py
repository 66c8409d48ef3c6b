"""A repository too large for one invocation: cleaned by several, each within its time; nothing twice or lost.

In the ``nightly`` profile of Hypothesis it holds 100,000 manifests, which takes a quarter of an hour:
``pytest --hypothesis-profile=nightly -s tests/e2e/test_scale.py`` prints what that took.
"""

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest
import requests
from hypothesis import settings

from emulators.registry.images import Artifact, build_image, build_index
from tests.e2e.world import World, assert_whole, days_ago, retention, unique, world

pytestmark = pytest.mark.e2e

IN_FULL: Final = settings.get_current_profile_name() == "nightly"
MANIFESTS: Final = 100_000 if IN_FULL else 250
BUDGET: Final = 60 if IN_FULL else 5
PATIENCE: Final = 3600 if IN_FULL else 90
LARGEST_MEMORY: Final = 1024 * 1024 * 1024
"""Half of what an instance of Flex Consumption has by default, in bytes."""


@dataclass
class Crowd:
    """A repository of many small images that share their blobs: what must stay, and what must go."""

    repository: str
    stays: dict[str, Artifact] = field(default_factory=dict)
    goes: set[str] = field(default_factory=set)
    _images: int = 0

    def fill(self, steward: World, manifests: int) -> None:
        """Put tagged releases, old pull requests, some of them indexes, and old orphans."""
        model = build_image(layer_size=64)
        docker = build_image(layer_size=64, docker=True)
        for number in range(manifests // 10):
            for release in range(2):
                image = self._another(docker if release else model)
                self.stays[f"v{number}.{release}"] = image
                image.push_to(steward.state, self.repository, tag=f"v{number}.{release}", at=days_ago(60))
            for request in range(2):
                self._leave(steward, self._another(model), f"pr-{number}-{request}")
            self._leave(steward, build_index([self._another(model), self._another(docker)]), f"pr-{number}")
            for _ in range(3):
                self._leave(steward, self._another(docker))

    def _another(self, model: Artifact) -> Artifact:
        self._images += 1
        document = json.loads(model.content) | {"annotations": {"number": str(self._images)}}
        return replace(model, content=json.dumps(document).encode())

    def _leave(self, steward: World, artifact: Artifact, tag: str | None = None) -> None:
        artifact.push_to(steward.state, self.repository, tag=tag, at=days_ago(30))
        self.goes |= {node.digest for node in artifact.walk()} | ({tag} if tag else set())


@pytest.fixture
def steward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    settings_ = {"CLEANUP_MODE": "apply", "INVOCATION_SECONDS": str(BUDGET), "REGISTRY_THREADS": "16"}
    with world(tmp_path_factory.mktemp("scale"), settings=settings_) as started:
        yield started


@pytest.mark.timeout(PATIENCE + 600)
def test_a_repository_of_any_size_is_cleaned_by_invocations_that_keep_to_their_time(steward: World) -> None:
    if IN_FULL:
        steward.stack.eventgrid.stop()  # a hint for each deleted manifest: half of the time would be theirs
    crowd = Crowd(unique("crowd"))
    crowd.fill(steward, MANIFESTS)
    assert len(steward.state.repository(crowd.repository).manifests) == MANIFESTS
    allowed = {"deletions": MANIFESTS}
    steward.write_policy(retention(crowd.repository, limits={"repository": allowed, "run": allowed}))
    began = time.monotonic()

    run = steward.open_night()
    summary = wait_for(steward, run)
    took = time.monotonic() - began

    assert (summary["state"], summary["refused"]) == ("finished", None)
    lines = recorded(steward)
    assert Counter(line["target"] for line in lines) == Counter(crowd.goes), "nothing twice, nothing lost"
    assert {line["result"] for line in lines} == {"done"}
    home = steward.state.repository(crowd.repository)
    assert set(home.tags) == crowd.stays.keys()
    assert set(home.manifests) == {image.digest for image in crowd.stays.values()}
    for tag in list(crowd.stays)[:: max(1, len(crowd.stays) // 10)]:
        assert_whole(steward.acr, crowd.repository, tag, crowd.stays[tag])
    assert summary["done"]["untagged"] + summary["done"]["deleted"] == len(crowd.goes)

    invocations = worked(steward)
    assert len(invocations) >= 4
    longest = max(invocations)
    assert longest < timedelta(seconds=BUDGET * 1.2 + 4 + MANIFESTS / 4000)
    memory = peak_memory(steward)
    assert memory < LARGEST_MEMORY
    began = time.monotonic()
    report = steward.finished_report(run, crowd.repository)
    read = time.monotonic() - began
    assert {outcome["target"] for outcome in report["outcomes"]} == crowd.goes
    login_server = quote(steward.stack.acr.login_server)
    assert steward.answer(f"reports/{run}/{login_server}/{crowd.repository}").status_code == 200
    sys.stderr.write(
        f"\n{MANIFESTS:,} manifests, {len(crowd.goes):,} removals: {took:.0f} s, "
        f"{len(invocations)} invocations, the longest {longest.total_seconds():.1f} s of {BUDGET}; "
        f"memory {memory / 2**20:.0f} MiB at most; the report is read in {read:.1f} s; "
        f"blobs: {sizes(steward)}\n"
    )


def wait_for(steward: World, run: str) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with suppress(requests.Timeout):
            summary = steward.get(f"runs/{run}") or {}
            if summary.get("state") in {"finished", "refused"}:
                return summary
        time.sleep(BUDGET / 10)
    pytest.fail(f"{run} did not end within {PATIENCE} s")


def recorded(steward: World) -> list[dict[str, Any]]:
    """Return the lines of the outcome log as they were written."""
    return [
        json.loads(line)
        for name, content in steward.blobs()
        if "/outcomes.jsonl" in name
        for line in content.splitlines()
    ]


def worked(steward: World) -> list[timedelta]:
    """Return how long each invocation took that worked on the repository."""
    return [
        timedelta(milliseconds=entry["duration_ms"])
        for line in steward.host.log.splitlines()
        if "Executed 'Functions.clean_repository'" in line
        for entry in [json.loads(line)]
    ]


def peak_memory(steward: World) -> int:
    """Return the most memory that the host, and the app in it, ever had at once (proc(5), VmHWM)."""
    for line in Path(f"/proc/{steward.host.pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("this system does not say how much memory a process had")


def sizes(steward: World) -> str:
    return ", ".join(
        f"{name.rpartition('/')[2]} {len(content) / 2**20:.1f} MiB"
        for name, content in steward.blobs()
        if len(content) > 2**16
    )
