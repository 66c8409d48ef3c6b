"""What real tools make arrives as it was made, and real tools find nothing wrong with it.

Made by Debian's buildah and umoci, or by hand where Debian has no tool; pushed and pulled by its skopeo.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import settings

from emulators.acr import AcrEmulator
from emulators.certificates import CertificateAuthority
from emulators.dockerhub import DockerHubEmulator
from shared.errors import ContentRejected, CopyFailed
from shared.oci import media_types
from shared.oci.manifest import Descriptor, digest_of
from shared.oci.names import Digest, RepositoryName, TagName, parse_login_server, parse_repository
from shared.registry.acr import AcrClient
from shared.registry.client import RegistryClient
from shared.registry.copy import copy_graph
from shared.registry.repository import RepositoryClient
from shared.registry.transport import TransportOptions
from tests.registry.debian import MAKERS, REGISTRY, Layout, Workshop, require, serving_docker_registry

V1: Final = TagName("v1")
EXHAUSTIVE: Final = settings.default is not None and settings.default.max_examples > 1000
PLATFORMS: Final = ("linux/amd64", "linux/arm64", "linux/s390x")
HELM_CHART: Final = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
IN_TOTO: Final = "application/vnd.in-toto+json"
SBOM: Final = "application/vnd.cyclonedx+json"

type Pair = tuple[RegistryClient, RegistryClient]
type Replicated = tuple[RepositoryClient, RepositoryClient]


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    require(*MAKERS)
    return Workshop(tmp_path_factory.mktemp("workshop"))


@pytest.fixture(scope="module")
def second_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    require(REGISTRY)
    with serving_docker_registry(tmp_path_factory.mktemp("second-registry")) as url:
        yield url


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A repository as skopeo reaches it."""

    name: str
    options: tuple[str, ...] = ("--tls-verify=false",)

    def options_of(self, side: str) -> list[str]:
        return [option.replace("--", f"--{side}-", 1) for option in self.options]


@pytest.fixture
def docker_registries(
    docker_registry: str, second_registry: str, options: TransportOptions, running: ExitStack
) -> Pair:
    """Return clients of two docker-registries."""
    one, other = (
        running.enter_context(
            RegistryClient(parse_login_server(url.removeprefix("http://")), endpoint=url, options=options)
        )
        for url in (docker_registry, second_registry)
    )
    return one, other


def place_of(repository: RepositoryClient) -> Place:
    return Place(name=f"docker://{repository.place}")


# Makers: each puts one thing under the tag v1 of a repository.


def gzip_layers(workshop: Workshop, target: str) -> None:
    workshop.copy(f"oci:{workshop.layout(layers=3)}:v1", target)


def zstd_layers(workshop: Workshop, target: str) -> None:
    workshop.push(workshop.build(), target, "--format=oci", "--compression-format=zstd")


def docker_image(workshop: Workshop, target: str) -> None:
    workshop.push(workshop.build(), target, "--format=v2s2")


def oci_index(workshop: Workshop, target: str) -> None:
    workshop.push_list(each_platform(workshop), target, "--format=oci")


def docker_list(workshop: Workshop, target: str) -> None:
    workshop.push_list(each_platform(workshop), target, "--format=v2s2")


def each_platform(workshop: Workshop) -> list[str]:
    return [workshop.build(layers=1, platform=each) for each in PLATFORMS]


def attested_index(workshop: Workshop, target: str) -> None:
    """Write what buildx pushes: beside each platform a manifest of no platform, with its provenance.

    https://docs.docker.com/build/metadata/attestations/attestation-storage/
    """
    layout = Layout(workshop.place("attested"))
    entries: list[dict[str, Any]] = []
    for architecture in ("amd64", "arm64"):
        image = layout.adopt(workshop.layout(), platform={"os": "linux", "architecture": architecture})
        statement = {"_type": "https://in-toto.io/Statement/v0.1", "subject": [{"digest": image["digest"]}]}
        attestation = {
            "schemaVersion": 2,
            "mediaType": media_types.OCI_MANIFEST,
            "config": layout.add(b'{"architecture":"unknown","os":"unknown"}', media_types.OCI_CONFIG),
            "layers": [
                layout.add(
                    json.dumps(statement).encode(),
                    IN_TOTO,
                    annotations={"in-toto.io/predicate-type": "https://slsa.dev/provenance/v0.2"},
                )
            ],
        }
        entries += [
            image,
            layout.add_json(
                attestation,
                platform={"os": "unknown", "architecture": "unknown"},
                annotations={
                    "vnd.docker.reference.type": "attestation-manifest",
                    "vnd.docker.reference.digest": image["digest"],
                },
            ),
        ]
    index = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": entries}
    workshop.copy(layout.tag(layout.add_json(index)), target)


