"""Registries that fail in the middle: after a retry or a redelivery all is right, and never half right."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest

from emulators.registry.images import Artifact, build_image
from emulators.stack import Stack
from emulators.traffic import Fault
from tests.e2e.world import (
    ROUTES,
    World,
    assert_whole,
    contents,
    days_ago,
    eventually,
    multi_platform,
    retention,
    unique,
    world,
)

pytestmark = pytest.mark.e2e


type Injection = Callable[["Push"], Fault]


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """One image on its way from a repository to its replica."""

    stack: Stack
    repository: str
    replica: str
    image: Artifact

    def manifests(self, **fault: Any) -> Fault:
        return self._source(f"/v2/{self.repository}/manifests/.*", **fault)

    def blobs(self, **fault: Any) -> Fault:
        """What answers with the address of a blob."""
        return self._source(f"/v2/{self.repository}/blobs/.*", **fault)

    def content(self, **fault: Any) -> Fault:
        """Where the address leads."""
        layer = max(self.image.children[0].blobs.items(), key=lambda item: len(item[1]))[0]
        storage = self.stack.acr.storage_faults
        return storage.inject(path=f"/content/{layer.replace(':', '-')}", **fault)

    def uploads(self, method: str, **fault: Any) -> Fault:
        return self._target(method, f"/v2/{self.replica}/blobs/uploads/.*", **fault)

    def target_blobs(self, **fault: Any) -> Fault:
        return self._target("HEAD", f"/v2/{self.replica}/blobs/sha256:.*", **fault)

    def target_manifests(self, **fault: Any) -> Fault:
        return self._target("PUT", f"/v2/{self.replica}/manifests/sha256:.*", **fault)

    def target_tag(self, **fault: Any) -> Fault:
        return self._target("PUT", f"/v2/{self.replica}/manifests/v1", **fault)

    def readback(self, **fault: Any) -> Fault:
        return self._target("HEAD", f"/v2/{self.replica}/manifests/v1", **fault)

    def hub_api(self, **fault: Any) -> Fault:
        path = f"/v2/namespaces/acme/repositories/{self.replica.rpartition('/')[2]}"
        return self.stack.dockerhub.api_faults.inject(path=path, **fault)

    def hub_tokens(self, **fault: Any) -> Fault:
        query = self.replica.replace("/", "(/|%2F)")
        return self.stack.dockerhub.auth_faults.inject(query=query, **fault)

    def refused_source_token(self) -> dict[str, Any]:
        login_server = self.stack.acr.login_server
        challenge = (
            f'Bearer realm="https://{login_server}/oauth2/token",service="{login_server}",'
            f'scope="repository:{self.repository}:pull",error="invalid_token"'
        )
        return {"status": 401, "headers": {"WWW-Authenticate": challenge}, "body": "{}"}

    def refused_target_token(self) -> dict[str, Any]:
        challenge = (
            f'Bearer realm="{self.stack.dockerhub.auth_url}/token",service="registry.docker.io",'
            f'scope="repository:{self.replica}:pull,push",error="invalid_token"'
        )
        return {"status": 401, "headers": {"WWW-Authenticate": challenge}, "body": "{}"}

    def _source(self, path: str, **fault: Any) -> Fault:
        return self.stack.acr.faults.inject(method="GET", path=path, **fault)

    def _target(self, method: str, path: str, **fault: Any) -> Fault:
        return self.stack.dockerhub.faults.inject(method=method, path=path, **fault)


THROTTLED: Final[dict[str, Any]] = {"status": 429, "headers": {"Retry-After": "1"}, "body": "{}"}
ABUSED: Final[dict[str, Any]] = {
    "status": 429,
    "headers": {"Retry-After": "1", "Content-Type": "text/plain"},
    "body": "Too Many Requests (HAP429).\n",
}
DOWN: Final[dict[str, Any]] = {"status": 503, "body": "{}"}

DEFERRED: Final = "target-tag-429-for-long"
CASES: Final[dict[str, Injection]] = {
    "source-manifest-401": lambda push: push.manifests(nth=2, **push.refused_source_token()),
    "source-manifest-429": lambda push: push.manifests(times=2, **THROTTLED),
    "source-manifest-503": lambda push: push.manifests(times=2, **DOWN),
    "source-manifest-cut": lambda push: push.manifests(cut=True),
    "source-manifest-truncated": lambda push: push.manifests(nth=2, cut_after=100),
    "source-manifest-corrupt": lambda push: push.manifests(nth=2, corrupt=True),
    "source-blob-401": lambda push: push.blobs(nth=2, **push.refused_source_token()),
    "source-blob-500": lambda push: push.blobs(times=2, status=500, body="{}"),
    "source-content-503": lambda push: push.content(times=2, **DOWN),
    "source-content-cut": lambda push: push.content(cut=True),
    "source-content-truncated": lambda push: push.content(cut_after=300),
    "source-content-corrupt": lambda push: push.content(corrupt=True),
    "target-upload-401": lambda push: push.uploads("POST", nth=2, **push.refused_target_token()),
    "target-upload-429": lambda push: push.uploads("POST", times=2, **ABUSED),
    "target-upload-503": lambda push: push.uploads("POST", times=2, **DOWN),
    "target-commit-401": lambda push: push.uploads("PUT", **push.refused_target_token()),
    "target-commit-500": lambda push: push.uploads("PUT", status=500, body="{}"),
    "target-commit-cut": lambda push: push.uploads("PUT", cut=True),
    "target-blob-503": lambda push: push.target_blobs(times=2, **DOWN),
    "target-manifest-401": lambda push: push.target_manifests(**push.refused_target_token()),
    "target-manifest-503": lambda push: push.target_manifests(times=2, **DOWN),
    "target-manifest-cut": lambda push: push.target_manifests(cut=True),
    "target-tag-401": lambda push: push.target_tag(**push.refused_target_token()),
    "target-tag-429": lambda push: push.target_tag(times=2, **ABUSED),
    "target-tag-down-for-long": lambda push: push.target_tag(times=6, **DOWN),
    "target-tag-cut": lambda push: push.target_tag(cut=True),
    DEFERRED: lambda push: push.target_tag(times=8, **ABUSED),
    "target-readback-503": lambda push: push.readback(nth=2, times=2, **DOWN),
    "target-api-429": lambda push: push.hub_api(**THROTTLED),
    "target-api-503": lambda push: push.hub_api(times=2, **DOWN),
    "target-tokens-503": lambda push: push.hub_tokens(times=2, **DOWN),
}


@pytest.fixture(scope="module")
def steward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(
        tmp_path_factory.mktemp("faults"),
        policy=ROUTES,
        settings={"CLEANUP_MODE": "apply"},
        acr_options={"access_token_lifetime": 5.0, "refresh_token_lifetime": 8.0},
    ) as started:
        yield started


@pytest.fixture(scope="module")
def pushes(steward: World) -> dict[str, tuple[Push, Fault]]:
    """Push one image for each fault, all at once."""
    found: dict[str, tuple[Push, Fault]] = {}
    for name, inject in CASES.items():
        repository = unique(name)
        push = Push(
            stack=steward.stack,
            repository=repository,
            replica=steward.replica(repository),
            image=multi_platform(layers=1),
        )
        found[name] = push, inject(push)
    for push, _ in found.values():
        steward.acr.push(push.repository, push.image, "v1")
    return found


@pytest.mark.parametrize("case", [case for case in CASES if case != DEFERRED])
def test_a_push_arrives_whole_in_spite_of(
    steward: World, pushes: dict[str, tuple[Push, Fault]], case: str
) -> None:
    push, fault = pushes[case]

    steward.await_replica(push.repository, "v1", push.image)

    assert fault.fired
    refused = steward.stack.dockerhub.traffic.count("PUT", f"/v2/{push.replica}/manifests/v1", status=400)
    assert refused == 0, "the tag was tried on an incomplete image"


def test_bytes_that_stay_corrupt_are_never_passed_on(steward: World) -> None:
    repository = unique("rotten")
    push = Push(
        stack=steward.stack,
        repository=repository,
        replica=steward.replica(repository),
        image=multi_platform(),
    )
    rot = push.content(times=None, corrupt=True)
    steward.acr.push(repository, push.image, "v1")

    (outcome,) = eventually(lambda: steward.outcomes(repository, "v1"), "the outcome")
    assert outcome["result"] == "failed"
    assert "source failed" in outcome["detail"]
    assert rot.fired
    assert steward.hub_digest(repository, "v1") is None
    replica = steward.stack.dockerhub.state.repository(push.replica)
    assert set(replica.blobs if replica else ()) <= contents(push.image)

    steward.stack.acr.storage_faults.clear()
    steward.acr.push(repository, push.image, "v1")
    steward.await_replica(repository, "v1", push.image)


def test_a_night_goes_through_a_storm(steward: World) -> None:
    repository = unique("stormy")
    keep, goes = multi_platform(), multi_platform()
    keep.push_to(steward.state, repository, tag="nightly", at=days_ago(60))
    goes.push_to(steward.state, repository, tag="pr-1", at=days_ago(60))
    orphans = [build_image() for _ in range(6)]
    for orphan in orphans:
        orphan.push_to(steward.state, repository, at=days_ago(20))
    steward.write_policy(retention(repository, routes=True))
    stack = steward.stack
    push = Push(stack=stack, repository=repository, replica="", image=keep)
    listed = f"/acr/v1/{repository}"
    faults = [
        stack.acr.faults.inject(path="/acr/v1/_catalog", times=2, **DOWN),
        stack.acr.faults.inject(path=f"{listed}/_tags", cut_after=50),
        stack.acr.faults.inject(path=f"{listed}/_manifests", **THROTTLED),
        stack.acr.faults.inject(path=f"{listed}/_manifests", **push.refused_source_token()),
        push.manifests(cut=True),
        stack.acr.faults.inject(path=f"{listed}/_manifests/sha256:.*", nth=3, cut=True),
        stack.acr.faults.inject(method="DELETE", path=f".*{repository}.*", **THROTTLED),
        stack.acr.faults.inject(method="DELETE", path=f".*{repository}.*", nth=3, cut=True),
        stack.acr.faults.inject(method="DELETE", path=f".*{repository}.*", nth=5, **DOWN),
        stack.acr.faults.inject(
            method="DELETE",
            path=f".*{repository}.*",
            nth=6,
            **push.refused_source_token(),
        ),
    ]

    summary = steward.night()

    assert all(fault.fired for fault in faults)
    report = steward.finished_report(summary["run"], repository)
    assert {outcome["result"] for outcome in report["outcomes"]} <= {"done", "already_gone"}
    content = steward.state.repository(repository)
    assert set(content.tags) == {"nightly"}
    assert set(content.manifests) == {node.digest for node in keep.walk()}
    assert_whole(steward.acr, repository, "nightly", keep)


def test_what_a_registry_refuses_to_delete_stays_with_all_that_it_holds(steward: World) -> None:
    repository = unique("stubborn")
    goes = multi_platform()
    goes.push_to(steward.state, repository, tag="pr-1", at=days_ago(60))
    steward.write_policy(retention(repository, routes=True))
    steward.stack.acr.faults.inject(
        method="DELETE", path=f"/v2/{repository}/manifests/{goes.digest}", times=None, status=500, body="{}"
    )

    report = steward.finished_report(steward.night()["run"], repository)

    outcomes = {outcome["target"]: outcome["result"] for outcome in report["outcomes"]}
    assert outcomes[goes.digest] == "failed"
    assert {outcomes[child.digest] for child in goes.children} == {"reachable"}
    assert_whole(steward.acr, repository, goes.digest, goes)


def test_a_push_that_is_throttled_for_longer_than_a_function_waits_comes_later(
    steward: World, pushes: dict[str, tuple[Push, Fault]]
) -> None:
    push, fault = pushes[DEFERRED]

    steward.await_replica(push.repository, "v1", push.image)

    outcomes = eventually(
        lambda: found if len(found := steward.outcomes(push.repository, "v1")) == 2 else None, "the outcomes"
    )
    assert [outcome["result"] for outcome in outcomes] == ["deferred", "copied"]
    assert fault.fired == 8
