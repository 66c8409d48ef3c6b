import glob
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import InvalidInput
from shared.oci.names import LoginServer, RepositoryName, TagName
from shared.selection import RepositorySelection, TagSelection, parse_glob

_PARTS = st.sampled_from(["a", "b", "*", "**", "a*", "*b", "?", "a*b*", "[ab]", "[!a]b", "ab"])
_NAMES = st.lists(st.sampled_from(["a", "b", "ab", "aab"]), min_size=1, max_size=5).map("/".join)


@given(st.lists(_PARTS, min_size=1, max_size=5).map("/".join), _NAMES)
@settings(max_examples=500)
def test_repository_globs_mean_what_globs_of_paths_mean(pattern: str, name: str) -> None:
    expected = re.compile(glob.translate(pattern, recursive=True, include_hidden=True, seps="/"))
    assert parse_glob(pattern, "repository").matches(name) == (expected.match(name) is not None)


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("**", ["a", "a/b", "a/b/c"], []),
        ("team/**", ["team/a", "team/a/b"], ["team", "teams/a"]),
        ("team/*", ["team/a"], ["team", "team/a/b"]),
        ("**/app", ["app", "a/app", "a/b/app"], ["apps", "app/a"]),
        ("a/**/z", ["a/z", "a/b/z", "a/b/c/z"], ["a/b", "z"]),
        ("app-[0-9]", ["app-1"], ["app-x", "app-10"]),
        ("app-[!0-9]", ["app-x"], ["app-1", "app-/"]),
        ("app-?", ["app-x"], ["app-", "app-xy", "app-/"]),
    ],
)
def test_repository_globs(pattern: str, matching: list[str], other: list[str]) -> None:
    found = parse_glob(pattern, "repository")
    assert [name for name in [*matching, *other] if found.matches(name)] == matching


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("pr-*", ["pr-1", "pr-"], ["xpr-1", "PR-1"]),
        ("*", ["a", "1.0"], []),
        ("v1.?", ["v1.0"], ["v1.10", "v1x0"]),
        ("*-rc*", ["1-rc", "1-rc2"], ["1-r", "rc"]),
        ("**", ["a"], []),
    ],
)
def test_tag_globs(pattern: str, matching: list[str], other: list[str]) -> None:
    selection = TagSelection(globs=(parse_glob(pattern, "tag"),))
    assert [name for name in [*matching, *other] if selection.match(TagName(name)) is not None] == matching


@pytest.mark.parametrize(
    ("pattern", "kind", "message"),
    [
        ("", "tag", "matches nothing"),
        ("Team/**", "repository", "repositories are lower-case"),
        ("/team", "repository", "neither starts nor ends with '/'"),
        ("team//app", "repository", "neither starts nor ends with '/'"),
        ("pr-(\\d+)", "tag", "regular expressions go under tags_matching"),
        ("a|b", "tag", "regular expressions go under tags_matching"),
        ("a{b,c}", "tag", "no tag has the character '{'"),
        ("[a", "tag", "'\\[' is not closed"),
        ("[z-a]", "tag", "is no range of characters"),
        ("[a--b]", "tag", "can be read in two ways"),
        ("[a/b]", "repository", "is not closed"),
        ("x" * 513, "tag", "the longest is 512"),
        ("https://a", "registry", "no registry has the character '/'"),
    ],
)
def test_a_glob_that_could_never_match_is_refused(pattern: str, kind: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        parse_glob(pattern, kind)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pattern", "kind", "name"),
    [
        ("*a" * 60 + "*b", "tag", "a" * 128),
        ("**/a/" * 60 + "b", "repository", "a/" * 120 + "c"),
        ("*a" * 60 + "*b/**", "repository", "a" * 200 + "/c"),
    ],
)
def test_no_glob_takes_for_ever(pattern: str, kind: str, name: str) -> None:
    found = parse_glob(pattern, kind)  # type: ignore[arg-type]
    started = time.perf_counter()
    assert not found.matches(name)
    assert time.perf_counter() - started < 0.5


def test_registries_match_whatever_the_case_of_the_pattern() -> None:
    selection = RepositorySelection(
        registries=(parse_glob("*.AzureCR.io", "registry"),), repositories=(parse_glob("**", "repository"),)
    )
    assert selection.covers(LoginServer("demo.azurecr.io"), RepositoryName("app"))
    assert not selection.covers(LoginServer("docker.io"), RepositoryName("app"))


def test_excluding_beats_including() -> None:
    repositories = RepositorySelection(
        repositories=(parse_glob("**", "repository"),), excluded=(parse_glob("team/*", "repository"),)
    )
    assert not repositories.covers(LoginServer("demo.azurecr.io"), RepositoryName("team/app"))
    assert repositories.covers(LoginServer("demo.azurecr.io"), RepositoryName("team/app/deep"))
    tags = TagSelection(globs=(parse_glob("*", "tag"),), excluded=(parse_glob("v*", "tag"),))
    assert tags.match(TagName("v1")) is None
    assert tags.match(TagName("main")) == {}