def helm_chart(workshop: Workshop, target: str) -> None:
    """Write what ``helm push`` does: a config of its own, one archive (helm.sh/docs/topics/registries)."""
    layout = Layout(workshop.place("chart"))
    chart = {"name": "shop", "version": "1.2.3", "apiVersion": "v2"}
    manifest = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_MANIFEST,
        "config": layout.add(json.dumps(chart).encode(), media_types.HELM_CONFIG),
        "layers": [layout.add(workshop.file(2000).read_bytes(), HELM_CHART)],
        "annotations": {"org.opencontainers.image.title": "shop"},
    }
    workshop.copy(layout.tag(layout.add_json(manifest)), target)


def artifact(workshop: Workshop, target: str) -> None:
    """Write what ``oras push`` does: an artifact type, the empty config, files (image-spec, manifest.md)."""
    layout = Layout(workshop.place("artifact"))
    workshop.copy(layout.tag(layout.add_json(sbom_of(layout, workshop.file(500).read_bytes()))), target)


def sbom_of(layout: Layout, content: bytes, **more: Any) -> dict[str, Any]:
    return {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_MANIFEST,
        "artifactType": SBOM,
        "config": layout.add(b"{}", media_types.OCI_EMPTY),
        "layers": [layout.add(content, SBOM, annotations={"org.opencontainers.image.title": "sbom.json"})],
        **more,
    }


MADE: Final[dict[str, tuple[Callable[[Workshop, str], None], str]]] = {
    "gzip": (gzip_layers, "tar+gzip"),
    "zstd": (zstd_layers, "tar+zstd"),
    "docker-schema-2": (docker_image, media_types.DOCKER_MANIFEST),
    "oci-index": (oci_index, "s390x"),
    "docker-list": (docker_list, media_types.DOCKER_INDEX),
    "attestations": (attested_index, "attestation-manifest"),
    "helm-chart": (helm_chart, media_types.HELM_CONFIG),
    "artifact": (artifact, SBOM),
}
"""What is made, with a word of its manifest that shows that it is what it should be."""


def assert_arrived(workshop: Workshop, source: Place, target: Place, reference: str = ":v1") -> None:
    """Let skopeo compare both sides byte for byte, and pull the copy whole, which checks every digest."""
    shown = [
        workshop.skopeo("inspect", "--raw", *place.options, f"{place.name}{reference}")
        for place in (source, target)
    ]
    assert shown[0] == shown[1]
    pulled = workshop.place("pulled")
    options = ["--quiet", "--all", "--preserve-digests", *target.options_of("src")]
    workshop.skopeo("copy", *options, f"{target.name}{reference}", f"dir:{pulled}")
    assert (pulled / "manifest.json").read_bytes() == shown[0]
    shutil.rmtree(pulled)


@pytest.fixture
def hub_place(workshop: Workshop, hub: DockerHubEmulator, ca: CertificateAuthority) -> Place:
    certificates = workshop.folder / "certificates"
    certificates.mkdir(exist_ok=True)
    (certificates / "ca.crt").write_bytes(ca.ca_file.read_bytes())
    return Place(
        name=f"docker://{hub.registry}/acme/made",
        options=(f"--creds={hub.username}:{hub.token}", f"--cert-dir={certificates}"),
    )


@pytest.fixture
def on_the_way(
    acr: AcrEmulator,
    hub: DockerHubEmulator,
    acr_client: Callable[..., AcrClient],
    hub_registry: Callable[..., RegistryClient],
) -> Replicated:
    """A repository of Azure, and its replica on Docker Hub."""
    return (
        acr_client(acr).repository(parse_repository("team/made")),
        hub_registry(hub).repository(parse_repository("acme/made")),
    )


@pytest.mark.parametrize("kind", MADE)
def test_it_arrives_in_another_registry_and_on_docker_hub_by_way_of_azure(
    workshop: Workshop, docker_registries: Pair, on_the_way: Replicated, hub_place: Place, kind: str
) -> None:
    make, mark = MADE[kind]
    here, there = (each.repository(parse_repository(f"made/{kind}")) for each in docker_registries)
    source, target, (azure, docker_hub) = place_of(here), place_of(there), on_the_way
    make(workshop, f"{source.name}:v1")
    assert mark.encode() in workshop.skopeo("inspect", "--raw", *source.options, f"{source.name}:v1")

    copy_graph(here, there, V1, tag=V1)
    assert copy_graph(here, there, V1, tag=V1).up_to_date
    copy_graph(here, azure, V1, tag=V1)
    copy_graph(azure, docker_hub, V1, tag=V1)

    assert_arrived(workshop, source, target)
    assert_arrived(workshop, source, hub_place)


