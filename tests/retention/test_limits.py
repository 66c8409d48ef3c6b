import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.retention.limits import Limit, Refusal, check_run_limits, refuse


@pytest.mark.parametrize(
    ("limit", "removals", "total", "exceeded"),
    [
        (Limit(), 10, 10, False),
        (Limit(deletions=5), 5, 10, False),
        (Limit(deletions=5), 6, 10, True),
        (Limit(percent=50), 5, 10, False),
        (Limit(percent=50), 6, 10, True),
        (Limit(percent=50), 0, 0, False),
        (Limit(deletions=5, percent=50, combine="or"), 6, 100, True),
        (Limit(deletions=5, percent=50, combine="and"), 6, 100, False),
        (Limit(deletions=5, percent=50, combine="and"), 6, 10, True),
        (Limit(deletions=5, percent=50, combine="and"), 3, 4, False),
    ],
)
def test_a_limit_is_exceeded_beyond_its_number(
    limit: Limit,
    removals: int,
    total: int,
    exceeded: bool,  # noqa: FBT001
) -> None:
    assert limit.is_exceeded(removals, total) is exceeded


def test_tags_are_limited_even_where_no_manifest_goes() -> None:
    refusal = refuse({"tags": 10, "untag": 9, "manifests": 10, "delete": 0}, Limit(percent=50), "repository")
    assert refusal is not None
    assert str(refusal) == "would remove 9 of 10 tags (90 %); the limit of a repository is 50 %"


def test_a_run_is_limited_by_all_its_plans_together() -> None:
    counts = {"tags": 0, "untag": 0, "manifests": 100, "delete": 30}
    assert check_run_limits([counts], Limit(deletions=50)) is None
    refusal = check_run_limits([counts, counts], Limit(deletions=50))
    assert str(refusal) == "would remove 60 of 200 manifests (30 %); the limit of a run is 50"


def test_what_a_refused_plan_would_remove_does_not_count_in_the_run() -> None:
    counts = {"tags": 5, "untag": 5, "manifests": 100, "delete": 60}
    assert check_run_limits([{**counts, "refused": 1}], Limit(deletions=3)) is None


@given(
    st.builds(
        Limit,
        deletions=st.none() | st.integers(1, 10),
        percent=st.none() | st.integers(1, 100),
        combine=st.sampled_from(["or", "and"]),
    ),
    st.integers(0, 20),
    st.integers(0, 20),
)
def test_more_is_never_allowed_where_less_is_not(limit: Limit, removals: int, others: int) -> None:
    total = removals + others + 1
    if limit.is_exceeded(removals, total):
        assert limit.is_exceeded(removals + 1, total)
    refusal = refuse({"manifests": total, "delete": removals}, limit, "run")
    assert (refusal is not None) == limit.is_exceeded(removals, total)
    if refusal is not None:
        assert Refusal.from_json(refusal.to_json()) == refusal
