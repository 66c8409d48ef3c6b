from shared.oci.names import Digest, TagName
from shared.retention.bound import bound_subject, bound_tags
from shared.retention.snapshot import TagRecord
from tests.retention.registry import NOW

SHA256 = Digest("sha256:" + "a" * 64)
SHA512 = Digest("sha512:" + "b" * 128)
OTHER = Digest("sha256:" + "c" * 64)


def bound(name: str, digest: Digest = OTHER) -> Digest | None:
    tag = TagRecord(TagName(name), digest, NOW, NOW)
    return bound_tags([tag], {SHA256, SHA512, OTHER}).get(tag.name)


def test_the_fallback_tag_and_all_of_cosigns_belong_to_their_subject() -> None:
    for suffix in ("", ".sig", ".att", ".sbom"):
        assert bound(f"sha256-{'a' * 64}{suffix}") == SHA256


def test_a_sha512_subject_is_found_by_what_the_tag_holds_of_it() -> None:
    assert bound(f"sha512-{'b' * 64}") == SHA512
    assert bound(f"sha512-{'b' * 128}.sig") is not None


def test_other_tags_belong_to_nothing() -> None:
    for name in (
        "latest",
        "sha256-abc.sig",
        f"sha256-{'a' * 128}",
        f"sha256-{'A' * 64}",
        f"x-sha256-{'a' * 64}",
    ):
        assert bound(name) is None


def test_a_subject_that_is_not_there_is_named_all_the_same() -> None:
    assert bound(f"sha256-{'d' * 64}.sig") == "sha256:" + "d" * 64


def test_a_tag_that_names_what_it_points_at_is_not_bound() -> None:
    assert bound(f"sha256-{'a' * 64}", SHA256) is None


def test_a_name_alone_tells_a_sha256_subject() -> None:
    assert bound_subject(TagName(f"sha256-{'a' * 64}.sig")) == SHA256
    assert bound_subject(TagName(f"sha512-{'b' * 64}")) is None
    assert bound_subject(TagName("latest")) is None
