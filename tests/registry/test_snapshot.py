import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from emulators.acr import AcrEmulator
from emulators.registry.images import Artifact, build_image, build_index, build_referrer
from shared.errors import AuthenticationFailed, NotFound, RateLimited, RegistryUnavailable
from shared.oci import media_types
from shared.oci.graph import Edges
from shared.oci.names import Digest, RepositoryName, TagName, parse_repository, parse_tag
from shared.registry.acr import AcrClient
from shared.registry.acr_attributes import ManifestAttributes
from shared.registry.credentials import BasicCredential
from shared.registry.transport import TransportOptions
from shared.retention.snapshot import RepositorySnapshot

APP = parse_repository("team/app")
V1, V2 = parse_tag("v1"), parse_tag("v2")
NOTHING = Edges((), None)

type Clients = Callable[..., AcrClient]


def digests_of(snapshot: RepositorySnapshot) -> set[str]:
    return {record.digest for record in snapshot.manifests}


def tags_of(snapshot: RepositorySnapshot) -> dict[str, str]:
    return {tag.name: tag.digest for tag in snapshot.tags}


def test_a_snapshot_has_tags_manifests_and_what_points_at_what(acr: AcrEmulator, acr_client: Clients) -> None:
    image, docker = build_image(), build_image(docker=True, platform="linux/arm64")
    index = build_index([image, docker])
    outer = build_index([index])
    signature = build_referrer(outer)
    outer.push_to(acr.state, APP, tag=V1)
    signature.push_to(acr.state, APP)
    before = datetime.now(UTC)
    snapshot = acr_client(acr).snapshot(APP)
    assert (snapshot.registry, snapshot.repository) == (acr.login_server, APP)
    assert before <= snapshot.taken_at <= datetime.now(UTC)
    assert tags_of(snapshot) == {V1: outer.digest}
    assert digests_of(snapshot) == {each.digest for each in (image, docker, index, outer, signature)}
    assert snapshot.edges == {
        outer.digest: Edges((Digest(index.digest),), None),
        index.digest: Edges((Digest(image.digest), Digest(docker.digest)), None),
        signature.digest: Edges((), Digest(outer.digest)),
        image.digest: NOTHING,
    }
    assert (snapshot.unreadable, snapshot.locked, snapshot.warnings) == ({}, False, ())


def test_bodies_of_docker_images_and_known_ones_are_not_read(acr: AcrEmulator, acr_client: Clients) -> None:
    docker, known, unknown = build_image(docker=True), build_image(), build_image()
    for image in (docker, known, unknown):
        image.push_to(acr.state, APP)
    stale = {Digest("sha256:" + "f" * 64): NOTHING}
    snapshot = acr_client(acr).snapshot(APP, edges_known={Digest(known.digest): NOTHING, **stale})
    assert acr.traffic.count("GET", r"/v2/.*/manifests/.*") == 1
    assert acr.traffic.count("GET", rf"/v2/.*/manifests/{unknown.digest}") == 1
    assert set(snapshot.edges) == {known.digest, unknown.digest}


def test_pages_are_followed_and_times_kept(
    start_acr: Callable[..., AcrEmulator], acr_client: Clients
) -> None:
    acr = start_acr(page_cap=7)
    pushed = datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)
    for number in range(30):
        build_image(docker=True).push_to(acr.state, APP, tag=f"v{number}", at=pushed + timedelta(days=number))
    snapshot = acr_client(acr).snapshot(APP)
    assert len(snapshot.manifests) == len(snapshot.tags) == 30
    assert {tag.updated for tag in snapshot.tags} == {pushed + timedelta(days=n) for n in range(30)}
    assert acr.traffic.count("GET", "/acr/v1/team/app/_tags") == 5


def test_locks_are_seen_on_tags_manifests_and_the_repository(acr: AcrEmulator, acr_client: Clients) -> None:
    digest = Digest(build_image().push_to(acr.state, APP, tag=V1))
    client = acr_client(acr)
    client.lock(APP, V1)
    client.lock(APP, digest)
    client.set_lock(APP, delete_enabled=False)
    snapshot = client.snapshot(APP)
    assert snapshot.tags[0].locked
    assert snapshot.manifests[0].locked
    assert snapshot.locked


def test_a_repository_that_is_not_there_has_no_snapshot(acr: AcrEmulator, acr_client: Clients) -> None:
    with pytest.raises(NotFound):
        acr_client(acr).snapshot(APP)


