"""How late a tag came: from the push to the source to the copied tag."""

from datetime import timedelta

from emulators.registry.images import build_image, build_referrer
from shared.jobs.overview import run_view
from shared.jobs.reconciling import start_reconciliation
from shared.jobs.runs import replication_run
from shared.jobs.status import run_summary
from tests.replication.desk import Desk


def test_a_copied_tag_says_when_its_source_was_pushed_and_how_much_later_it_came(desk: Desk) -> None:
    desk.route()
    desk.push(build_image(), "v1")
    desk.world.clock.pass_by(seconds=90)
    (outcome,) = desk.work()
    assert outcome.result == "copied"
    assert outcome.pushed == desk.world.clock.now - timedelta(seconds=90)
    assert outcome.lag == 90.0
    assert outcome.to_json()["lag_seconds"] == 90.0


def test_what_was_there_before_and_what_hides_its_times_has_no_lag(desk: Desk) -> None:
    desk.route()
    image = build_image()
    digest = desk.push(image, "v1")
    desk.world.acr.faults.inject(path="/acr/v1/.*", status=403, times=None)
    (hidden,) = desk.work()
    assert (hidden.result, hidden.pushed, hidden.lag) == ("copied", None, None)
    desk.world.acr.faults.clear()
    desk.event("push", tag="v1", digest=digest)
    (there,) = desk.work()
    assert (there.result, there.lag) == ("up_to_date", None)
    desk.world.clock.pass_by(hours=5)
    signature = build_referrer(image)
    desk.world.push(signature)
    desk.event("push", digest=signature.digest)
    (refreshed,) = desk.work()
    assert (refreshed.result, refreshed.lag) == ("copied", None), "the image itself is not five hours late"


def test_a_source_whose_clock_is_ahead_is_not_copied_before_its_push(desk: Desk) -> None:
    desk.route()
    desk.push(build_image(), "v1", days=-0.001)
    (outcome,) = desk.work()
    assert outcome.lag == 0.0


def test_a_run_sums_up_how_late_its_tags_were(desk: Desk) -> None:
    desk.route()
    run = replication_run(desk.world.clock.now)
    for number, minutes in enumerate((1, 2, 9)):
        desk.push(build_image(), f"v{number}", days=minutes / 1440)
    desk.work()
    summary = run_summary(desk.services, run)
    assert summary is not None
    assert summary["lag"] == {"tags": 3, "median_seconds": 120.0, "max_seconds": 540.0}
    view = run_view(desk.services, run)
    assert view is not None
    assert (view.copies.median_lag, view.copies.longest_lag) == (120.0, 540.0)


def test_lines_of_before_have_no_lag_and_are_read_all_the_same(desk: Desk) -> None:
    line = {
        "route": "hub",
        "source": "a",
        "target": "b",
        "result": "copied",
        "at": "2026-01-01T00:00:00+00:00",
    }
    desk.services.runs.replications("pushes-20260101").append([line])
    summary = run_summary(desk.services, "pushes-20260101")
    assert summary is not None
    assert (summary["done"], summary["lag"]) == ({"copied": 1}, None)
    view = run_view(desk.services, "pushes-20260101")
    assert view is not None
    assert (view.copies.median_lag, view.copies.longest_lag) == (None, None)


def test_a_reconciliation_says_how_late_what_it_found_was(desk: Desk) -> None:
    desk.route()
    desk.world.push(build_image(), tag="v1", days=2)
    run = start_reconciliation(desk.services, now=desk.world.clock())
    desk.work()
    summary = run_summary(desk.services, run.name)
    assert summary is not None
    assert summary["lag"]["max_seconds"] == 2 * 86400
