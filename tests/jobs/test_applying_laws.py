"""Whatever another client does meanwhile, nothing that is needed at that moment is removed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulators.registry.images import (
    Artifact,
    build_cosign_signature,
    build_image,
    build_index,
    build_referrer,
    cosign_tag,
)
from emulators.registry.records import Locks
from emulators.registry.repository import Repository
from shared.retention.report import Outcome
from tests.jobs.application import Application, planned
from tests.jobs.interleaving import incomplete, watched
from tests.jobs.world import Servers, World

type Signature = Literal["cosign", "referrer"]

LOCKED = Locks(delete=False, write=False)


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A repository: images, indexes over what came before, signatures; each with its age and its tags."""

    images: int
    indexes: Sequence[tuple[int, ...]]
    signatures: Sequence[tuple[int, Signature]]
    ages: Sequence[int]
    tags: Sequence[str | None]

    def build(self) -> list[Artifact]:
        nodes = [build_image(layer_size=16) for _ in range(self.images)]
        for members in self.indexes:
            nodes.append(build_index([nodes[member % len(nodes)] for member in members]))
        return nodes


drawn_repositories = st.builds(
    Drawn,
    images=st.integers(1, 3),
    indexes=st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=3).map(tuple), max_size=3),
    signatures=st.lists(
        st.tuples(st.integers(0, 6), st.sampled_from(["cosign", "referrer"])), max_size=2, unique=True
    ),
    ages=st.lists(st.sampled_from([40, 40, 40, 2]), min_size=7, max_size=7),
    tags=st.lists(st.sampled_from([None, "pr-{}", "pr-{}", "v{}"]), min_size=7, max_size=7),
)


@dataclass
class OtherClient:
    """Pushes, tags, signs and locks; remembers which tags it holds and what it has locked."""

    world: World
    nodes: list[Artifact]
    held: dict[str, str] = field(default_factory=dict)
    locked: set[str] = field(default_factory=set)
    locked_tags: set[str] = field(default_factory=set)

    def tag(self, node: Artifact, number: int) -> None:
        self._push(node, f"held-{number}")

    def move_an_old_tag(self, node: Artifact, number: int) -> None:
        self._push(node, f"pr-{number % 7}")

    def push_again(self, node: Artifact, _: int) -> None:
        self._push(node, None)

    def index(self, node: Artifact, number: int) -> None:
        other = self.nodes[number % len(self.nodes)]
        self._push(build_index([node, other], annotations={"n": str(number)}), f"held-{number}")

    def index_without_a_tag(self, node: Artifact, number: int) -> None:
        self._push(build_index([node], annotations={"n": str(number)}), None)

    def attest(self, node: Artifact, number: int) -> None:
        if node.digest in self._home.manifests:
            self._push(build_referrer(node, seed=number), None)

    def lock(self, node: Artifact, _: int) -> None:
        if node.digest in self._home.manifests:
            self.world.acr.state.change_manifest(self.world.repository, node.digest, locks=LOCKED)
            self.locked.add(node.digest)

    def lock_a_tag(self, _: Artifact, number: int) -> None:
        names = sorted(self._home.tags)
        if names:
            name = names[number % len(names)]
            self.world.acr.state.set_tag_locks(self.world.repository, name, LOCKED)
            self.locked_tags.add(name)

    @property
    def _home(self) -> Repository:
        return self.world.home()

    def _push(self, artifact: Artifact, tag: str | None) -> None:
        if tag in self.locked_tags:
            return
        artifact.push_to(self.world.acr.state, self.world.repository, tag=tag)
        if tag is not None:
            self.held[tag] = artifact.digest


ACTS: dict[str, Callable[[OtherClient, Artifact, int], None]] = {
    "tag": OtherClient.tag,
    "move an old tag": OtherClient.move_an_old_tag,
    "push again": OtherClient.push_again,
    "index": OtherClient.index,
    "index without a tag": OtherClient.index_without_a_tag,
    "attest": OtherClient.attest,
    "lock": OtherClient.lock,
    "lock a tag": OtherClient.lock_a_tag,
}

