import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidName
from shared.oci.names import (
    DOCKER_HUB,
    LoginServer,
    Reference,
    parse_digest,
    parse_login_server,
    parse_reference,
    parse_repository,
    parse_tag,
)

HEX = "0123456789abcdef"
DIGEST = "sha256:" + "a" * 64
LOWER = string.ascii_lowercase + string.digits

digests = st.one_of(
    st.text(HEX, min_size=64, max_size=64).map(lambda text: f"sha256:{text}"),
    st.text(HEX, min_size=128, max_size=128).map(lambda text: f"sha512:{text}"),
)
tags = st.builds(
    lambda first, rest: first + rest,
    st.sampled_from(string.ascii_letters + string.digits + "_"),
    st.text(string.ascii_letters + string.digits + "_.-", max_size=127),
)
components = st.lists(st.text(LOWER, min_size=1, max_size=8), min_size=1, max_size=3).flatmap(
    lambda parts: st.lists(
        st.sampled_from([".", "_", "__", "-", "--"]), min_size=len(parts) - 1, max_size=len(parts) - 1
    ).map(lambda seams: parts[0] + "".join(map("".join, zip(seams, parts[1:], strict=True))))
)
repositories = st.lists(components, min_size=1, max_size=4).map("/".join)
ports = st.integers(1, 65535)
hosts = st.one_of(
    st.builds(lambda name: f"{name}.azurecr.io", st.text(LOWER, min_size=5, max_size=10)),
    st.builds(lambda port: f"localhost:{port}", ports),
    st.builds(lambda name, port: f"{name}.example:{port}", st.text(LOWER, min_size=1, max_size=5), ports),
    st.just("localhost"),
    st.just("docker.io"),
)


@given(digests)
def test_a_digest_reads_back(text: str) -> None:
    assert parse_digest(text) == text


@given(tags)
def test_a_tag_reads_back(text: str) -> None:
    assert parse_tag(text) == text


@given(repositories)
def test_a_repository_reads_back(text: str) -> None:
    assert parse_repository(text) == text


@given(hosts)
def test_a_login_server_reads_back_in_lower_case(text: str) -> None:
    assert parse_login_server(text.upper()) == text


@given(hosts, repositories, st.none() | tags, st.none() | digests)
def test_a_reference_reads_back(host: str, repository: str, tag: str | None, digest: str | None) -> None:
    if host == DOCKER_HUB and "/" not in repository:
        repository = f"library/{repository}"
    reference = Reference(
        registry=LoginServer(host),
        repository=parse_repository(repository),
        tag=None if tag is None else parse_tag(tag),
        digest=None if digest is None else parse_digest(digest),
    )
    assert parse_reference(str(reference)) == reference


@given(st.text())
def test_any_text_is_a_name_or_an_invalid_one(text: str) -> None:
    for parse in (parse_digest, parse_tag, parse_repository, parse_login_server, parse_reference):
        try:
            found = parse(text)
        except InvalidName:
            continue
        assert str(found).isascii()


@pytest.mark.parametrize(
    ("text", "registry", "repository", "tag", "digest"),
    [
        ("demo.azurecr.io/app", "demo.azurecr.io", "app", None, None),
        ("demo.azurecr.io/team/app:v1", "demo.azurecr.io", "team/app", "v1", None),
        ("localhost:5000/app:v1", "localhost:5000", "app", "v1", None),
        ("localhost/app", "localhost", "app", None, None),
        (f"demo.azurecr.io/app@{DIGEST}", "demo.azurecr.io", "app", None, DIGEST),
        (f"demo.azurecr.io:443/app:v1@{DIGEST}", "demo.azurecr.io:443", "app", "v1", DIGEST),
        ("docker.io/alpine", "docker.io", "library/alpine", None, None),
        ("index.docker.io/acme/app:1.0", "docker.io", "acme/app", "1.0", None),
        ("registry-1.docker.io/alpine:3", "docker.io", "library/alpine", "3", None),
        ("Demo.AzureCR.io/app", "demo.azurecr.io", "app", None, None),
    ],
)
def test_references_are_taken_apart(
    text: str, registry: str, repository: str, tag: str | None, digest: str | None
) -> None:
    found = parse_reference(text)
    assert (found.registry, found.repository, found.tag, found.digest) == (registry, repository, tag, digest)


def test_without_a_registry_the_default_is_meant() -> None:
    assert str(parse_reference("team/app:v1", default_registry=LoginServer("demo.azurecr.io"))) == (
        "demo.azurecr.io/team/app:v1"
    )
    assert str(parse_reference("alpine", default_registry=DOCKER_HUB)) == "docker.io/library/alpine"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("team/app:v1", "starts with no registry"),
        ("demo.azurecr.io/App", "is not a repository"),
        ("demo.azurecr.io/app:", "is not a tag"),
        ("demo.azurecr.io/app:-x", "is not a tag"),
        ("demo.azurecr.io/app@sha256:abc", "needs 64 lower-case hex digits"),
        ("demo.azurecr.io/app@", "is not a digest"),
        ("demo.azurecr.io/", "is not a repository"),
        ("demo.azurecr.io//app", "is not a repository"),
        ("https://demo.azurecr.io/app", "is not a login server"),
    ],
)
def test_the_wrong_part_of_a_reference_is_named(text: str, message: str) -> None:
    with pytest.raises(InvalidName, match=message):
        parse_reference(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256:",
        "sha256:" + "A" * 64,
        "sha256:" + "a" * 63,
        "sha256:" + "a" * 65,
        "sha384:" + "a" * 96,
        "md5:" + "a" * 32,
        f"{DIGEST}\n",
        "sha256:" + "g" * 64,
    ],
)
def test_what_is_no_digest_is_refused(text: str) -> None:
    with pytest.raises(InvalidName):
        parse_digest(text)


@pytest.mark.parametrize("text", ["", ".x", "-x", "a" * 129, "a/b", "a:b", "a\n", "é", "a b", "a+b"])
def test_what_is_no_tag_is_refused(text: str) -> None:
    with pytest.raises(InvalidName):
        parse_tag(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/a",
        "a/",
        "a//b",
        "A",
        "a_",
        "_a",
        "a..b",
        "a___b",
        "a._b",
        ".a",
        "a-",
        "a" * 256,
        "a\n",
        "..",
        "a/../b",
    ],
)
def test_what_is_no_repository_is_refused(text: str) -> None:
    with pytest.raises(InvalidName):
        parse_repository(text)


@pytest.mark.parametrize(
    "text",
    ["", "a b", "a/b", "https://a", "a:0", "a:65536", "a:x", "-a.io", "a..b", "a" * 256, "a.io\n", "ä.io"],
)
def test_what_is_no_login_server_is_refused(text: str) -> None:
    with pytest.raises(InvalidName):
        parse_login_server(text)


def test_a_long_hostile_name_is_cut_in_the_message() -> None:
    with pytest.raises(InvalidName) as caught:
        parse_tag("x" * 100_000)
    assert len(str(caught.value)) < 300
