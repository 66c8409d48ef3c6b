from collections.abc import Callable

import pytest

from emulators.acr import AcrEmulator
from emulators.registry.images import build_image
from shared.errors import NotFound, OperationDisallowed, RegistryUnavailable
from shared.oci.names import Digest, RepositoryName, TagName, parse_repository, parse_tag
from shared.registry.acr import AcrClient

APP = parse_repository("team/app")
V1, V2 = parse_tag("v1"), parse_tag("v2")
NOBODY = Digest("sha256:" + "0" * 64)

type Clients = Callable[..., AcrClient]
type Operation = Callable[[AcrClient], object]


@pytest.fixture
def digest(acr: AcrEmulator) -> Digest:
    image = build_image()
    image.push_to(acr.state, APP, tag=V1)
    return Digest(image.push_to(acr.state, APP, tag=V2))


@pytest.fixture
def client(acr: AcrEmulator, acr_client: Clients, digest: Digest) -> AcrClient:
    """A client that has its token, as it has after the first request."""
    del digest
    client = acr_client(acr)
    client.expect([APP], "metadata_read", "metadata_write", "delete", "pull")
    client.repository_attributes(APP)
    acr.traffic.clear()
    return client


OPERATIONS: dict[str, Operation] = {
    "repository attributes": lambda client: client.repository_attributes(APP),
    "tag attributes": lambda client: client.tag_attributes(APP, V1),
    "tag attributes of nothing": lambda client: client.tag_attributes(APP, TagName("gone")),
    "manifest attributes of nothing": lambda client: client.manifest_attributes(APP, NOBODY),
    "list tags": lambda client: list(client.list_tag_records(APP)),
    "list manifests": lambda client: list(client.list_manifest_records(APP)),
    "lock a tag": lambda client: client.lock(APP, V1),
    "unlock a tag": lambda client: client.unlock(APP, V1),
    "lock the repository": lambda client: client.lock(APP),
    "untag": lambda client: client.untag(APP, V1),
    "untag nothing": lambda client: client.untag(APP, TagName("gone")),
    "delete no manifest": lambda client: client.delete_manifest(APP, NOBODY),
    "delete the repository": lambda client: client.delete_repository(APP),
}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_an_operation_is_one_request(acr: AcrEmulator, client: AcrClient, operation: Operation) -> None:
    operation(client)
    assert [request.path.startswith("/oauth2") for request in acr.traffic.requests] == [False]


def test_operations_on_a_manifest_are_one_request_too(
    acr: AcrEmulator, client: AcrClient, digest: Digest
) -> None:
    client.manifest_attributes(APP, digest)
    client.lock(APP, digest)
    client.unlock(APP, digest)
    client.delete_manifest(APP, digest)
    assert [request.method for request in acr.traffic.requests] == ["GET", "PATCH", "PATCH", "DELETE"]


def test_requests_carry_our_name_and_say_what_we_run_on(acr: AcrEmulator, client: AcrClient) -> None:
    client.tag_attributes(APP, V1)
    (request,) = acr.traffic.requests
    assert request.headers["user-agent"].startswith("registry-steward/")
    assert request.headers["x-meta-source-client"] == "azure/functions"


def test_untagging_leaves_the_manifest_and_its_other_tags(client: AcrClient, digest: Digest) -> None:
    assert client.untag(APP, V1) is True
    assert client.untag(APP, V1) is False
    manifest = client.manifest_attributes(APP, digest)
    assert manifest is not None
    assert manifest.tags == (V2,)
    assert manifest.record.media_type == "application/vnd.oci.image.manifest.v1+json"


def test_deleting_a_manifest_takes_its_tags_along(client: AcrClient, digest: Digest) -> None:
    assert client.delete_manifest(APP, digest) is True
    assert client.delete_manifest(APP, digest) is False
    assert client.tag_attributes(APP, V2) is None
    assert client.manifest_attributes(APP, digest) is None


def test_deleting_a_repository_says_whether_it_was_there(client: AcrClient) -> None:
    assert client.delete_repository(APP) is True
    assert client.delete_repository(APP) is False
    with pytest.raises(NotFound, match="NAME_UNKNOWN"):
        client.repository_attributes(APP)


@pytest.mark.parametrize("flags", [{"delete_enabled": False}, {"write_enabled": False}])
def test_what_is_locked_in_either_way_is_seen_so_and_not_removed(
    client: AcrClient, digest: Digest, flags: dict[str, bool]
) -> None:
    client.set_lock(APP, V1, **flags)
    client.set_lock(APP, digest, **flags)
    tag, manifest = client.tag_attributes(APP, V1), client.manifest_attributes(APP, digest)
    assert tag is not None
    assert manifest is not None
    assert (tag.locked, manifest.record.locked) == (True, True)
    assert [listed.locked for listed in client.list_tag_records(APP)] == [True, False]
    assert [listed.record.locked for listed in client.list_manifest_records(APP)] == [True]
    with pytest.raises(OperationDisallowed):
        client.untag(APP, V1)
    with pytest.raises(OperationDisallowed):
        client.delete_manifest(APP, digest)
    client.unlock(APP, V1)
    client.unlock(APP, digest)
    assert client.untag(APP, V1) is True


def test_a_locked_repository_is_seen_so(client: AcrClient) -> None:
    client.set_lock(APP, write_enabled=False)
    attributes = client.repository_attributes(APP)
    assert (attributes.locked, attributes.delete_enabled, attributes.write_enabled) == (True, True, False)
    client.unlock(APP)
    assert client.repository_attributes(APP).locked is False


def test_locking_what_is_not_there_is_told(client: AcrClient) -> None:
    with pytest.raises(NotFound):
        client.lock(APP, TagName("gone"))


def test_the_package_does_not_retry_beside_us(acr: AcrEmulator, client: AcrClient) -> None:
    acr.faults.inject(method="GET", path="/acr/v1/.*", status=503, times=None)
    with pytest.raises(RegistryUnavailable, match="503"):
        client.repository_attributes(APP)
    assert acr.traffic.count("GET") == client._transport.options.tries


def test_attributes_agree_with_what_is_listed(client: AcrClient, digest: Digest) -> None:
    listed = {record.name: record for record in client.list_tag_records(APP)}
    assert client.tag_attributes(APP, V1) == listed[V1]
    assert [client.manifest_attributes(APP, digest)] == list(client.list_manifest_records(APP))
    attributes = client.repository_attributes(APP)
    assert (attributes.manifest_count, attributes.tag_count) == (1, 2)
    assert attributes.created.utcoffset() is not None


def test_repositories_are_listed_page_by_page(
    start_acr: Callable[..., AcrEmulator], acr_client: Clients
) -> None:
    acr = start_acr(page_cap=3)
    names = [RepositoryName(f"team/app{number}") for number in range(8)]
    for name in names:
        build_image().push_to(acr.state, name, tag="v1")
    client = acr_client(acr)
    assert list(client.list_repositories()) == names
    assert acr.traffic.count("GET", "/acr/v1/_catalog") == 3
