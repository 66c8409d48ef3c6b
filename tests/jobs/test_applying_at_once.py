"""A plan is applied by several threads while another client works in the same repository, over HTTP.

What the other client may rely on: once a push is answered, and what the application had under way at that
moment has ended, the tag is whole or is pushed again; from then on nothing of it goes.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from threading import Condition, Thread
from typing import Any, Final

import pytest
import requests
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from emulators.demo.client import PlainClient, PulledWrong
from emulators.registry.images import Artifact, build_image, build_index, build_referrer
from shared.jobs.applying import PlanApplication
from shared.retention.report import Outcome
from tests.jobs.application import planned
from tests.jobs.world import Servers, World

NIGHTLY: Final = settings.get_current_profile_name() == "nightly"
LATENCY: Final = 0.005
THREADS: Final = 4
ORPHANS: Final = 14
REQUESTS: Final = 16
PLACES = st.integers(0, ORPHANS + REQUESTS + 12)
NUMBERS = st.integers(0, 9)
EXPECTED: Final = frozenset({"done", "already_gone", "moved", "retagged", "locked", "reachable"})


CONTESTS: Final = settings(
    max_examples=400 if NIGHTLY else 3,
    deadline=None,
    derandomize=not NIGHTLY,
    phases=[Phase.generate],  # threads do not take turns twice in the same way, so nothing can be shrunk
    suppress_health_check=list(HealthCheck),
)


class UnderWay:
    """The actions that an application has begun and not ended."""

    def __init__(self) -> None:
        self._actions: set[object] = set()
        self._changed = Condition()

    @contextmanager
    def action(self) -> Iterator[None]:
        token = object()
        with self._changed:
            self._actions.add(token)
        try:
            yield
        finally:
            with self._changed:
                self._actions.discard(token)
                self._changed.notify_all()

    def pass_by(self) -> None:
        """Wait until what is under way now has ended; what begins meanwhile is not waited for."""
        with self._changed:
            now = set(self._actions)
            assert self._changed.wait_for(lambda: not now & self._actions, timeout=60)


class WatchedApplication(PlanApplication):
    """Tells of each action when it begins to look and when it has ended."""

    under_way: UnderWay

    def _outcome(self, *args: Any) -> Outcome | None:
        with self.under_way.action():
            return super()._outcome(*args)


class OtherClient:
    """Pushes as docker does, leaving out what is there, and checks what it has pushed."""

    def __init__(self, world: World, under_way: UnderWay) -> None:
        acr = world.acr
        self._repository = world.repository
        self._url = acr.url
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = str(world.servers.ca.ca_file)
        self._session.auth = (acr.admin_username, acr.admin_password)
        self._puller = PlainClient(
            acr.login_server, acr.admin_username, acr.admin_password, ca_file=world.servers.ca.ca_file
        )
        self._under_way = under_way

    def close(self) -> None:
        self._session.close()
        self._puller.close()

    def push(self, artifact: Artifact, tag: str | None = None) -> None:
        """Push until all of it is there after what was under way has ended."""
        reference = tag or artifact.digest
        for _ in range(5):
            if self.push_once(artifact, reference):
                self._under_way.pass_by()
                if self.is_whole(reference, artifact):
                    return
        raise AssertionError(f"{reference} is removed again and again")

    def is_whole(self, reference: str, artifact: Artifact) -> bool:
        try:
            found = {digest for digest, _ in self._puller.pull(self._repository, reference)}
        except PulledWrong:
            return False
        return found == {digest for node in artifact.walk() for digest in (node.digest, *node.blobs)}

    def lock(self, digest: str) -> bool:
        """Lock the manifest; ``False`` when it is not there any more."""
        answer = self._send(
            "PATCH", f"/acr/v1/{self._repository}/_manifests/{digest}", json={"deleteEnabled": False}
        )
        return bool(answer.status_code == requests.codes.ok)

    def untag(self, tag: str) -> None:
        self._send("DELETE", f"/acr/v1/{self._repository}/_tags/{tag}")

    def delete(self, digest: str) -> None:
        self._send("DELETE", f"/v2/{self._repository}/manifests/{digest}")

    def push_once(self, artifact: Artifact, reference: str) -> bool:
        """Push children before parents; ``False`` when one went after it was seen."""
        for node in artifact.walk():
            place = f"/v2/{self._repository}/manifests/"
            if node is not artifact and self._send("HEAD", place + node.digest).ok:
                continue
            answer = self._send(
                "PUT",
                place + (reference if node is artifact else node.digest),
                data=node.content,
                headers={"Content-Type": node.media_type},
            )
            if answer.status_code == requests.codes.bad_request:
                return False
            answer.raise_for_status()
        return True

    def _send(self, method: str, path: str, **options: Any) -> requests.Response:
        headers = {"Accept": "*/*", **options.pop("headers", {})}
        return self._session.request(method, self._url + path, headers=headers, timeout=30, **options)


class Contest:
    """An application in the background, and everything that the other client may do meanwhile."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.under_way = UnderWay()
        self.client = OtherClient(self.world, self.under_way)
        self.artifacts: list[Artifact] = []
        self.held: dict[str, Artifact] = {}
        self.locked: set[str] = set()
        self.running = Thread()
        self.round = 0
        self.outcomes: list[Outcome] = []
        self.failure: BaseException | None = None

    def begin(self) -> None:
        """Leave a lot that is to go, and begin to remove it."""
        self.round += 1
        self.world.clock.now = datetime.now(UTC)
        for _ in range(ORPHANS):
            self._leave(build_image(layer_size=16))
        for number in range(4):
            children = [build_image(layer_size=16) for _ in range(2)]
            self.artifacts += children
            self._leave(build_index(children), None if number % 2 else f"pr-index-{self.round}-{number}")
        for number in range(REQUESTS):
            self._leave(build_image(layer_size=16), f"pr-{self.round}-{number}")
        application = WatchedApplication(
            planned(self.world).plan,
            self.world.services.registries.acr(self.world.registry),
            record=self.outcomes.extend,
            earlier=(),
            clock=self.world.clock,
            deadline=self.world.clock() + timedelta(hours=1),
            threads=THREADS,
        )
        application.under_way = self.under_way
        self.running = Thread(target=self._run, args=(application,))
        self.running.start()

    def _leave(self, artifact: Artifact, tag: str | None = None) -> None:
        self.world.push(artifact, tag=tag)
        self.artifacts.append(artifact)

    def _run(self, application: PlanApplication) -> None:
        try:
            application.run()
        except BaseException as error:  # noqa: BLE001 - told in the main thread
            self.failure = error

    def tag(self, place: int, number: int) -> None:
        self._hold(self._chosen(place), f"held-{number}")

    def move_an_old_tag(self, place: int, number: int) -> None:
        artifact = self._chosen(place)
        self._hold(artifact, f"pr-{self.round}-{number}")

    def push_an_index(self, places: list[int], number: int) -> None:
        self._hold(build_index([self._chosen(place) for place in places]), f"held-{number}")

    def push_again_without_a_tag(self, place: int) -> None:
        """As the first half of a push does; a digest alone is nothing to hold on to."""
        artifact = self._chosen(place)
        self.client.push_once(artifact, artifact.digest)

    def attest(self, place: int, number: int) -> None:
        """Push the subject first: what refers to nothing is held by nobody."""
        subject = self._chosen(place)
        self._hold(subject, f"attested-{number}")
        self.client.push(self._with_blobs(build_referrer(subject, seed=number)))

    def lock(self, place: int) -> None:
        digest = self._chosen(place).digest
        if self.client.lock(digest):
            self.under_way.pass_by()
            if digest in self.world.home().manifests:
                self.locked.add(digest)

    def let_go(self, number: int) -> None:
        tag = f"held-{number}"
        if self.held.pop(tag, None) is not None:
            self.client.untag(tag)

    def delete(self, place: int) -> None:
        digest = self._chosen(place).digest
        needed = {node.digest for artifact in self.held.values() for node in artifact.walk()}
        if digest not in needed | self.locked:
            self.client.delete(digest)

    def finish(self) -> None:
        self.running.join(120)
        assert not self.running.is_alive()
        if self.failure is not None:
            raise self.failure
        broken = [name for name, artifact in self.held.items() if not self.client.is_whole(name, artifact)]
        assert broken == []
        assert self.locked <= set(self.world.home().manifests)
        assert {outcome.result for outcome in self.outcomes} <= EXPECTED

    def close(self) -> None:
        self.running.join(120)
        self.client.close()

    def _hold(self, artifact: Artifact, tag: str) -> None:
        self.client.push(self._with_blobs(artifact), tag)
        self.held[tag] = artifact
        self.artifacts.append(artifact)

    def _with_blobs(self, artifact: Artifact) -> Artifact:
        """Put the blobs there: nothing here removes any, so how they came does not matter."""
        for node in artifact.walk():
            for digest, blob in node.blobs.items():
                self.world.acr.state.put_blob(self.world.repository, blob, digest=digest)
        return artifact

    def _chosen(self, place: int) -> Artifact:
        """Choose one of what was left lately; when all of that was dealt with, more is left first."""
        if not self.running.is_alive():
            self.finish()
            self.begin()
        return self.artifacts[-1 - place % len(self.artifacts)]


