import hashlib
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulators.registry.images import (
    Artifact,
    build_cosign_signature,
    build_image,
    build_index,
    build_referrer,
    cosign_tag,
)
from shared.errors import (
    AccessDenied,
    ContentRejected,
    CopyFailed,
    InvalidManifest,
    ManifestBlobUnknown,
    NotFound,
    RegistryUnavailable,
)
from shared.oci import media_types
from shared.oci.manifest import Descriptor, digest_of
from shared.oci.names import Digest, RepositoryName, TagName
from shared.registry.copy import CopyReport, copy_graph
from tests.registry.memory import MemoryPlace, failing

V1 = TagName("v1")


def holding(*artifacts: Artifact, tags: dict[str, Artifact] | None = None) -> MemoryPlace:
    place = MemoryPlace("source.example/app")
    for artifact in artifacts:
        for node in artifact.walk():
            place.blobs.update({Digest(digest): blob for digest, blob in node.blobs.items()})
            place.manifests[Digest(node.digest)] = (node.content, node.media_type)
    for tag, artifact in (tags or {}).items():
        place.tags[TagName(tag)] = Digest(artifact.digest)
    return place


def two_platforms() -> Artifact:
    return build_index([build_image(layers=2), build_image(platform="linux/arm64")])


def copied(source: MemoryPlace, target: MemoryPlace, **settings: object) -> CopyReport:
    return copy_graph(source, target, V1, tag=V1, patience=0.2, **settings)  # type: ignore[arg-type]


def assert_whole(target: MemoryPlace, artifact: Artifact, tag: TagName = V1) -> None:
    assert target.tags[tag] == artifact.digest
    for node in artifact.walk():
        assert target.manifests[Digest(node.digest)] == (node.content, node.media_type)
        for digest, blob in node.blobs.items():
            assert target.blobs[Digest(digest)] == blob


def test_an_index_is_copied_whole_and_counted() -> None:
    index = two_platforms()
    source, target = holding(index, tags={V1: index}), MemoryPlace()
    report = copied(source, target)
    assert_whole(target, index)
    blobs = {digest: blob for child in index.children for digest, blob in child.blobs.items()}
    assert (report.digest, report.tag) == (index.digest, V1)
    assert (report.blobs_copied, report.bytes_copied) == (len(blobs), sum(map(len, blobs.values())))
    assert (report.manifests_copied, report.manifests_skipped) == (3, 0)
    assert (report.up_to_date, report.superseded, report.healed) == (False, False, False)


def test_nothing_comes_before_what_it_needs_and_the_tag_comes_last() -> None:
    nested = build_index([two_platforms(), build_image(platform="linux/s390x")])
    signature = build_referrer(nested)
    source, target = holding(nested, signature, tags={V1: nested}), MemoryPlace()
    copied(source, target)
    writes = [entry for entry in target.log if entry[0].startswith("push")]
    assert writes[-1] == ("push_manifest", f"v1@{nested.digest}")
    assert [subject for operation, subject in writes[:-1] if subject.startswith("v1@")] == []
    pushed = target.did("push_manifest")
    for node in nested.walk():
        for child in node.children:
            assert pushed.index(f"@{child.digest}") < pushed.index(f"@{node.digest}")
    assert_whole(target, nested)


def test_equal_digests_end_it_in_two_requests() -> None:
    index = two_platforms()
    source, target = holding(index, tags={V1: index}), holding(index, tags={V1: index})
    report = copied(source, target)
    assert report.up_to_date
    assert source.log == [("resolve", V1)]
    assert target.log == [("resolve", V1)]


def test_a_tag_that_points_elsewhere_only_moves_when_all_is_there_already() -> None:
    index, before = two_platforms(), build_image()
    source = holding(index, tags={V1: index})
    target = holding(index, before, tags={V1: before})
    report = copied(source, target)
    assert_whole(target, index)
    assert (report.blobs_copied, report.blobs_skipped, report.manifests_copied) == (0, 0, 1)
    assert [entry for entry in target.log if "blob" in entry[0]] == []


def test_what_the_target_has_is_not_sent() -> None:
    shared_child, new_child = build_image(), build_image(platform="linux/arm64")
    index = build_index([shared_child, new_child])
    source, target = holding(index, tags={V1: index}), holding(shared_child)
    some = next(iter(new_child.blobs))
    target.blobs[Digest(some)] = new_child.blobs[some]
    report = copied(source, target)
    assert_whole(target, index)
    assert (report.manifests_skipped, report.blobs_skipped) == (1, 1)
    assert shared_child.digest not in source.did("fetch")


