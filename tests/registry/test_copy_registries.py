import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from emulators.acr import AcrEmulator
from emulators.dockerhub import DockerHubEmulator
from emulators.registry.images import (
    Artifact,
    build_cosign_signature,
    build_image,
    build_index,
    build_referrer,
    cosign_tag,
)
from shared.errors import CopyFailed, RateLimited
from shared.oci.manifest import Descriptor
from shared.oci.names import Digest, TagName, parse_repository, parse_tag
from shared.registry.acr import AcrClient
from shared.registry.client import RegistryClient
from shared.registry.copy import copy_graph
from shared.registry.repository import RepositoryClient

SOURCE, TARGET = parse_repository("team/app"), parse_repository("acme/app")
V1 = parse_tag("v1")

type Pair = tuple[RepositoryClient, RepositoryClient]


@pytest.fixture
def pair(
    acr: AcrEmulator,
    hub: DockerHubEmulator,
    acr_client: Callable[..., AcrClient],
    hub_registry: Callable[..., RegistryClient],
) -> Pair:
    return acr_client(acr).repository(SOURCE), hub_registry(hub).repository(TARGET)


def signed_index() -> tuple[Artifact, Artifact, Artifact]:
    index = build_index(
        [build_image(layers=2, layer_size=2_000_000), build_image(platform="linux/arm64", docker=False)]
    )
    return index, build_referrer(index), build_cosign_signature(index)


def push_signed(acr: AcrEmulator) -> tuple[Artifact, Artifact, Artifact]:
    index, signature, cosign = signed_index()
    index.push_to(acr.state, SOURCE, tag=V1)
    signature.push_to(acr.state, SOURCE)
    cosign.push_to(acr.state, SOURCE, tag=cosign_tag(index.digest))
    return index, signature, cosign


def assert_pullable(repository: RepositoryClient, artifact: Artifact, tag: TagName = V1) -> None:
    found = repository.resolve(tag)
    assert found is not None
    assert found.digest == artifact.digest
    for node in artifact.walk():
        assert repository.fetch_manifest(Digest(node.digest)).content == node.content
        for digest, blob in node.blobs.items():
            described = Descriptor(media_type="x/y", digest=Digest(digest), size=len(blob))
            with repository.open_blob(described) as pieces:
                assert b"".join(pieces) == blob


def test_an_image_goes_from_acr_to_docker_hub_with_its_signatures(acr: AcrEmulator, pair: Pair) -> None:
    source, target = pair
    index, signature, cosign = push_signed(acr)
    report = copy_graph(source, target, V1, tag=V1)
    assert_pullable(target, index)
    assert [each.digest for each in target.referrers(Digest(index.digest))] == [signature.digest]
    assert_pullable(target, cosign, TagName(cosign_tag(index.digest)))
    assert report.referrers == 2
    assert copy_graph(source, target, V1, tag=V1).up_to_date


def test_a_copy_that_has_nothing_to_do_costs_docker_hub_one_head(
    acr: AcrEmulator, hub: DockerHubEmulator, pair: Pair
) -> None:
    source, target = pair
    push_signed(acr)
    copy_graph(source, target, V1, tag=V1)
    hub.traffic.clear()
    acr.traffic.clear()
    copy_graph(source, target, V1, tag=V1)
    assert [request.method for request in hub.traffic.requests] == ["HEAD"]
    assert [request.method for request in acr.traffic.requests] == ["HEAD"]


def test_a_copy_never_pulls_from_docker_hub(acr: AcrEmulator, hub: DockerHubEmulator, pair: Pair) -> None:
    push_signed(acr)
    copy_graph(*pair, V1, tag=V1)
    assert hub.traffic.count("GET", r"/v2/.*/manifests/.*") == 0


FAULTS: dict[str, dict[str, object]] = {
    "cut": {"cut": True},
    "cut body": {"cut_after": 10},
    "401": {"status": 401},
    "429": {"status": 429, "headers": {"Retry-After": "0"}},
    "500": {"status": 500},
    "wrong bytes": {"corrupt": True},
}


@pytest.mark.parametrize("side", ["source", "storage", "target"])
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_whichever_request_fails_the_tag_is_right_after_at_most_one_more_try(
    acr: AcrEmulator, hub: DockerHubEmulator, pair: Pair, side: str, fault: dict[str, object]
) -> None:
    source, target = pair
    faults = {"source": acr.faults, "storage": acr.storage_faults, "target": hub.faults}[side]
    if fault.get("status") == 401 and side != "storage":
        realm = f"{hub.auth_url}/token" if side == "target" else f"https://{acr.login_server}/oauth2/token"
        fault = fault | {"headers": {"WWW-Authenticate": f'Bearer realm="{realm}",service="x"'}}
    for nth in range(1, 40, 3):
        index = build_index([build_image(), build_image(platform="linux/arm64")])
        index.push_to(acr.state, SOURCE, tag=V1)
        injected = faults.inject(nth=nth, path=r"/(?!token|oauth2).*", **fault)  # type: ignore[arg-type]
        try:
            copy_graph(source, target, V1, tag=V1, referrers=False, patience=5)
        except CopyFailed:
            copy_graph(source, target, V1, tag=V1, referrers=False, patience=5)
        faults.clear()
        assert_pullable(target, index)
        if not injected.fired:
            break


