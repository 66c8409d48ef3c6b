import hashlib
import json
from collections.abc import Callable

import pytest

from emulators.acr import AcrEmulator
from emulators.dockerhub import DockerHubEmulator
from emulators.registry.images import Artifact, build_image, build_index, build_referrer
from shared.errors import (
    ContentRejected,
    DigestMismatch,
    ManifestBlobUnknown,
    NotFound,
    ProtocolViolation,
    RateLimited,
    RegistryUnavailable,
)
from shared.oci import media_types
from shared.oci.manifest import MAX_MANIFEST_BYTES, Descriptor, ImageIndex, digest_of, parse_manifest
from shared.oci.names import Digest, parse_repository, parse_tag
from shared.registry.acr import AcrClient
from shared.registry.client import RegistryClient
from shared.registry.referrers import fallback_tag
from shared.registry.repository import RepositoryClient
from tests.registry.scripted import Answer, Asked, Script, ScriptedServer, in_turn

V1 = parse_tag("v1")

type Scripted = Callable[[Script], ScriptedServer]
type ScriptedClient = Callable[..., RegistryClient]


def described(artifact: Artifact) -> Descriptor:
    return Descriptor(
        media_type=artifact.media_type, digest=Digest(artifact.digest), size=len(artifact.content)
    )


def push(artifact: Artifact, repository: RepositoryClient, *, tag: str | None = None) -> None:
    for node in artifact.walk():
        for digest, content in node.blobs.items():
            blob = Descriptor(media_type="x/y", digest=Digest(digest), size=len(content))
            repository.push_blob(blob, content)
        own = parse_tag(tag) if tag and node is artifact else None
        repository.push_manifest(node.content, node.media_type, tag=own)


def test_what_is_pushed_to_a_real_registry_is_found_again(docker_client: RegistryClient) -> None:
    repository = docker_client.repository(parse_repository("found/again"))
    index = build_index([build_image(), build_image(platform="linux/arm64")])
    assert repository.resolve(V1) is None
    push(index, repository, tag="v1")
    assert repository.resolve(V1) == described(index)
    assert repository.resolve(Digest(index.digest)) == described(index)
    fetched = repository.fetch_manifest(V1)
    assert (fetched.descriptor, fetched.content) == (described(index), index.content)
    assert list(repository.list_tags()) == [V1]
    assert parse_repository("found/again") in list(docker_client.list_repositories())
    for digest, content in index.children[0].blobs.items():
        blob = Descriptor(media_type="x/y", digest=Digest(digest), size=len(content))
        assert repository.blob_exists(blob)
        with repository.open_blob(blob) as pieces:
            assert b"".join(pieces) == content
    assert repository.delete_manifest(Digest(index.digest)) is True
    assert repository.delete_manifest(Digest(index.digest)) is False
    assert repository.resolve(V1) is None


def test_a_blob_is_mounted_from_another_repository(docker_client: RegistryClient) -> None:
    image = build_image()
    base = docker_client.repository(parse_repository("mount/base"))
    push(image, base)
    other = docker_client.repository(parse_repository("mount/other"))
    for digest, content in image.blobs.items():
        blob = Descriptor(media_type="x/y", digest=Digest(digest), size=len(content))
        assert other.mount_blob(blob, base.name) is True
        assert other.blob_exists(blob)


def test_a_mount_that_fails_leaves_a_session_that_the_upload_goes_on_with(
    hub: DockerHubEmulator, hub_registry: Callable[..., RegistryClient]
) -> None:
    repository = hub_registry(hub).repository(parse_repository("acme/app"))
    content = b"layer"
    blob = Descriptor(media_type="x/y", digest=digest_of(content), size=len(content))
    assert repository.mount_blob(blob, parse_repository("acme/other")) is False
    repository.push_blob(blob, content)
    assert repository.blob_exists(blob)
    assert hub.traffic.count("POST", r"/v2/.*/blobs/uploads/", status=202) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405])
def test_a_mount_that_is_refused_is_no_error(
    scripted: Scripted, scripted_client: ScriptedClient, status: int
) -> None:
    repository = scripted_client(scripted(in_turn(Answer(status=status)))).repository(parse_repository("a"))
    blob = Descriptor(media_type="x/y", digest=digest_of(b"x"), size=1)
    assert repository.mount_blob(blob, parse_repository("acr/with/three")) is False


def test_a_manifest_whose_blobs_are_missing_is_told_apart(docker_client: RegistryClient) -> None:
    repository = docker_client.repository(parse_repository("missing/blobs"))
    image = build_image()
    with pytest.raises(ManifestBlobUnknown):
        repository.push_manifest(image.content, image.media_type, tag=V1)


def test_an_unknown_manifest_is_not_found(docker_client: RegistryClient) -> None:
    repository = docker_client.repository(parse_repository("not/there"))
    with pytest.raises(NotFound):
        repository.fetch_manifest(V1)
    assert list(repository.list_tags()) == []