def test_a_blob_that_several_platforms_share_is_sent_once() -> None:
    image = build_image()
    twin = build_image(subject=None, annotations={"twin": "yes"}, seed=1)
    again = build_image(annotations={"twin": "no"}, seed=1)
    index = build_index([image, twin, again])
    source, target = holding(index, tags={V1: index}), MemoryPlace()
    copied(source, target)
    sent = target.did("push_blob")
    assert len(sent) == len(set(sent))
    assert_whole(target, index)


def test_large_blobs_go_first() -> None:
    image = build_image(layers=5)
    sizes = {digest: len(blob) for digest, blob in image.blobs.items()}
    target = MemoryPlace()
    copied(holding(image, tags={V1: image}), target, threads=1)
    sent = [sizes[digest] for digest in target.did("push_blob")]
    assert sent == sorted(sent, reverse=True)


def test_every_blob_is_asked_for_before_any_upload_makes_the_others_wait() -> None:
    image = build_image(layers=12)
    target = MemoryPlace()
    there = list(image.blobs)[6:]
    target.blobs.update({Digest(digest): image.blobs[digest] for digest in there})
    asked = threading.Event()

    def before(operation: str, _: str) -> None:
        if operation == "exists" and len(target.did("exists")) == len(image.blobs):
            asked.set()
        if operation == "push_blob":
            assert asked.wait(5), "an upload holds up the question for other blobs"

    target.before = before
    report = copied(holding(image, tags={V1: image}), target, threads=3)
    assert_whole(target, image)
    assert (report.blobs_copied, report.blobs_skipped) == (13 - len(there), len(there))


def test_a_manifest_goes_in_as_soon_as_its_blobs_are_while_others_are_under_way() -> None:
    quick, slow = build_image(), build_image(platform="linux/arm64", layers=2)
    index = build_index([quick, slow])
    target = MemoryPlace()
    pushed = threading.Event()

    def before(operation: str, subject: str) -> None:
        if operation == "push_manifest" and subject.endswith(quick.digest):
            pushed.set()
        if operation == "push_blob" and subject in slow.blobs:
            assert pushed.wait(5), "the other platform's manifest waits for blobs that it does not need"

    target.before = before
    copied(holding(index, tags={V1: index}), target)
    assert_whole(target, index)


def test_blobs_are_mounted_from_siblings_that_hold_them() -> None:
    image = build_image(layers=2)
    source, target = holding(image, tags={V1: image}), MemoryPlace()
    first, *others = (Digest(digest) for digest in image.blobs)
    base = RepositoryName("acme/base")
    target.siblings[base] = {first: image.blobs[first]}
    report = copied(source, target, siblings=lambda digest: base if digest in {first, others[0]} else None)
    assert_whole(target, image)
    assert (report.blobs_mounted, report.blobs_copied) == (1, 2)


def test_a_root_may_be_copied_by_digest_alone() -> None:
    image = build_image()
    source, target = holding(image), MemoryPlace()
    report = copy_graph(source, target, Digest(image.digest))
    assert report.tag is None
    assert target.tags == {}
    assert Digest(image.digest) in target.manifests
    assert copy_graph(source, target, Digest(image.digest)).up_to_date


def test_signatures_follow_by_subject_and_by_cosigns_tag() -> None:
    index = two_platforms()
    of_root, of_child = build_referrer(index), build_referrer(index.children[0])
    of_signature = build_referrer(of_root)
    cosign = build_cosign_signature(index)
    sig = cosign_tag(index.digest)
    source = holding(index, of_root, of_child, of_signature, cosign, tags={V1: index, sig: cosign})
    target = MemoryPlace()
    report = copied(source, target)
    assert report.referrers == 4
    for signature in (of_root, of_child, of_signature, cosign):
        assert Digest(signature.digest) in target.manifests
    assert_whole(target, cosign, TagName(sig))
    assert target.did("push_manifest")[-1] == f"v1@{index.digest}"


def test_referrers_stay_behind_when_they_are_not_wanted() -> None:
    image = build_image()
    source, target = holding(image, build_referrer(image), tags={V1: image}), MemoryPlace()
    report = copied(source, target, referrers=False)
    assert report.referrers == 0
    assert len(target.manifests) == 1
    assert source.did("referrers") == []


