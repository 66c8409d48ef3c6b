"""Whichever request of a copy goes wrong, in whichever way, the tag is right soon and never wrong.

By default each request meets one kind of fault; ``--hypothesis-profile=nightly`` lets each meet all of them.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any, Final

import pytest
from hypothesis import settings

from emulators.demo.client import PlainClient, PulledWrong
from emulators.dockerhub import DockerHubEmulator
from emulators.registry.images import Artifact, build_image, build_index, build_referrer
from emulators.traffic import Faults
from shared.errors import StewardError
from tests.replication.desk import Desk

PLATFORMS: Final = ("linux/amd64", "linux/arm64", "linux/arm/v7")
KINDS: Final[dict[str, dict[str, Any]]] = {
    "cut": {"cut": True},
    "answer lost": {"unanswered": True},
    "401": {"status": 401},
    "429": {"status": 429, "headers": {"Retry-After": "0"}},
    "500": {"status": 500},
    "slow": {"delay": 0.2},
    "wrong bytes": {"corrupt": True},
}
HOSTS: Final[dict[str, Callable[[Desk], Faults]]] = {
    "source": lambda desk: desk.world.acr.faults,
    "storage": lambda desk: desk.world.acr.storage_faults,
    "target": lambda desk: desk.world.hub.faults,
    "api": lambda desk: desk.world.hub.api_faults,
    "sign-in": lambda desk: desk.world.hub.auth_faults,
}
NOT_WATCHING: Final = r"^(?!.*watching)"
NOT_SIGN_IN: Final = r"/(?!oauth2/|v2/auth/).*"
PATIENCE: Final = 30.0
EXHAUSTIVE: Final = settings.default is not None and settings.default.max_examples > 1000


class Watcher:
    """Looks at the replica and pulls it all the time; what no tag may ever show is in ``broken``.

    Each look is at the state, under its lock. Beside that a client asks for the tag, and what it has not
    pulled yet it pulls whole, as docker would.
    """

    def __init__(self, hub: DockerHubEmulator, repository: str, client: PlainClient) -> None:
        self._state = hub.state
        self._repository = repository
        self._client = client
        self._over = threading.Event()
        self.looks = 0
        self.pulled: dict[str, set[str]] = {}
        self.broken: set[str] = set()

    @contextmanager
    def watching(self) -> Iterator[None]:
        threads = [threading.Thread(target=each) for each in (self._watch, self._pull)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    def _watch(self) -> None:
        while not self._over.is_set():
            with self._state.lock:
                found = self._state.repository(self._repository)
                tags = {} if found is None else {tag.name: tag.digest for tag in found.tags.page()}
                for tag, digest in tags.items():
                    self._look(tag, digest)
            self.looks += 1
            time.sleep(0.002)

    def _look(self, tag: str, digest: str) -> None:
        home = self._state.repository(self._repository)
        manifest = None if home is None else home.manifests.get(digest)
        if home is None or manifest is None:
            self.broken.add(f"{tag} shows {digest}, which is not there")
            return
        for reference in manifest.references:
            if reference in home.manifests:
                self._look(tag, reference)
            elif reference not in home.blobs:
                self.broken.add(f"{tag} needs {reference}, which is not there")

    def _pull(self) -> None:
        while not self._over.is_set():
            digest = self._client.digest(self._repository, "v1")
            if digest is not None and digest not in self.pulled:
                try:
                    pulled = self._client.pull(self._repository, digest)
                    self.pulled[digest] = {each for each, _ in pulled}
                except PulledWrong as error:
                    self.broken.add(f"v1 cannot be pulled: {error}")
            time.sleep(0.01)

    def pulled_as(self, artifact: Artifact) -> set[str]:
        """Return what was pulled under the artifact's digest, once it has been."""
        deadline = time.monotonic() + PATIENCE
        while artifact.digest not in self.pulled and not self.broken and time.monotonic() < deadline:
            time.sleep(0.002)
        return self.pulled.get(artifact.digest, set())


@contextmanager
def watching(desk: Desk) -> Iterator[Watcher]:
    """Watch a Docker Hub that takes manifests without looking for what they need: the order is the app's."""
    hub = desk.world.hub
    hub._host.validate_references = False
    client = PlainClient(hub.registry, hub.username, hub.token, ca_file=desk.world.servers.ca.ca_file)
    client._session.params = {"watching": "1"}
    watcher = Watcher(hub, desk.world.replica, client)
    try:
        with watcher.watching():
            yield watcher
    finally:
        hub._host.validate_references = True
        client.close()


def three_platforms() -> Artifact:
    return build_index([build_image(platform=platform) for platform in PLATFORMS])


def challenged(desk: Desk, host: str, fault: dict[str, Any]) -> dict[str, Any]:
    """Give a 401 the challenge that the registry would send with it."""
    if fault.get("status") != 401:
        return fault
    realm = {
        "target": f"{desk.world.hub.auth_url}/token",
        "source": f"https://{desk.world.acr.login_server}/oauth2/token",
    }.get(host, "")
    return fault | {"headers": {"WWW-Authenticate": f'Bearer realm="{realm}",service="x"'}}


def deliver(desk: Desk) -> list[str]:
    """Take the tag's message, and as the queue would do, once more what failed in passing."""
    results: list[str] = []
    for message in desk.take(desk.services.replication_queue):
        for _ in range(2):
            try:
                results.append(desk.carry_out(message).result)
            except StewardError as error:
                assert error.temporary  # noqa: PT017 - it may succeed
                results.append("raised")
            else:
                break
    return results


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("kind", KINDS)
def test_whichever_request_fails_the_tag_is_right_after_at_most_one_redelivery(
    desk: Desk, host: str, kind: str
) -> None:
    if (host, kind) in {("storage", "401"), ("sign-in", "401")}:
        pytest.skip("a signature just made, or a secret, that is refused is refused again")
    desk.route()
    faults = HOSTS[host](desk)
    fault = challenged(desk, host, KINDS[kind]) | {"query": NOT_WATCHING}
    stride = 1 if EXHAUSTIVE else len(KINDS)
    with watching(desk) as watcher:
        for nth in count(1 + (0 if EXHAUSTIVE else list(KINDS).index(kind)), stride):
            index = three_platforms()
            desk.world.push(build_referrer(index))
            desk.restart()  # no token is known yet, and no pace slows down what follows
            desk.push(index, "v1")
            if host == "api":  # which is asked about a repository that is not there
                desk.world.hub.state.delete_repository(desk.world.replica)
            injected = faults.inject(nth=nth, path=NOT_SIGN_IN if kind == "401" else None, **fault)
            results = deliver(desk)
            faults.clear()
            if results[-1] == "deferred":
                results += deliver(desk)
            assert results[-1] in {"copied", "up_to_date"}, (nth, results)
            assert len(results) <= 2
            pulled = watcher.pulled_as(index)
            assert watcher.broken == set()
            assert pulled == {digest for node in index.walk() for digest in (node.digest, *node.blobs)}
            if not injected.fired:
                break
    assert watcher.looks > nth