type Act = Callable[[Contest], None]


def acts() -> st.SearchStrategy[list[Act]]:
    """Draw what the other client does, one thing after the other."""
    tagging = (Contest.tag, Contest.attest)
    drawn: list[st.SearchStrategy[Act]] = [
        *(st.builds(partial, st.just(act), place=PLACES, number=NUMBERS) for act in tagging),
        st.builds(
            partial, st.just(Contest.move_an_old_tag), place=PLACES, number=st.integers(0, REQUESTS - 1)
        ),
        st.builds(
            partial,
            st.just(Contest.push_an_index),
            places=st.lists(PLACES, min_size=1, max_size=3),
            number=NUMBERS,
        ),
        *(
            st.builds(partial, st.just(act), place=PLACES)
            for act in (Contest.push_again_without_a_tag, Contest.lock, Contest.delete)
        ),
        st.builds(partial, st.just(Contest.let_go), number=NUMBERS),
    ]
    return st.lists(st.one_of(drawn), min_size=15, max_size=30)


@pytest.fixture
def new_world(world: World, servers: Servers, tmp_path: Path) -> Iterator[Callable[[], World]]:
    del world  # its environment is what counts
    servers.acr.latency = LATENCY
    yield lambda: World(servers=servers, folder=tmp_path)
    servers.acr.latency = 0.0


@pytest.mark.timeout(3600 if NIGHTLY else 400)
@CONTESTS
@given(drawn=acts())
def test_what_another_client_holds_stays_whole_while_threads_apply_a_plan(
    new_world: Callable[[], World], drawn: list[Act]
) -> None:
    contest = Contest(new_world())
    contest.begin()
    try:
        for act in drawn:
            act(contest)
        contest.finish()
    finally:
        contest.close()
