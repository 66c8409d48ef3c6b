"""A referrer that is deleted leaves the list that a tag holds, and takes nobody else's entry along."""

import json
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from emulators.dockerhub import DockerHubEmulator
from emulators.registry.images import Artifact, build_image, build_referrer
from shared.errors import OperationDisallowed
from shared.oci import media_types
from shared.oci.graph import Edges
from shared.oci.manifest import digest_of
from shared.oci.names import DOCKER_HUB, Digest, RepositoryName, TagName, parse_repository
from shared.registry.client import RegistryClient
from shared.registry.dockerhub import DockerHubClient
from shared.registry.hub_replica import HubReplica
from shared.registry.referrers import fallback_tag
from shared.registry.repository import RepositoryClient
from tests.registry.scripted import Answer, Asked, Script, ScriptedServer
from tests.registry.test_repository import push


class Memory:
    """Knows by heart what manifests point at."""

    def __init__(self, **edges: Digest) -> None:
        self.edges = {Digest(digest): Edges((), subject) for digest, subject in edges.items()}

    def load(self, registry: str, repository: RepositoryName) -> dict[Digest, Edges]:
        assert registry == DOCKER_HUB
        del repository
        return self.edges

    def save(self, *_: object) -> None:
        raise AssertionError("nothing was read")


def signed(repository: RepositoryClient, count: int) -> tuple[Artifact, list[Artifact]]:
    """Push an image and so many signatures of it."""
    image = build_image()
    push(image, repository, tag="v1")
    signatures = [build_referrer(image, annotations={"n": str(number)}) for number in range(count)]
    for signature in signatures:
        push(signature, repository)
    return image, signatures


def listed(repository: RepositoryClient, image: Artifact) -> dict[str, Any] | None:
    """Return the index under the fallback tag."""
    if repository.resolve(fallback_tag(Digest(image.digest))) is None:
        return None
    found: dict[str, Any] = json.loads(repository.fetch_manifest(fallback_tag(Digest(image.digest))).content)
    return found


def test_on_a_registry_without_the_api_a_deleted_referrer_is_taken_out_and_the_last_one_takes_the_tag(
    docker_client: RegistryClient,
) -> None:
    repository = docker_client.repository(parse_repository("taken/out"))
    image, (first, second) = signed(repository, 2)
    assert repository.delete_manifest(Digest(first.digest)) is True
    assert [each.digest for each in repository.referrers(Digest(image.digest))] == [second.digest]
    assert repository.delete_manifest(Digest(second.digest)) is True
    assert listed(repository, image) is None
    assert set(repository.list_tags()) == {"v1"}
    assert repository.resolve(TagName("v1")) is not None


def test_what_others_wrote_into_the_list_stays_to_the_last_key(docker_client: RegistryClient) -> None:
    repository = docker_client.repository(parse_repository("others/entries"))
    image, (ours, theirs) = signed(repository, 2)
    entry = theirs.descriptor() | {
        "annotations": {"who": "cosign"},
        "platform": {"os": "x", "architecture": "y"},
    }
    index = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_INDEX,
        "manifests": [ours.descriptor(), entry],
        "annotations": {"of": "the list"},
    }
    content = json.dumps(index).encode()
    repository.push_manifest(content, media_types.OCI_INDEX, tag=fallback_tag(Digest(image.digest)))
    repository.delete_manifest(Digest(ours.digest))
    assert listed(repository, image) == index | {"manifests": [entry]}
    push(build_referrer(image), repository)
    found = listed(repository, image)
    assert found is not None
    assert (found["manifests"][0], found["annotations"]) == (entry, {"of": "the list"})


def test_referrers_that_are_deleted_at_once_all_leave_the_list(docker_client: RegistryClient) -> None:
    repository = docker_client.repository(parse_repository("all/at-once"))
    image, signatures = signed(repository, 6)
    with ThreadPoolExecutor(5) as pool:
        list(pool.map(lambda each: repository.delete_manifest(Digest(each.digest)), signatures[:5]))
    assert [each.digest for each in repository.referrers(Digest(image.digest))] == [signatures[5].digest]


def test_deleting_what_points_at_nothing_changes_no_list(docker_client: RegistryClient) -> None:
    repository = docker_client.repository(parse_repository("no/subject"))
    image, _ = signed(repository, 1)
    before = listed(repository, image)
    other = build_image()
    push(other, repository)
    repository.delete_manifest(Digest(other.digest))
    assert listed(repository, image) == before
    repository.delete_manifest(Digest(image.digest))
    assert listed(repository, image) == before, "who points at what is gone is for others to decide"