def test_a_signature_that_comes_later_is_fetched_on_request() -> None:
    image = build_image()
    signature = build_referrer(image)
    source, target = holding(image, signature, tags={V1: image}), holding(image, tags={V1: image})
    assert copied(source, target).referrers == 0
    report = copied(source, target, refresh_referrers=True)
    assert (report.up_to_date, report.referrers) == (True, 1)
    assert Digest(signature.digest) in target.manifests
    assert f"v1@{image.digest}" not in target.did("push_manifest")


def test_layers_that_are_fetched_from_elsewhere_are_left_there() -> None:
    foreign = {
        "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "digest": digest_of(b"windows"),
        "size": 7,
        "urls": ["https://mcr.example/layer"],
    }
    image = build_image()
    document = json.loads(image.content)
    document["layers"].append(foreign)
    image = Artifact(content=json.dumps(document).encode(), media_type=image.media_type, blobs=image.blobs)
    source, target = holding(image, tags={V1: image}), MemoryPlace()
    copied(source, target)
    assert digest_of(b"windows") not in target.did("exists")
    assert target.tags[V1] == image.digest


def test_an_index_may_list_blobs() -> None:
    layer = b"a build cache"
    entry = {"mediaType": media_types.OCI_LAYER, "digest": digest_of(layer), "size": len(layer)}
    document = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": [entry]}
    cache = Artifact(
        content=json.dumps(document).encode(),
        media_type=media_types.OCI_INDEX,
        blobs={digest_of(layer): layer},
    )
    source, target = holding(cache, tags={V1: cache}), MemoryPlace()
    copied(source, target)
    assert_whole(target, cache)


def test_an_index_that_contains_the_same_child_twice_is_copied() -> None:
    child = build_image()
    index = build_index([child, child])
    target = MemoryPlace()
    copied(holding(index, tags={V1: index}), target)
    assert_whole(target, index)


def test_a_copy_that_was_overtaken_leaves_the_tag_alone() -> None:
    index, before = two_platforms(), build_image()
    source, target = holding(index, tags={V1: index}), holding(before, tags={V1: before})
    report = copied(source, target, superseded=lambda: True)
    assert (report.superseded, report.up_to_date) == (True, False)
    assert target.tags[V1] == before.digest


def test_a_long_copy_asks_on_its_way_whether_it_was_overtaken() -> None:
    image = build_image(layers=6)
    source, target = holding(image, tags={V1: image}), MemoryPlace()
    target.before = lambda operation, _: time.sleep(0.3) if operation == "push_blob" else None
    report = copied(source, target, superseded=lambda: True, threads=1)
    assert report.superseded
    assert len(target.did("push_blob")) < 7
    assert target.did("push_manifest") == []


def test_a_missing_source_is_blamed_on_the_source() -> None:
    with pytest.raises(CopyFailed, match=r"source.example/app:v1 does not exist") as caught:
        copied(holding(), MemoryPlace())
    assert caught.value.origin == "source"
    assert isinstance(caught.value.cause, NotFound)
    assert not caught.value.temporary


@pytest.mark.parametrize("operation", ["resolve", "fetch", "open", "referrers"])
def test_a_failing_source_is_blamed_on_the_source(operation: str) -> None:
    index = two_platforms()
    source, target = holding(index, tags={V1: index}), MemoryPlace()
    source.before = failing(99, RegistryUnavailable("down", registry="source.example"), at=operation)
    with pytest.raises(CopyFailed) as caught:
        copied(source, target)
    assert (caught.value.origin, caught.value.temporary) == ("source", True)
    assert target.tags == {}


@pytest.mark.parametrize("operation", ["resolve", "exists", "push_blob", "push_manifest"])
def test_a_failing_target_is_blamed_on_the_target(operation: str) -> None:
    index = two_platforms()
    source, target = holding(index, tags={V1: index}), MemoryPlace()
    target.before = failing(99, ContentRejected("no", registry="target.example"), at=operation)
    with pytest.raises(CopyFailed) as caught:
        copied(source, target)
    assert (caught.value.origin, caught.value.temporary) == ("target", False)
    assert target.tags == {}


