from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.registry.images import build_image, build_index, build_referrer
from emulators.registry.ordering import SortedKeys
from emulators.registry.records import OCI_MANIFEST, Locks, Tag, digest_of
from emulators.registry.repository import Catalogue
from emulators.registry.state import RegistryState
from tests.emulators.conftest import TurnedClock

KEYS = st.sets(st.integers(0, 300), max_size=200)


@given(added=KEYS, removed=KEYS, last=st.integers(-1, 301) | st.none())
def test_sorted_keys_page_like_a_sorted_set(added: set[int], removed: set[int], last: int | None) -> None:
    keys = SortedKeys[int]()
    for key in added:
        keys.add(key)
    for key in removed & added:
        keys.remove(key)
    kept = sorted(added - removed)
    assert list(keys.after(last)) == [key for key in kept if last is None or key > last]
    assert list(keys.before(last)) == [key for key in reversed(kept) if last is None or key < last]
    assert len(keys) == len(kept)


def test_removing_a_key_that_is_absent_is_an_error() -> None:
    keys = SortedKeys[str]()
    keys.add("a")
    with pytest.raises(KeyError):
        keys.remove("b")


@given(ages=st.lists(st.integers(0, 5), min_size=1, max_size=30), page=st.integers(1, 7))
@pytest.mark.parametrize("order", ["none", "timeasc", "timedesc"])
def test_deleting_the_mark_of_a_page_skips_and_repeats_nothing(
    order: str, ages: list[int], page: int
) -> None:
    clock = TurnedClock()
    tags = Catalogue[Tag]()
    for number, age in enumerate(ages):
        moment = clock.now - timedelta(days=age)
        name = f"t{number:03}"
        tags.put(name, Tag(name=name, digest="sha256:0", created=moment, updated=moment))
    seen: list[Tag] = []
    while True:
        last = seen[-1].name if seen else None
        listed = [tag for tag, _ in zip(tags.page(last=last, order=order), range(page), strict=False)]  # type: ignore[arg-type]
        if not listed:
            break
        seen += listed
        tags.pop(listed[-1].name)
    keys = [(tag.updated, tag.name) for tag in seen]
    assert len(seen) == len(ages)
    if order == "none":
        assert [tag.name for tag in seen] == sorted(tag.name for tag in seen)
    else:
        assert keys == sorted(keys, reverse=order == "timedesc")


def test_moving_a_tag_leaves_the_old_manifest_untagged_and_keeps_the_creation_time(
    clock: TurnedClock,
) -> None:
    state = RegistryState(clock=clock)
    old, new = build_image(), build_image()
    old.push_to(state, "app", tag="v1")
    first = clock.now
    clock.turn(60)
    new.push_to(state, "app", tag="v1")
    home = state.repository("app")
    assert home is not None
    assert home.manifests[old.digest].tags == ()
    assert home.manifests[new.digest].tags == ("v1",)
    assert (home.tags["v1"].created, home.tags["v1"].updated) == (first, clock.now)
    assert home.updated == clock.now


def test_a_manifest_goes_with_its_tags_and_leaves_its_children_and_blobs() -> None:
    state = RegistryState()
    image = build_image()
    index = build_index([image])
    index.push_to(state, "app", tag="a")
    state.put_manifest("app", index.content, index.media_type, tag="b")
    state.delete_manifest("app", index.digest)
    home = state.repository("app")
    assert home is not None
    assert list(home.tags) == []
    assert list(home.manifests) == [image.digest]
    assert all(state.blob("app", digest) is not None for digest in image.blobs)


def test_a_deleted_referrer_is_no_longer_listed() -> None:
    state = RegistryState()
    image = build_image()
    signature = build_referrer(image)
    image.push_to(state, "app")
    signature.push_to(state, "app")
    home = state.repository("app")
    assert home is not None
    assert list(home.referrers[image.digest]) == [signature.digest]
    state.delete_manifest("app", signature.digest)
    assert list(home.referrers[image.digest]) == []


def test_readers_see_every_change_only_when_the_lag_is_over(clock: TurnedClock) -> None:
    state = RegistryState(clock=clock, read_lag=5)
    image = build_image()
    image.push_to(state, "app", tag="v1")
    assert state.repository("app") is not None
    assert state.view().repository("app") is None
    clock.turn(5)
    seen = state.view().repository("app")
    assert seen is not None
    assert seen.tags["v1"].digest == image.digest
    assert all(state.view().blob("app", digest) is not None for digest in image.blobs)

    state.set_tag_locks("app", "v1", Locks(write=False))
    state.delete_tag("app", "v1")
    assert "v1" in seen.tags
    assert seen.tags["v1"].locks == Locks()
    clock.turn(5)
    state.view()
    assert "v1" not in seen.tags

    state.delete_repository("app")
    state.settle()
    assert state.view().repository("app") is None


def test_the_platform_of_an_image_is_read_from_its_config() -> None:
    state = RegistryState()
    image = build_image(platform="linux/arm64/v8")
    index = build_index([image])
    index.push_to(state, "app")
    home = state.repository("app")
    assert home is not None
    assert (home.manifests[image.digest].architecture, home.manifests[image.digest].os) == ("arm64", "linux")
    assert home.manifests[index.digest].architecture is None


def test_malformed_manifests_are_refused_with_the_reason() -> None:
    state = RegistryState()
    digest = digest_of(b"{}")
    for content, reason in [
        (b"not json", "not JSON"),
        (b"[]", "not a JSON object"),
        (b'{"schemaVersion":1}', "schema 1"),
        (b'{"schemaVersion":2,"mediaType":"other"}', "Content-Type"),
        (b'{"schemaVersion":2}', "has a config"),
        (b'{"schemaVersion":2,"config":{"digest":"md5:1"}}', "not a descriptor"),
    ]:
        with pytest.raises(ValueError, match=reason):
            state.put_manifest("app", content, OCI_MANIFEST)
    good = b'{"schemaVersion":2,"config":{"digest":"%s"}}' % digest.encode()
    assert state.put_manifest("app", good, OCI_MANIFEST).references == (digest,)


def test_the_same_seed_builds_the_same_image() -> None:
    assert build_image(seed=7).content == build_image(seed=7).content
    assert build_image(seed=7).digest != build_image(seed=8).digest