def test_a_list_that_names_what_is_gone_is_written_without_that(docker_client: RegistryClient) -> None:
    repository = docker_client.repository(parse_repository("named/gone"))
    image, (first, second, third) = signed(repository, 3)
    repository.delete_manifest(Digest(first.digest), pointing=Edges())
    before = listed(repository, image)
    assert before is not None
    assert len(before["manifests"]) == 3
    repository.delete_manifest(Digest(second.digest))
    assert [each.digest for each in repository.referrers(Digest(image.digest))] == [third.digest]
    repository.delete_manifest(Digest(third.digest), pointing=Edges())
    fourth = build_referrer(image)
    push(fourth, repository)
    assert [each.digest for each in repository.referrers(Digest(image.digest))] == [fourth.digest]


def test_a_list_that_cannot_be_changed_is_logged_and_stops_no_delete(
    scripted: Callable[[Script], ScriptedServer],
    scripted_client: Callable[..., RegistryClient],
    caplog: pytest.LogCaptureFixture,
) -> None:
    subject, signature = build_image(), build_image()
    index = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": [signature.descriptor()]}
    content = json.dumps(index).encode()
    headers = {"Content-Type": media_types.OCI_INDEX, "Docker-Content-Digest": digest_of(content)}

    def script(asked: Asked) -> Answer:
        if asked.method in {"HEAD", "GET"}:
            return Answer(body=content, headers=headers)
        return Answer(
            status={"PUT": 403, "DELETE": 202 if signature.digest in asked.path else 403}[asked.method]
        )

    server = scripted(script)
    repository = scripted_client(server).repository(RepositoryName("a"))
    with caplog.at_level(logging.WARNING, "steward.repository"):
        pointing = Edges((), Digest(subject.digest))
        assert repository.delete_manifest(Digest(signature.digest), pointing=pointing) is True
    assert [record.getMessage() for record in caplog.records] == ["a deleted referrer stays listed"]


def test_a_referrer_that_may_not_be_deleted_is_listed_again(
    start_hub: Callable[..., DockerHubEmulator], hub_registry: Callable[..., RegistryClient]
) -> None:
    hub = start_hub(referrers="none")
    repository = hub_registry(hub).repository(parse_repository("acme/app"))
    image, signatures = signed(repository, 2)
    before = listed(repository, image)
    held = signatures[0]
    hub.faults.inject(method="DELETE", path=f"/v2/.*/manifests/{held.digest}", status=405, times=1)
    with pytest.raises(OperationDisallowed):
        repository.delete_manifest(Digest(held.digest))
    after = listed(repository, image)
    assert before is not None
    assert after is not None
    assert sorted(map(str, after["manifests"])) == sorted(map(str, before["manifests"]))


def test_docker_hub_loses_the_empty_list_and_its_tag_and_no_body_is_pulled_to_find_out(
    start_hub: Callable[..., DockerHubEmulator],
    hub_registry: Callable[..., RegistryClient],
    hub_api: Callable[..., DockerHubClient],
) -> None:
    hub = start_hub(referrers="none")
    client, name = hub_registry(hub), parse_repository("acme/app")
    repository = client.repository(name)
    image, (first, second) = signed(repository, 2)
    memory = Memory(**{each.digest: Digest(image.digest) for each in (first, second)})
    replica = HubReplica(hub_api(hub), client, source_times=lambda *_: None, memory=memory)
    hub.traffic.clear()
    home = hub.state.repository(name)
    assert home is not None
    tagged = {each.digest for each in home.tags.page()}
    for old in [each.digest for each in home.manifests.page() if each.media_type == media_types.OCI_INDEX]:
        if old not in tagged:
            replica.delete_manifest(name, Digest(old))
    assert replica.delete_manifest(name, Digest(first.digest)) is True
    tag = fallback_tag(Digest(image.digest))
    assert hub.traffic.count("GET", "/v2/.*/manifests/.*") == hub.traffic.count("GET", f".*/{tag}")
    assert [each.digest for each in repository.referrers(Digest(image.digest))] == [second.digest]
    assert replica.delete_manifest(name, Digest(second.digest)) is True
    assert set(repository.list_tags()) == {"v1"}
    hub.traffic.clear()
    assert replica.delete_manifest(name, Digest(build_image().digest)) is False
    assert hub.traffic.count("GET", "/v2/.*/manifests/.*") == 0