def serving(content: bytes, **headers: str) -> Script:
    return lambda _: Answer(body=content, headers={"Content-Type": media_types.OCI_MANIFEST, **headers})


@pytest.mark.parametrize("by", ["tag", "digest"])
def test_bytes_that_are_not_their_digest_are_refused(
    scripted: Scripted, scripted_client: ScriptedClient, by: str
) -> None:
    image = build_image()
    stated = {} if by == "digest" else {"Docker-Content-Digest": image.digest}
    server = scripted(serving(image.content + b" ", **stated))
    repository = scripted_client(server).repository(parse_repository("a"))
    with pytest.raises(DigestMismatch, match="the bytes served as"):
        repository.fetch_manifest(V1 if by == "tag" else Digest(image.digest))


def test_a_sha512_digest_is_verified_as_such(scripted: Scripted, scripted_client: ScriptedClient) -> None:
    image = build_image()
    digest = Digest(f"sha512:{hashlib.sha512(image.content).hexdigest()}")
    repository = scripted_client(scripted(serving(image.content))).repository(parse_repository("a"))
    assert repository.fetch_manifest(digest).descriptor.digest == digest


def test_a_manifest_beyond_the_limit_is_refused(scripted: Scripted, scripted_client: ScriptedClient) -> None:
    server = scripted(serving(b" " * (MAX_MANIFEST_BYTES + 1)))
    with pytest.raises(ProtocolViolation, match="the most that is read"):
        scripted_client(server).repository(parse_repository("a")).fetch_manifest(V1)


def test_a_head_that_says_too_little_is_followed_by_a_get(
    scripted: Scripted, scripted_client: ScriptedClient
) -> None:
    image = build_image()
    server = scripted(serving(image.content))
    found = scripted_client(server).repository(parse_repository("a")).resolve(V1)
    assert found == described(image)
    assert [asked.method for asked in server.asked] == ["HEAD", "GET"]


def test_a_head_by_digest_that_names_another_one_is_refused(
    scripted: Scripted, scripted_client: ScriptedClient
) -> None:
    image, other = build_image(), build_image()
    server = scripted(serving(image.content, **{"Docker-Content-Digest": image.digest}))
    with pytest.raises(DigestMismatch, match="asked for"):
        scripted_client(server).repository(parse_repository("a")).resolve(Digest(other.digest))


def test_a_digest_header_that_is_no_digest_is_refused(
    scripted: Scripted, scripted_client: ScriptedClient
) -> None:
    server = scripted(serving(b"{}", **{"Docker-Content-Digest": "sha256:x"}))
    with pytest.raises(ProtocolViolation, match="Docker-Content-Digest"):
        scripted_client(server).repository(parse_repository("a")).resolve(V1)


def test_a_push_stored_as_something_else_is_told(scripted: Scripted, scripted_client: ScriptedClient) -> None:
    other = digest_of(b"other")
    server = scripted(in_turn(Answer(status=201, headers={"Docker-Content-Digest": other})))
    with pytest.raises(DigestMismatch, match="stored as"):
        scripted_client(server).repository(parse_repository("a")).push_manifest(b"{}", "x/y", tag=V1)


def test_every_kind_of_manifest_is_accepted_by_name(
    scripted: Scripted, scripted_client: ScriptedClient
) -> None:
    server = scripted(in_turn(Answer(status=404)))
    scripted_client(server).repository(parse_repository("a")).resolve(V1)
    accepted = server.asked[0].headers["Accept"].split(", ")
    assert set(accepted) == media_types.MANIFESTS


@pytest.mark.parametrize("status", [403, 404])
def test_a_blob_that_may_not_be_looked_at_counts_as_missing(
    scripted: Scripted, scripted_client: ScriptedClient, status: int
) -> None:
    blob = Descriptor(media_type="x/y", digest=digest_of(b"x"), size=1)
    repository = scripted_client(scripted(in_turn(Answer(status=status)))).repository(parse_repository("a"))
    assert repository.blob_exists(blob) is False


def test_a_null_list_is_empty_and_a_bad_name_is_named(
    scripted: Scripted, scripted_client: ScriptedClient
) -> None:
    server = scripted(in_turn(Answer(body=b'{"tags": null}'), Answer(body=b'{"tags": ["../x"]}')))
    repository = scripted_client(server).repository(parse_repository("a"))
    assert list(repository.list_tags()) == []
    with pytest.raises(ProtocolViolation, match=r"in the list of tags: '\.\./x' is not a tag"):
        list(repository.list_tags())


def test_the_fallback_tag_is_cut_to_what_a_tag_may_be() -> None:
    assert fallback_tag(Digest("sha256:" + "a" * 64)) == "sha256-" + "a" * 64
    assert fallback_tag(Digest("sha512:" + "b" * 128)) == "sha512-" + "b" * 64