def test_wrong_bytes_are_read_once_more_and_then_blamed_on_nobody_else() -> None:
    image = build_image()
    source, target = holding(image, tags={V1: image}), MemoryPlace()
    digest = next(iter(source.blobs))
    right, wrong = source.blobs[digest], b"?" * len(source.blobs[digest])
    opened: list[str] = []

    def corrupt_first(operation: str, subject: str) -> None:
        if operation == "open" and subject == digest:
            opened.append(subject)
            source.blobs[digest] = wrong if len(opened) == 1 else right

    source.before = corrupt_first
    copied(source, target)
    assert_whole(target, image)
    assert len(opened) == 2


def test_a_blob_that_is_claimed_but_missing_is_sent_by_force_once() -> None:
    index = two_platforms()
    source, target = holding(index, tags={V1: index}), ForgetfulPlace()
    report = copied(source, target)
    assert report.healed
    assert_whole(target, index)


class ForgetfulPlace(MemoryPlace):
    """Says that it has every blob, as Docker Hub does after an upload that was cancelled (near/mpc #3467)."""

    def blob_exists(self, descriptor: Descriptor) -> bool:
        super().blob_exists(descriptor)
        return True


class StubbornPlace(MemoryPlace):
    """Refuses a manifest for a missing blob whatever it is sent."""

    def push_manifest(self, content: bytes, media_type: str, *, tag: TagName | None = None) -> Descriptor:
        self._did("push_manifest", f"{tag or ''}@{digest_of(content)}")
        raise ManifestBlobUnknown(f"{media_type} is still missing something", registry=self.place)


def test_healing_is_tried_once() -> None:
    image = build_image()
    target = StubbornPlace()
    with pytest.raises(CopyFailed) as caught:
        copied(holding(image, tags={V1: image}), target)
    assert isinstance(caught.value.cause, ManifestBlobUnknown)
    assert len(target.did("push_manifest")) == 2


class ImmutablePlace(MemoryPlace):
    """Refuses every push to a tag that exists, the identical one, too; somebody else may be quicker."""

    def __init__(self, *, first: dict[TagName, Artifact]) -> None:
        super().__init__()
        self._first = first

    def push_manifest(self, content: bytes, media_type: str, *, tag: TagName | None = None) -> Descriptor:
        if tag is None:
            return super().push_manifest(content, media_type)
        other = self._first.get(tag)
        if other is not None:
            self.manifests[Digest(other.digest)] = (other.content, other.media_type)
            self.tags[tag] = Digest(other.digest)
        if tag in self.tags:
            raise AccessDenied("the tag is immutable", registry=self.place)
        return super().push_manifest(content, media_type, tag=tag)


def test_an_immutable_tag_that_became_right_meanwhile_is_right() -> None:
    image = build_image()
    target = ImmutablePlace(first={V1: image})
    copied(holding(image, tags={V1: image}), target)
    assert_whole(target, image)


def test_an_immutable_tag_that_became_another_meanwhile_is_a_failure() -> None:
    image = build_image()
    target = ImmutablePlace(first={V1: build_image()})
    with pytest.raises(CopyFailed, match="immutable"):
        copied(holding(image, tags={V1: image}), target)


def test_a_signature_under_an_immutable_tag_serves_every_tag_of_its_image() -> None:
    image = build_image()
    signature, name = build_cosign_signature(image), TagName(cosign_tag(image.digest))
    latest = TagName("latest")
    source = holding(image, signature, tags={V1: image, latest: image, name: signature})
    target = ImmutablePlace(first={})
    copied(source, target)
    copy_graph(source, target, latest, tag=latest, patience=0.2)
    assert target.tags == source.tags


