import re

import pytest

from shared import errors
from shared.errors import (
    CopyFailed,
    InvalidPolicy,
    NotFound,
    Problem,
    RateLimited,
    RegistryError,
    RegistryUnavailable,
    StewardError,
    StorageUnavailable,
)


def drawn() -> dict[str, str]:
    """Return the tree of the module's docstring: each error, and the one it hangs under."""
    parents: list[tuple[int, str]] = []
    found: dict[str, str] = {}
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"\s*(?P<lines>[│ ]*[├└]── )?(?P<name>[A-Z]\w+)(\s{2,}.*)?$", line)
        if match is None or not (match["lines"] or match["name"] == "StewardError"):
            continue
        column = line.index(match["name"])
        while parents and parents[-1][0] >= column:
            parents.pop()
        if parents:
            found[match["name"]] = parents[-1][1]
        parents.append((column, match["name"]))
    return found


def defined() -> dict[str, str]:
    """Return the real tree; a private class in between is no node of it."""
    found: dict[str, str] = {}
    for error in vars(errors).values():
        if not isinstance(error, type) or not issubclass(error, StewardError) or error is StewardError:
            continue
        if error.__name__.startswith("_"):
            continue
        public = (base for base in error.__mro__[1:] if not base.__name__.startswith("_"))
        found[error.__name__] = next(public).__name__
    return found


def test_the_drawn_tree_is_the_real_tree() -> None:
    assert drawn() == defined()


def test_the_tree_was_really_read() -> None:
    assert drawn()["DigestMismatch"] == "ProtocolViolation"
    assert drawn()["InvalidPolicy"] == "InvalidInput"


def test_all_that_may_pass_by_itself_is_temporary_and_nothing_else() -> None:
    temporary = {
        error.__name__
        for error in vars(errors).values()
        if isinstance(error, type) and issubclass(error, StewardError) and error.temporary is True
    }
    assert temporary == {"RateLimited", "RegistryUnavailable", "StorageUnavailable"}


def test_a_failed_copy_is_as_temporary_as_its_cause() -> None:
    unavailable = RegistryUnavailable("down", registry="docker.io")
    gone = NotFound("gone", registry="docker.io", status=404)
    assert CopyFailed("team/app:v1", origin="target", cause=unavailable).temporary is True
    failed = CopyFailed("team/app:v1", origin="source", cause=gone)
    assert failed.temporary is False
    assert str(failed) == "copying team/app:v1: source failed: docker.io: 404 gone"


def test_a_registry_error_says_what_was_asked_and_answered() -> None:
    error = RegistryError(
        "no such manifest",
        registry="demo.azurecr.io",
        method="GET",
        url="https://demo.azurecr.io/v2/app/manifests/v1",
        status=404,
        codes=["MANIFEST_UNKNOWN"],
    )
    assert str(error) == (
        "demo.azurecr.io: GET https://demo.azurecr.io/v2/app/manifests/v1: 404 [MANIFEST_UNKNOWN] "
        "no such manifest"
    )


def test_a_rate_limit_knows_when_to_come_back() -> None:
    assert RateLimited("slow down", registry="docker.io", retry_after=2.5).retry_after == 2.5
    assert StorageUnavailable("busy").temporary is True


def test_all_problems_of_a_document_are_in_one_error() -> None:
    error = InvalidPolicy(
        "policy.yaml", [Problem(path="a.b", message="missing", line=3), Problem(path="c", message="twice")]
    )
    assert str(error) == "policy.yaml: a.b (line 3): missing; c: twice"
    assert error.problems[0].line == 3
    with pytest.raises(ValueError, match="missing"):
        raise error