@pytest.mark.parametrize("mode", ["none", "half", "full"])
def test_a_referrer_is_listed_whatever_the_registry_offers(
    start_hub: Callable[..., DockerHubEmulator], hub_registry: Callable[..., RegistryClient], mode: str
) -> None:
    hub = start_hub(referrers=mode)
    repository = hub_registry(hub).repository(parse_repository("acme/app"))
    image = build_image()
    push(image, repository, tag="v1")
    assert repository.referrers(Digest(image.digest)) == ()
    signatures = [
        build_referrer(image, artifact_type=f"application/vnd.test.{n}", annotations={"n": str(n), "k": "v"})
        for n in range(3)
    ]
    for signature in signatures:
        push(signature, repository)
        push(signature, repository)
    listed = {each.digest: each for each in repository.referrers(Digest(image.digest))}
    assert len(listed) == 3
    for number, signature in enumerate(signatures):
        found = listed[Digest(signature.digest)]
        assert found.artifact_type == f"application/vnd.test.{number}"
        assert found.annotations == {"n": str(number), "k": "v"}
    tags = {str(tag) for tag in repository.list_tags()}
    assert (fallback_tag(Digest(image.digest)) in tags) is (mode != "full")


def test_a_real_registry_without_the_api_gets_the_fallback_tag(docker_client: RegistryClient) -> None:
    repository = docker_client.repository(parse_repository("fall/back"))
    image = build_image()
    push(image, repository, tag="v1")
    signature = build_referrer(image)
    push(signature, repository)
    assert [each.digest for each in repository.referrers(Digest(image.digest))] == [signature.digest]
    fetched = repository.fetch_manifest(fallback_tag(Digest(image.digest)))
    assert isinstance(parse_manifest(fetched.content), ImageIndex)


def test_annotations_of_others_survive_in_the_fallback_tag(docker_client: RegistryClient) -> None:
    repository = docker_client.repository(parse_repository("kept/annotations"))
    image, foreign = build_image(), build_referrer(build_image())
    push(image, repository)
    push(foreign, repository)
    entry = foreign.descriptor() | {"annotations": {"who": "cosign"}, "artifactType": "a/b"}
    index = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": [entry]}
    repository.push_manifest(
        json.dumps(index).encode(), media_types.OCI_INDEX, tag=fallback_tag(Digest(image.digest))
    )
    push(build_referrer(image), repository)
    first, second = repository.referrers(Digest(image.digest))
    assert (first.annotations, first.artifact_type) == ({"who": "cosign"}, "a/b")
    assert second.artifact_type == "application/vnd.cncf.notary.signature"


def test_a_fallback_tag_that_holds_something_else_is_not_overwritten(
    docker_client: RegistryClient,
) -> None:
    repository = docker_client.repository(parse_repository("taken/tag"))
    image = build_image()
    tag = fallback_tag(Digest(image.digest))
    push(image, repository, tag=tag)
    signature = build_referrer(image)
    with pytest.raises(ContentRejected, match="are not an index"):
        push(signature, repository)
    found = repository.resolve(tag)
    assert found is not None
    assert found.digest == image.digest


def test_referrers_are_followed_over_pages(
    start_acr: Callable[..., AcrEmulator], acr_client: Callable[..., AcrClient]
) -> None:
    acr = start_acr(page_cap=2)
    image = build_image()
    image.push_to(acr.state, "team/app", tag="v1")
    signatures = {build_referrer(image).push_to(acr.state, "team/app") for _ in range(5)}
    listed = acr_client(acr).repository(parse_repository("team/app")).referrers(Digest(image.digest))
    assert {each.digest for each in listed} == signatures


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_error_is_never_read_as_no_referrers(
    acr: AcrEmulator, acr_client: Callable[..., AcrClient], status: int
) -> None:
    image = build_image()
    image.push_to(acr.state, "team/app", tag="v1")
    acr.faults.inject(path=r"/v2/.*/referrers/.*", status=status, times=None, headers={"Retry-After": "60"})
    repository = acr_client(acr).repository(parse_repository("team/app"))
    with pytest.raises((RateLimited, RegistryUnavailable)):
        repository.referrers(Digest(image.digest))


@pytest.mark.parametrize("status", [400, 403, 404, 405, 406])
def test_a_registry_without_the_api_is_read_by_the_fallback_tag(
    scripted: Scripted, scripted_client: ScriptedClient, status: int
) -> None:
    subject = digest_of(b"subject")
    entry = {"mediaType": media_types.OCI_MANIFEST, "digest": digest_of(b"sig"), "size": 3}
    index = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": [entry]}

    def script(asked: Asked) -> Answer:
        if "/referrers/" in asked.path:
            return Answer(status=status)
        return Answer(body=json.dumps(index).encode(), headers={"Content-Type": media_types.OCI_INDEX})

    listed = scripted_client(scripted(script)).repository(parse_repository("a")).referrers(subject)
    assert [each.digest for each in listed] == [digest_of(b"sig")]