class LaggingPlace(MemoryPlace):
    """Shows what was written only after some looks."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    def resolve(self, reference: TagName | Digest) -> Descriptor | None:
        found = super().resolve(reference)
        if reference in self.tags and self.looks:
            self.looks -= 1
            return None
        return found


def test_a_target_may_take_a_moment_to_show_the_tag() -> None:
    image = build_image()
    target = LaggingPlace(looks=3)
    copy_graph(holding(image, tags={V1: image}), target, V1, tag=V1, patience=5)
    assert target.looks == 0


def test_a_tag_that_is_never_shown_is_tried_again_later() -> None:
    image = build_image()
    with pytest.raises(CopyFailed, match=r"after 0\.2 s it shows nothing") as caught:
        copied(holding(image, tags={V1: image}), LaggingPlace(looks=10**6))
    assert (caught.value.origin, caught.value.temporary) == ("target", True)


class ClosedPlace(MemoryPlace):
    """Answers 403 about what is not there yet, as some registries do."""

    def resolve(self, reference: TagName | Digest) -> Descriptor | None:
        found = super().resolve(reference)
        if found is None:
            raise AccessDenied("denied", registry=self.place)
        return found


def test_a_403_about_what_is_not_there_yet_does_not_stop_a_copy() -> None:
    image = build_image()
    target = ClosedPlace()
    copied(holding(image, tags={V1: image}), target)
    assert_whole(target, image)


def test_a_manifest_that_cannot_be_understood_is_blamed_on_the_source() -> None:
    old = Artifact(content=b'{"schemaVersion": 1}', media_type=media_types.DOCKER_SCHEMA_1)
    with pytest.raises(CopyFailed) as caught:
        copied(holding(old, tags={V1: old}), MemoryPlace())
    assert caught.value.origin == "source"
    assert isinstance(caught.value.cause, InvalidManifest)


def by_sha512(artifact: Artifact) -> dict[str, object]:
    """Return the artifact's descriptor, by another algorithm than the usual one."""
    digest = f"sha512:{hashlib.sha512(artifact.content).hexdigest()}"
    return artifact.descriptor() | {"digest": digest}


@pytest.mark.parametrize("where", ["root", "child"])
def test_a_manifest_that_is_addressed_by_sha512_is_refused_by_name_before_anything_is_moved(
    where: str,
) -> None:
    image = build_image()
    entry = by_sha512(image)
    source, target = holding(image), MemoryPlace()
    held = Digest(str(entry["digest"]))
    source.manifests[held] = (image.content, image.media_type)
    source.tags[V1] = held
    if where == "child":
        document = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": [entry]}
        index = json.dumps(document).encode()
        source.tags[V1] = digest_of(index)
        source.manifests[digest_of(index)] = (index, media_types.OCI_INDEX)
    with pytest.raises(CopyFailed, match=f"{held}: manifests addressed by sha512 are not copied") as caught:
        copied(source, target)
    assert (caught.value.origin, caught.value.temporary) == ("source", False)
    assert target.did("push_blob") == target.did("push_manifest") == []


def test_a_layer_that_is_addressed_by_sha512_is_copied_by_it() -> None:
    image = build_image()
    document = json.loads(image.content)
    (layer,) = document["layers"]
    body = image.blobs[layer["digest"]]
    layer["digest"] = f"sha512:{hashlib.sha512(body).hexdigest()}"
    content = json.dumps(document).encode()
    source, target = holding(image), MemoryPlace()
    source.blobs[Digest(layer["digest"])] = body
    source.manifests[digest_of(content)] = (content, image.media_type)
    source.tags[V1] = digest_of(content)
    copied(source, target)
    assert target.blobs[Digest(layer["digest"])] == body


def test_indexes_without_end_are_refused() -> None:
    artifact = build_image()
    for _ in range(12):
        artifact = build_index([artifact])
    with pytest.raises(CopyFailed, match="nested deeper than 10"):
        copied(holding(artifact, tags={V1: artifact}), MemoryPlace())


def test_two_copies_of_one_tag_do_not_fight() -> None:
    index = two_platforms()
    source, target = holding(index, tags={V1: index}), MemoryPlace()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: copied(source, target), range(4)))
    assert_whole(target, index)


class TornError(RegistryUnavailable):
    """The line is cut at a chosen moment."""


def cut_at(step: int) -> Callable[[str, str], None]:
    seen = [0]

    def before(_operation: str, _subject: str) -> None:
        seen[0] += 1
        if seen[0] == step:
            raise TornError("cut", registry="anywhere")

    return before


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(step=st.integers(1, 60), side=st.sampled_from(["source", "target"]))
def test_wherever_a_copy_is_cut_no_tag_is_wrong_and_one_more_try_completes_it(step: int, side: str) -> None:
    index = build_index([build_image(seed=1), build_image(seed=2, platform="linux/arm64")])
    signature = build_referrer(index, seed=3)
    source, target = holding(index, signature, tags={V1: index}), MemoryPlace()
    cut = source if side == "source" else target
    cut.before = cut_at(step)
    try:
        copied(source, target)
    except CopyFailed as error:
        assert error.temporary  # noqa: PT017 - the cut may come too late to be noticed
        assert error.origin == side  # noqa: PT017
    if V1 in target.tags:
        assert_whole(target, index)
    cut.before = lambda _operation, _subject: None
    copied(source, target)
    assert_whole(target, index)
    assert Digest(signature.digest) in target.manifests
