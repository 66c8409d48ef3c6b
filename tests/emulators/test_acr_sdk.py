"""The plain `azure-containerregistry`, without any policy of ours, works against the emulator."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from azure.containerregistry import ArtifactTagOrder, ContainerRegistryClient
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError

from emulators.acr import AcrEmulator
from emulators.certificates import CertificateAuthority
from emulators.entra import EntraIssuer
from emulators.registry.images import build_image, build_index
from tests.emulators.acr_caller import CLIENT_ID


class EntraCredential:
    """A credential whose tokens the emulator trusts."""

    def __init__(self, issuer: EntraIssuer) -> None:
        self._issuer = issuer

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        return AccessToken(self._issuer.issue(CLIENT_ID, scopes[0]), int(time.time()) + 3600)


@pytest.fixture
def sdk(acr: AcrEmulator, ca: CertificateAuthority) -> Iterator[ContainerRegistryClient]:
    acr.grant(CLIENT_ID, "Contributor")
    credential = EntraCredential(acr.trusted_issuer)
    with ContainerRegistryClient(acr.url, credential, connection_verify=str(ca.ca_file)) as client:
        yield client


def test_it_lists_repositories_tags_and_manifests_over_pages(
    acr: AcrEmulator, sdk: ContainerRegistryClient
) -> None:
    index = build_index([build_image(platform="linux/amd64"), build_image(platform="linux/arm64")])
    index.push_to(acr.state, "team/app", tag="v1")
    for tag in ("v2", "v3"):
        build_image().push_to(acr.state, "team/app", tag=tag)
    acr.state.create_repository("other")
    assert list(sdk.list_repository_names(results_per_page=1)) == ["other", "team/app"]
    tags = list(sdk.list_tag_properties("team/app", results_per_page=2))
    assert [tag.name for tag in tags] == ["v1", "v2", "v3"]
    order = ArtifactTagOrder.LAST_UPDATED_ON_DESCENDING
    newest = list(sdk.list_tag_properties("team/app", order_by=order, results_per_page=1))
    assert [tag.name for tag in newest] == ["v3", "v2", "v1"]
    manifests = list(sdk.list_manifest_properties("team/app", results_per_page=2))
    assert len(manifests) == 5
    assert sum(not each.tags for each in manifests) == 2
    assert sdk.get_repository_properties("team/app").manifest_count == 5
    assert sdk.get_manifest_properties("team/app", "v1").digest == index.digest


def test_it_pushes_and_pulls_manifests_and_blobs_in_chunks(
    acr: AcrEmulator, sdk: ContainerRegistryClient
) -> None:
    content = bytes(range(256)) * 20_000
    digest, size = sdk.upload_blob("team/app", io.BytesIO(content))
    assert size == len(content)
    assert b"".join(sdk.download_blob("team/app", digest)) == content
    image = build_image()
    for blob in image.blobs.values():
        sdk.upload_blob("team/app", io.BytesIO(blob))
    kind = "application/vnd.oci.image.manifest.v1+json"
    pushed = sdk.set_manifest("team/app", io.BytesIO(image.content), tag="v1", media_type=kind)
    assert pushed == image.digest
    found = sdk.get_manifest("team/app", "v1")
    assert (found.digest, found.media_type) == (image.digest, kind)
    assert acr.storage_traffic.count("GET") >= 2


def test_it_untags_deletes_and_takes_what_is_gone_for_done(
    acr: AcrEmulator, sdk: ContainerRegistryClient
) -> None:
    image = build_image()
    image.push_to(acr.state, "team/app", tag="v1")
    sdk.delete_tag("team/app", "v1")
    sdk.delete_tag("team/app", "v1")
    sdk.delete_manifest("team/app", image.digest)
    sdk.delete_manifest("team/app", image.digest)
    with pytest.raises(ResourceNotFoundError):
        sdk.get_manifest_properties("team/app", image.digest)
    sdk.delete_repository("team/app")
    sdk.delete_repository("team/app")
    assert list(sdk.list_repository_names()) == []


def test_it_locks_and_meets_the_lock(acr: AcrEmulator, sdk: ContainerRegistryClient) -> None:
    build_image().push_to(acr.state, "team/app", tag="v1")
    changed = sdk.update_tag_properties("team/app", "v1", can_write=False, can_delete=False)
    assert changed.can_write is False
    with pytest.raises(HttpResponseError) as locked:
        sdk.delete_tag("team/app", "v1")
    assert locked.value.status_code == 405
    sdk.update_tag_properties("team/app", "v1", can_write=True, can_delete=True)
    sdk.delete_tag("team/app", "v1")


def test_it_is_refused_without_a_role(acr: AcrEmulator, sdk: ContainerRegistryClient) -> None:
    acr.revoke(CLIENT_ID)
    with pytest.raises(ClientAuthenticationError):
        list(sdk.list_repository_names())


def test_it_pulls_anonymously_where_that_is_allowed(
    start_acr: Callable[..., AcrEmulator], ca: CertificateAuthority
) -> None:
    acr = start_acr(anonymous_pull=True)
    build_image().push_to(acr.state, "app", tag="v1")
    with ContainerRegistryClient(acr.url, None, connection_verify=str(ca.ca_file)) as client:
        assert [tag.name for tag in client.list_tag_properties("app")] == ["v1"]
        with pytest.raises(ClientAuthenticationError):
            client.delete_tag("app", "v1")
