"""What the demo pushes, and what must be left of it after the night."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from emulators.acr import AcrEmulator
from emulators.demo.client import PlainClient
from emulators.registry.images import (
    Artifact,
    build_cosign_signature,
    build_image,
    build_index,
    build_referrer,
    cosign_tag,
)
from emulators.registry.records import Locks

REPOSITORY = "team/shop"
RELEASE = "v1.4.0"
PLATFORMS = ("linux/amd64", "linux/arm64")


def multi_platform() -> Artifact:
    return build_index([build_image(layers=2, layer_size=4096, platform=platform) for platform in PLATFORMS])


@dataclass(slots=True)
class Scenario:
    """References by what must become of them; each is a tag or a digest in the repository."""

    kept: dict[str, str] = field(default_factory=dict)
    removed: dict[str, str] = field(default_factory=dict)
    release: Artifact = field(default_factory=multi_platform)
    signatures: tuple[str, ...] = ()

    def keep(self, reference: str, why: str) -> None:
        self.kept[reference] = why

    def remove(self, reference: str, why: str) -> None:
        self.removed[reference] = why


def push_history(acr: AcrEmulator, client: PlainClient, now: datetime) -> Scenario:
    """Push what has gathered over months, and date it back: the protocol has no way to push into the past."""
    scenario = Scenario()

    def push(artifact: Artifact, days: float, tag: str | None = None) -> str:
        digest = client.push(REPOSITORY, artifact, tag)
        moment = now - timedelta(days=days)
        for node in artifact.walk():
            acr.state.change_manifest(REPOSITORY, node.digest, created=moment, updated=moment)
        if tag is not None:
            acr.state.delete_tag(REPOSITORY, tag)
            acr.state.put_manifest(REPOSITORY, artifact.content, artifact.media_type, tag=tag, at=moment)
        return digest

    for number, days in ((101, 60), (102, 45), (103, 30), (104, 20), (105, 16), (106, 2)):
        push(build_image(), days, tag=f"pr-{number}")
    for number in (101, 102, 103, 104):
        scenario.remove(f"pr-{number}", "older than 14 days, and not among the two newest")
    scenario.keep("pr-105", "older than 14 days, but among the two newest")
    scenario.keep("pr-106", "young")

    old = multi_platform()
    signature = build_cosign_signature(old)
    push(old, 50, tag="pr-90")
    push(signature, 50, tag=cosign_tag(old.digest))
    scenario.remove("pr-90", "an old index: it goes with the images and the signature that only it held")
    for child in old.children:
        scenario.remove(child.digest, "held by pr-90 alone")
    scenario.remove(cosign_tag(old.digest), "the signature of pr-90")

    push(build_image(), 70, tag="pr-77")
    acr.state.set_tag_locks(REPOSITORY, "pr-77", Locks(delete=False, write=False))
    scenario.keep("pr-77", "old, but locked")

    nightly = multi_platform()
    push(nightly, 100, tag="nightly")
    scenario.keep("nightly", "no rule names it")
    for child in nightly.children:
        scenario.keep(child.digest, "untagged for 100 days, but the index nightly lists it")

    for _ in range(3):
        scenario.remove(push(build_image(), 40), "an orphan of 40 days")
    scenario.keep(push(build_image(), 0.1), "an orphan too, but hours old: it may be half of a push")
    return scenario


def push_release(client: PlainClient, scenario: Scenario) -> None:
    """Push today's release: an index of two platforms, signed in both ways that are in use."""
    release = scenario.release
    client.push(REPOSITORY, release, RELEASE)
    signature, attestation = build_cosign_signature(release), build_referrer(release)
    client.push(REPOSITORY, signature, cosign_tag(release.digest))
    client.push(REPOSITORY, attestation)
    scenario.signatures = (cosign_tag(release.digest), attestation.digest)
    scenario.keep(RELEASE, "protected")
    scenario.keep(cosign_tag(release.digest), f"the signature of {RELEASE}")
    scenario.keep(attestation.digest, f"refers to {RELEASE}")