def test_a_limit_that_lasts_is_handed_to_the_queue_with_its_wait(
    acr: AcrEmulator, hub: DockerHubEmulator, pair: Pair
) -> None:
    push_signed(acr)
    hub.faults.inject(
        method="PUT", status=429, body="Too Many Requests", headers={"Retry-After": "60"}, times=None
    )
    with pytest.raises(CopyFailed) as caught:
        copy_graph(*pair, V1, tag=V1)
    assert caught.value.origin == "target"
    assert caught.value.temporary
    assert isinstance(caught.value.cause, RateLimited)
    assert caught.value.cause.retry_after == pytest.approx(60, abs=3)


def test_a_copy_that_is_overtaken_in_mid_upload_cancels_its_sessions(
    acr: AcrEmulator, hub: DockerHubEmulator, pair: Pair
) -> None:
    image = build_image(layers=3, layer_size=6_000_000)
    image.push_to(acr.state, SOURCE, tag=V1)
    acr.storage_faults.inject(delay=1.8)
    acr.storage_faults.inject(delay=1.1, times=None)
    report = copy_graph(*pair, V1, tag=V1, superseded=lambda: True, threads=2)
    assert report.superseded
    assert hub.traffic.count("PUT", "/v2/.*/manifests/.*") == 0
    uploads = "/v2/.*/blobs/uploads/.*"
    opened = hub.traffic.count("POST", uploads, status=202)
    committed = hub.traffic.count("PUT", uploads, status=201)
    assert hub.traffic.count("DELETE", uploads, status=204) == opened - committed > 0


def test_docker_hub_may_lag_behind_its_own_writes(
    acr: AcrEmulator,
    start_hub: Callable[..., DockerHubEmulator],
    acr_client: Callable[..., AcrClient],
    hub_registry: Callable[..., RegistryClient],
) -> None:
    hub = start_hub(read_lag=0.3)
    index, _, _ = push_signed(acr)
    target = hub_registry(hub).repository(TARGET)
    copy_graph(acr_client(acr).repository(SOURCE), target, V1, tag=V1, referrers=False)
    found = target.resolve(V1)
    assert found is not None
    assert found.digest == index.digest


def test_a_registry_that_claims_a_blob_it_lost_is_healed(
    acr: AcrEmulator, hub: DockerHubEmulator, pair: Pair
) -> None:
    image = build_image()
    image.push_to(acr.state, SOURCE, tag=V1)
    hub.faults.inject(method="HEAD", path=r"/v2/.*/blobs/.*", status=200, times=None)
    report = copy_graph(*pair, V1, tag=V1)
    assert report.healed
    hub.faults.clear()
    assert_pullable(pair[1], image)


def test_a_blob_that_is_lost_right_after_it_went_up_goes_up_again(
    acr: AcrEmulator, hub: DockerHubEmulator, pair: Pair
) -> None:
    image = build_image(seed=7)
    image.push_to(acr.state, SOURCE, tag=V1)
    copy_graph(*pair, V1, tag=V1)
    other = build_image(seed=7, annotations={"of": "the same layers"})
    assert image.blobs.keys() & other.blobs.keys()
    other.push_to(acr.state, SOURCE, tag="v2")
    for digest in image.blobs.keys() & other.blobs.keys():
        hub.orphan_blob(pair[1].name, image.blobs[digest])
    assert copy_graph(*pair, TagName("v2"), tag=TagName("v2")).healed
    assert_pullable(pair[1], other, TagName("v2"))


def test_repositories_of_one_registry_share_blobs_by_mounting(
    acr: AcrEmulator, acr_client: Callable[..., AcrClient]
) -> None:
    index, _, _ = push_signed(acr)
    client = acr_client(acr)
    source, target = client.repository(SOURCE), client.repository(parse_repository("copy/app"))
    report = copy_graph(source, target, V1, tag=V1, siblings=lambda _: SOURCE, referrers=False)
    assert (report.blobs_copied, report.bytes_copied) == (0, 0)
    assert report.blobs_mounted > 0
    assert_pullable(target, index)


@pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed")
def test_skopeo_agrees_with_what_was_copied(
    acr: AcrEmulator, acr_client: Callable[..., AcrClient], docker_client: RegistryClient
) -> None:
    index, _, _ = push_signed(acr)
    target = docker_client.repository(parse_repository("copied/app"))
    copy_graph(acr_client(acr).repository(SOURCE), target, V1, tag=V1)
    name = f"docker://{target.place}:v1"
    shown = subprocess.run(
        ["skopeo", "inspect", "--raw", "--tls-verify=false", name], check=True, capture_output=True
    )
    assert shown.stdout == index.content


MEASURED = """
    import os, resource, sys
    from contextlib import contextmanager
    from shared.oci.manifest import Descriptor
    from shared.oci.names import parse_login_server, parse_repository
    from shared.registry.client import RegistryClient
    import hashlib

    url, size, piece = sys.argv[1], int(sys.argv[2]), bytes(1_000_000)
    digest = hashlib.sha256()
    for _ in range(size // len(piece)):
        digest.update(piece)
    blob = Descriptor(media_type="x/y", digest=f"sha256:{digest.hexdigest()}", size=size)

    @contextmanager
    def zeros():
        yield (piece for _ in range(size // len(piece)))

    client = RegistryClient(parse_login_server(url.removeprefix("http://")), endpoint=url)
    one, other = (client.repository(parse_repository(f"memory/{name}")) for name in ("one", "other"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    one.push_blob(blob, zeros)
    other.push_blob(blob, lambda: one.open_blob(blob))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_memory_stays_flat_however_large_a_blob_is(docker_registry: str) -> None:
    size = 200_000_000
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(MEASURED), docker_registry, str(size)],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert int(done.stdout) * 1024 < 40_000_000
