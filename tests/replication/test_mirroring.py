"""``on_delete: mirror``: what vanishes at the source vanishes on the target, if this app put it there."""

from emulators.registry.images import build_image
from shared.jobs.reconciling import start_reconciliation
from shared.jobs.status import run_summary
from tests.replication.desk import Desk


def reconcile(desk: Desk) -> str:
    run = start_reconciliation(desk.services, now=desk.world.clock())
    desk.work()
    return run.name


def test_a_tag_that_is_gone_at_the_source_goes_on_the_target_after_a_delete_event(desk: Desk) -> None:
    desk.route(on_delete="mirror")
    gone = desk.push(build_image(), "v1")
    stays = desk.push(build_image(), "v2")
    desk.work()
    assert desk.on_hub() == {"v1": gone, "v2": stays}
    desk.world.acr.state.delete_manifest(desk.world.repository, gone)
    desk.event("delete", digest=gone)
    assert desk.on_hub() == {"v1": gone, "v2": stays}
    desk.work()
    assert desk.on_hub() == {"v2": stays}


def test_an_untag_raises_no_event_and_is_found_by_reconciliation(desk: Desk) -> None:
    desk.route(on_delete="mirror")
    desk.push(build_image(), "v1")
    desk.work()
    desk.untag("v1")
    run = reconcile(desk)
    assert desk.on_hub() == {}
    assert desk.report(run)["counts"]["removed"] == 1
    summary = run_summary(desk.services, run)
    assert summary is not None
    assert summary["state"] == "finished"
    assert summary["drift"]["removed"] == 1


def test_by_default_nothing_goes(desk: Desk) -> None:
    desk.route()
    digest = desk.push(build_image(), "v1")
    desk.work()
    desk.untag("v1")
    desk.event("delete", digest=digest)
    run = reconcile(desk)
    assert desk.on_hub() == {"v1": digest}
    assert desk.report(run)["counts"]["orphaned"] == 1
    assert "removed" not in desk.report(run)["counts"]