drawn_acts = st.lists(
    st.tuples(st.integers(0, 10), st.sampled_from(sorted(ACTS)), st.integers(0, 6), st.integers(0, 99)),
    min_size=1,
    max_size=6,
)


@pytest.fixture
def new_world(world: World, servers: Servers, tmp_path: Path) -> Callable[[], World]:
    del world  # its environment is what counts
    return lambda: World(servers=servers, folder=tmp_path)


def fill(world: World, drawn: Drawn) -> list[Artifact]:
    nodes = drawn.build()
    for number, node in enumerate(nodes):
        tag = drawn.tags[number]
        world.push(node, tag=None if tag is None else tag.format(number), days=drawn.ages[number])
    for place, kind in drawn.signatures:
        subject = nodes[place % len(nodes)]
        if kind == "cosign":
            world.push(build_cosign_signature(subject), tag=cosign_tag(subject.digest))
        else:
            world.push(build_referrer(subject))
    return nodes


LAWS = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@LAWS
@given(drawn=drawn_repositories, acts=drawn_acts)
def test_what_another_client_needs_is_there_whatever_it_does_between_our_looks(
    new_world: Callable[[], World], drawn: Drawn, acts: list[tuple[int, str, int, int]]
) -> None:
    world = new_world()
    nodes = fill(world, drawn)
    application = planned(world)
    client = OtherClient(world, nodes)
    with watched(world.acr, world.repository) as watch:
        for moment, act, place, number in acts:
            node = nodes[place % len(nodes)]
            watch.plan(moment, partial(ACTS[act], client, node, number))
        assert application.run(threads=1) is None
    home = world.home()
    assert watch.harm == []
    assert incomplete(home) == []
    assert {name: home.tags[name].digest for name in client.held if name in home.tags} == client.held
    assert client.locked <= set(home.manifests)
    assert client.locked_tags <= set(home.tags)
    assert kept(application) <= {*home.tags, *home.manifests}
    each_action_has_one_outcome(application)


@LAWS
@given(drawn=drawn_repositories, threads=st.integers(1, 8), stops=st.lists(st.integers(0, 8), max_size=3))
def test_stopped_anywhere_and_resumed_no_index_is_broken_and_in_the_end_the_plan_is_done(
    new_world: Callable[[], World], drawn: Drawn, threads: int, stops: list[int]
) -> None:
    world = new_world()
    fill(world, drawn)
    application = planned(world)
    earlier: list[Outcome] = []
    with watched(world.acr, world.repository) as watch:
        for stop in stops:
            fault = world.acr.faults.inject(
                method="DELETE", after=stop, times=None, status=429, headers={"Retry-After": "300"}
            )
            application.run(threads=threads, earlier=earlier)
            world.acr.faults.clear()
            assert fault.seen >= fault.fired
            assert incomplete(world.home()) == []
            earlier = application.outcomes
            world.set()
        assert application.run(threads=threads, earlier=earlier) is None
        assert watch.harm == []
    home = world.home()
    assert {*home.tags, *home.manifests} == kept(application)
    assert {outcome.result for outcome in application.outcomes} <= {"done"}
    each_action_has_one_outcome(application)


def kept(application: Application) -> set[str]:
    plan = application.plan
    return {
        *(verdict.tag for verdict in plan.tag_verdicts if verdict.keep),
        *(verdict.digest for verdict in plan.manifest_verdicts if verdict.keep),
    }


def each_action_has_one_outcome(application: Application) -> None:
    plan = application.plan
    actions = sorted([*(untag.tag for untag in plan.untag), *(deletion.digest for deletion in plan.delete)])
    assert sorted(outcome.target for outcome in application.outcomes) == actions