def push_unreadable(acr: AcrEmulator) -> Digest:
    document = {"schemaVersion": 2, "mediaType": "application/vnd.unheard.of+json", "config": None}
    body = json.dumps(document).encode()
    artifact = Artifact(content=body, media_type="application/vnd.unheard.of+json")
    return Digest(artifact.push_to(acr.state, APP))


def test_a_body_that_cannot_be_understood_is_reported_and_not_taken_as_harmless(
    acr: AcrEmulator, acr_client: Clients
) -> None:
    strange = push_unreadable(acr)
    snapshot = acr_client(acr).snapshot(APP)
    assert list(snapshot.unreadable) == [strange]
    assert "unheard.of" in snapshot.unreadable[strange]
    assert strange not in snapshot.edges
    assert strange in digests_of(snapshot)


@pytest.mark.parametrize("status", [403, 404, 405])
def test_a_body_that_is_refused_is_reported(acr: AcrEmulator, acr_client: Clients, status: int) -> None:
    digest = build_image().push_to(acr.state, APP, tag=V1)
    acr.faults.inject(method="GET", path=r"/v2/.*/manifests/.*", status=status, times=None)
    snapshot = acr_client(acr).snapshot(APP)
    assert list(snapshot.unreadable) == [digest]
    assert digests_of(snapshot) == {digest}


def test_wrong_bytes_are_reported(acr: AcrEmulator, acr_client: Clients) -> None:
    digest = build_image().push_to(acr.state, APP, tag=V1)
    acr.faults.inject(method="GET", path=r"/v2/.*/manifests/.*", corrupt=True, times=None)
    snapshot = acr_client(acr).snapshot(APP)
    assert "the bytes served as" in snapshot.unreadable[Digest(digest)]


@pytest.mark.parametrize("path", [r"/acr/v1/.*/_tags", r"/acr/v1/.*/_manifests", r"/v2/.*"])
def test_a_registry_that_does_not_answer_makes_no_snapshot(
    acr: AcrEmulator, acr_client: Clients, path: str
) -> None:
    build_image().push_to(acr.state, APP, tag=V1)
    acr.faults.inject(path=path, status=503, times=None)
    with pytest.raises(RegistryUnavailable):
        acr_client(acr).snapshot(APP)


def test_what_was_read_before_a_snapshot_failed_is_not_lost(
    acr: AcrEmulator, acr_client: Clients, options: TransportOptions
) -> None:
    digests = [Digest(build_image().push_to(acr.state, APP)) for _ in range(6)]
    late = max(digests)
    acr.faults.inject(path=f".*/manifests/{late}", status=429, headers={"Retry-After": "300"}, delay=0.2)
    read: dict[Digest, Edges] = {}
    with pytest.raises(RateLimited):
        acr_client(acr, options=replace(options, threads=2)).snapshot(APP, edges_read=read)
    assert read == dict.fromkeys(sorted(digests)[:-1], NOTHING)
    acr.traffic.clear()
    acr_client(acr).snapshot(APP, edges_known=read, edges_read=read)
    assert acr.traffic.count("GET", f"/v2/{APP}/manifests/.*") == 1
    assert read == dict.fromkeys(digests, NOTHING)


def test_a_credential_that_may_not_read_bodies_makes_no_snapshot(
    acr: AcrEmulator, acr_client: Clients
) -> None:
    build_image().push_to(acr.state, APP, tag=V1)
    acr.add_token("lister", "secret", {APP: ["metadata/read"]})
    with pytest.raises(AuthenticationFailed, match="granted: repository:team/app:metadata_read"):
        acr_client(acr, BasicCredential(username="lister", secret="secret")).snapshot(APP)


class RacedClient(AcrClient):
    """An ACR in which something happens while it is listed."""

    after_manifests: Callable[[], object] = staticmethod(lambda: None)

    def list_manifest_records(
        self, name: RepositoryName, *, newest_first: bool = False
    ) -> Iterator[ManifestAttributes]:
        yield from list(super().list_manifest_records(name, newest_first=newest_first))
        self.after_manifests()


@pytest.fixture
def raced(acr: AcrEmulator, acr_client: Clients, monkeypatch: pytest.MonkeyPatch) -> RacedClient:
    client = acr_client(acr)
    monkeypatch.setattr(client, "__class__", RacedClient)
    assert isinstance(client, RacedClient)
    return client


def test_a_push_between_the_lists_never_leaves_its_manifest_without_a_tag(
    acr: AcrEmulator, raced: RacedClient
) -> None:
    old = build_image().push_to(acr.state, APP, tag=V1)
    new = build_index([build_image(), build_image(platform="linux/arm64")])
    raced.after_manifests = lambda: new.push_to(acr.state, APP, tag=V2)
    snapshot = raced.snapshot(APP)
    assert tags_of(snapshot) == {V1: old, V2: new.digest}
    assert new.digest in digests_of(snapshot)
    assert len(snapshot.edges[Digest(new.digest)].children) == 2


