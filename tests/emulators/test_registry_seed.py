from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from emulators.registry.images import cosign_tag
from emulators.registry.records import DOCKER_INDEX, DOCKER_MANIFEST, Locks
from emulators.registry.repository import Repository
from emulators.registry.seed import SeedError, load_seed, parse_age, seed
from emulators.registry.state import RegistryState
from tests.emulators.conftest import TurnedClock

PICTURE = """
registries:
  demo:
    repositories:
      team/app:
        images:
          - tags: [v1.0, latest]
            platforms: [linux/amd64, linux/arm64]
            age: 40d
            layers: 2
            layer_size: 16
            locked: true
            signed: cosign
            docker: true
          - tags: [latest]
            age: 12h
            lock: {manifest: {deleteEnabled: false}, tag: {writeEnabled: false}}
            signed: referrer
          - tags: []
            age: 2026-01-01
            nested: true
      empty: {}
"""


def planted(clock: TurnedClock, tmp_path: Path) -> tuple[RegistryState, Repository]:
    path = tmp_path / "seed.yaml"
    path.write_text(PICTURE)
    state = RegistryState(clock=clock)
    seed(state, load_seed(path))
    home = state.repository("team/app")
    assert home is not None
    return state, home


def test_a_picture_becomes_a_registry_with_back_dated_times(clock: TurnedClock, tmp_path: Path) -> None:
    state, home = planted(clock, tmp_path)
    assert list(state.repository_names()) == ["empty", "team/app"]
    version = home.manifests[home.tags["v1.0"].digest]
    assert version.media_type == DOCKER_INDEX
    assert version.updated == clock.now - timedelta(days=40)
    assert home.tags["v1.0"].locks == Locks(write=False, delete=False)
    children = [home.manifests[digest] for digest in version.references]
    assert [child.architecture for child in children] == ["amd64", "arm64"]
    assert all(child.media_type == DOCKER_MANIFEST for child in children)
    assert len(children[0].references) == 3
    assert cosign_tag(version.digest) in home.tags


def test_a_tag_named_twice_points_at_the_newer_image(clock: TurnedClock, tmp_path: Path) -> None:
    _, home = planted(clock, tmp_path)
    latest = home.tags["latest"]
    assert (latest.created, latest.updated) == (
        clock.now - timedelta(days=40),
        clock.now - timedelta(hours=12),
    )
    assert latest.locks == Locks(write=False)
    assert home.manifests[latest.digest].locks == Locks(delete=False)
    assert len(home.referrers[latest.digest]) == 1


def test_a_nested_orphan_is_an_index_around_an_image(clock: TurnedClock, tmp_path: Path) -> None:
    _, home = planted(clock, tmp_path)
    created = datetime(2026, 1, 1, tzinfo=UTC)
    orphans = [each for each in home.manifests.page() if each.created == created]
    assert sorted(each.is_index for each in orphans) == [False, True]
    assert all(each.tags == () for each in orphans)


def test_a_seed_may_be_json(clock: TurnedClock, tmp_path: Path) -> None:
    path = tmp_path / "seed.json"
    path.write_text(json.dumps({"registries": {"r": {"repositories": {"a": {"images": [{}]}}}}}))
    state = RegistryState(clock=clock)
    seed(state, load_seed(path)["registries"]["r"])
    home = state.repository("a")
    assert home is not None
    assert len(home.manifests) == 1


@pytest.mark.parametrize(
    ("image", "place"),
    [
        ({"tag": "v1"}, r"repositories\.a\.images\[0\]: unknown \['tag'\]"),
        ({"tags": ["-"]}, r"images\[0\]\.tags: '-' is not a tag"),
        ({"age": "long"}, r"images\[0\]\.age: 'long' is neither"),
        ({"signed": "gpg"}, r"images\[0\]\.signed"),
        ({"lock": {"tag": {"deleted": True}}}, r"images\[0\]\.lock\.tag"),
        ({"lock": {"blob": {}}}, r"images\[0\]\.lock"),
        ("v1", r"images\[0\]: a mapping"),
    ],
)
def test_a_wrong_seed_names_the_place(image: Any, place: str) -> None:
    with pytest.raises(SeedError, match=place):
        seed(RegistryState(), {"repositories": {"a": {"images": [image]}}})


def test_a_seed_needs_registries_and_valid_names(tmp_path: Path) -> None:
    path = tmp_path / "seed.yaml"
    path.write_text("[]")
    with pytest.raises(SeedError, match="registries"):
        load_seed(path)
    with pytest.raises(SeedError, match="not a repository name"):
        seed(RegistryState(), {"repositories": {"UPPER": {}}})
    with pytest.raises(SeedError, match="one was expected"):
        seed(RegistryState(), {"registries": {"a": {}, "b": {}}})


def test_ages_are_written_in_units_or_as_times(clock: TurnedClock) -> None:
    now = clock.now
    assert parse_age("90m", now=now) == now - timedelta(minutes=90)
    assert parse_age("1.5w", now=now) == now - timedelta(days=10.5)
    assert parse_age("2026-01-01T02:00:00+02:00", now=now) == datetime(2026, 1, 1, tzinfo=UTC)