def test_what_is_attached_arrives_with_its_image(
    workshop: Workshop, docker_registries: Pair, on_the_way: Replicated
) -> None:
    """Attached as ``oras attach`` does it where the API is missing: by a list under the subject's tag."""
    here, there = (each.repository(parse_repository("made/attached")) for each in docker_registries)
    source, target, (azure, docker_hub) = place_of(here), place_of(there), on_the_way
    layout = Layout(workshop.place("attached"))
    subject = layout.adopt(workshop.layout())
    workshop.copy(layout.tag(subject), f"{source.name}:v1")
    attached = layout.add_json(sbom_of(layout, b"{}", subject=subject, annotations={"made": "by hand"}))
    workshop.copy(layout.tag(attached), f"{source.name}:sbom")
    entry = attached | {"artifactType": SBOM, "annotations": {"made": "by hand"}}
    listed = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": [entry]}
    fallback = TagName(subject["digest"].replace(":", "-"))

    here.push_manifest(json.dumps(listed).encode(), media_types.OCI_INDEX, tag=fallback)
    copy_graph(here, there, V1, tag=V1)
    copy_graph(here, azure, V1, tag=V1)
    copy_graph(azure, docker_hub, V1, tag=V1)

    assert_arrived(workshop, source, target)
    assert_arrived(workshop, source, target, f"@{attached['digest']}")
    kept = workshop.skopeo("inspect", "--raw", *target.options, f"{target.name}:{fallback}")
    assert json.loads(kept)["manifests"] == [entry]
    for place in (azure, docker_hub):
        (found,) = place.referrers(Digest(subject["digest"]))
        assert (found.digest, found.artifact_type) == (attached["digest"], SBOM)
        assert found.annotations == {"made": "by hand"}


def test_a_retired_artifact_manifest_follows_where_it_is_taken_and_is_told_where_not(
    workshop: Workshop,
    docker_client: RegistryClient,
    start_acr: Callable[..., AcrEmulator],
    acr_client: Callable[..., AcrClient],
    on_the_way: Replicated,
) -> None:
    """Early Notation signatures on Azure are such; no registry but Azure's takes them."""
    made = docker_client.repository(parse_repository("made/retired"))
    workshop.copy(f"oci:{workshop.layout()}:v1", f"docker://{made.place}:v1")
    azure, docker_hub = on_the_way
    subject = copy_graph(made, azure, V1, tag=V1).digest
    described = azure.resolve(V1)
    assert described is not None
    body = b"signed"
    blob = {"mediaType": "application/jose+json", "digest": digest_of(body), "size": len(body)}
    signature = {
        "mediaType": media_types.ARTIFACT_MANIFEST,
        "artifactType": "application/vnd.cncf.notary.signature",
        "blobs": [blob],
        "subject": {"mediaType": described.media_type, "digest": subject, "size": described.size},
    }
    azure.push_blob(Descriptor(media_type="", digest=digest_of(body), size=len(body)), body)
    pushed = azure.push_manifest(json.dumps(signature).encode(), media_types.ARTIFACT_MANIFEST).digest

    other = acr_client(start_acr(name="other")).repository(RepositoryName("team/made"))
    copy_graph(azure, other, V1, tag=V1)
    assert [each.digest for each in other.referrers(subject)] == [pushed]

    with pytest.raises(CopyFailed, match="MANIFEST_INVALID") as refused:
        copy_graph(azure, docker_hub, V1, tag=V1)
    assert isinstance(refused.value.cause, ContentRejected)
    assert refused.value.origin == "target"
    assert not refused.value.temporary
    assert docker_hub.resolve(V1) is None
    copy_graph(azure, docker_hub, V1, tag=V1, referrers=False)
    assert docker_hub.resolve(V1) == described


LAYER: Final = 2 * 1024**3 if EXHAUSTIVE else 192 * 1024**2
MOST_MEMORY: Final = 150 * 1024**2


def test_a_layer_larger_than_the_memory_that_it_may_take_is_copied(
    workshop: Workshop, docker_registries: Pair
) -> None:
    """One of 2 GiB with ``--hypothesis-profile=nightly``."""
    source, target = (place_of(each.repository(RepositoryName("made/large"))) for each in docker_registries)
    layout = Layout(workshop.place("large"))
    manifest = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_MANIFEST,
        "config": layout.add(b'{"architecture":"amd64","os":"linux"}', media_types.OCI_CONFIG),
        "layers": [layout.add_sparse(LAYER, media_types.OCI_LAYER)],
    }
    workshop.copy(layout.tag(layout.add_json(manifest)), f"{source.name}:v1")

    used = memory_of_copy(source, target)

    assert_arrived(workshop, source, target)
    assert used < MOST_MEMORY, f"{LAYER >> 20} MiB took {used >> 20} MiB of memory"


def memory_of_copy(source: Place, target: Place) -> int:
    """Copy by the command line and return the most that its process had in memory, in bytes.

    It says so itself: ``ru_maxrss`` of a child begins at what its parent had.
    """
    names = [f"{place.name.removeprefix('docker://')}:v1" for place in (source, target)]
    program = (
        "import sys\n"
        "from benchmarks.memory import peak_mebibytes\n"
        "from cli.program import run\n"
        "code = run(sys.argv[1:])\n"
        "print(peak_mebibytes(), file=sys.stderr)\n"
        "sys.exit(code)\n"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program, "copy", *names, "--plain-http", "--json"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(float(finished.stderr.split()[-1]) * 1024 * 1024)