def test_a_tag_that_moves_between_the_lists_holds_its_new_manifest(
    acr: AcrEmulator, raced: RacedClient
) -> None:
    old, other = build_image(), build_image()
    old.push_to(acr.state, APP, tag=V1)
    other.push_to(acr.state, APP)
    raced.after_manifests = lambda: other.push_to(acr.state, APP, tag=V1)
    assert tags_of(raced.snapshot(APP)) == {V1: other.digest}


def test_a_tag_that_goes_between_the_lists_is_gone(acr: AcrEmulator, raced: RacedClient) -> None:
    digest = build_image().push_to(acr.state, APP, tag=V1)
    raced.after_manifests = lambda: raced.untag(APP, V1)
    snapshot = raced.snapshot(APP)
    assert tags_of(snapshot) == {}
    assert digests_of(snapshot) == {digest}


def test_a_tag_that_only_the_list_of_manifests_knows_is_asked_for(
    acr: AcrEmulator, raced: RacedClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = build_image().push_to(acr.state, APP, tag=V1)
    monkeypatch.setattr(RacedClient, "list_tag_records", lambda _self, _name: iter(()))
    assert tags_of(raced.snapshot(APP)) == {V1: digest}


def test_a_manifest_deleted_while_we_read_is_left_out_with_a_warning(
    acr: AcrEmulator, raced: RacedClient
) -> None:
    kept = build_image(docker=True).push_to(acr.state, APP, tag=V1)
    gone = Digest(build_image().push_to(acr.state, APP))
    body = f"/v2/{APP}/manifests/{gone}"
    acr.faults.inject(method="GET", path=body, status=404)
    acr.faults.inject(method="GET", path=f"/acr/v1/{APP}/_manifests/{gone}", status=404)
    snapshot = raced.snapshot(APP)
    assert digests_of(snapshot) == {kept}
    assert snapshot.unreadable == {}
    assert snapshot.warnings == (f"{gone} was deleted while the repository was read",)


def test_a_tagged_manifest_that_seems_gone_is_kept_as_unreadable(
    acr: AcrEmulator, raced: RacedClient
) -> None:
    digest = Digest(build_image().push_to(acr.state, APP, tag=V1))
    acr.faults.inject(method="GET", path=r"/v2/.*/manifests/.*", status=404)
    acr.faults.inject(method="GET", path=f"/acr/v1/{APP}/_manifests/{digest}", status=404)
    snapshot = raced.snapshot(APP)
    assert digests_of(snapshot) == {digest}
    assert list(snapshot.unreadable) == [digest]


def test_a_tag_whose_manifest_the_registry_does_not_list_is_kept_with_a_warning(
    acr: AcrEmulator, raced: RacedClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = build_image().push_to(acr.state, APP, tag=V1)
    monkeypatch.setattr(RacedClient, "list_manifest_records", lambda _self, _name: iter(()))
    acr.faults.inject(method="GET", path=f"/acr/v1/{APP}/_manifests/{digest}", status=404)
    snapshot = raced.snapshot(APP)
    assert tags_of(snapshot) == {V1: digest}
    assert snapshot.manifests == ()
    assert snapshot.warnings == (f"tag v1 points at {digest}, which the registry does not list",)


def test_docker_indexes_are_read_as_well(acr: AcrEmulator, acr_client: Clients) -> None:
    child = build_image(docker=True)
    index = build_index([child], docker=True)
    index.push_to(acr.state, APP, tag=TagName("v1"))
    snapshot = acr_client(acr).snapshot(APP)
    assert snapshot.edges == {index.digest: Edges((Digest(child.digest),), None)}
    assert {record.media_type for record in snapshot.manifests} == {
        media_types.DOCKER_INDEX,
        media_types.DOCKER_MANIFEST,
    }


def test_the_newest_manifests_can_be_listed_first(
    start_acr: Callable[..., AcrEmulator], acr_client: Clients
) -> None:
    acr = start_acr(page_cap=2)
    pushed = datetime(2024, 5, 6, tzinfo=UTC)
    made = [
        build_image(docker=True).push_to(acr.state, APP, tag=f"v{day}", at=pushed + timedelta(days=day))
        for day in range(5)
    ]
    listed = acr_client(acr).list_manifest_records(APP, newest_first=True)
    assert [manifest.record.digest for manifest in listed] == made[::-1]
