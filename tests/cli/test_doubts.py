"""Docker Hub's times alone never remove what the times at the sources keep."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from cli.doubts import in_doubt
from shared.retention.plan import plan_repository
from shared.retention.rules import RetentionPolicy
from shared.retention.snapshot import RepositorySnapshot
from tests.retention.strategies import EXAMPLES, NOW, policies, snapshots


@st.composite
def replicas(draw: st.DrawFn) -> tuple[RepositorySnapshot, RepositorySnapshot]:
    """A repository with the times of its sources, and as Docker Hub dates it: by later replications."""
    true = draw(snapshots())
    delays = st.sampled_from([0, 1, 30, 24 * 10, 24 * 100])
    tags = []
    for tag in true.tags:
        pushed = min(NOW, tag.updated + timedelta(hours=draw(delays)))
        tags.append(tag._replace(created=pushed, updated=pushed))
    return true, replace(true, tags=tags)


@EXAMPLES
@given(replicas(), policies())
def test_in_doubt_nothing_goes_that_true_times_keep(
    seen: tuple[RepositorySnapshot, RepositorySnapshot], policy: RetentionPolicy
) -> None:
    true, dated = seen
    careful, _ = in_doubt(policy)
    certain = plan_repository(true, policy, now=NOW)
    cautious = plan_repository(dated, careful, now=NOW)
    assert {untag.tag for untag in cautious.untag} <= {untag.tag for untag in certain.untag}
    assert {each.digest for each in cautious.delete} <= {each.digest for each in certain.delete}
