"""What ``docs/operations.md`` says of stopping: what waits, waits; and nothing is removed in plan mode."""

from pathlib import Path

import pytest

from emulators.registry.images import build_image
from tests.e2e.world import days_ago, eventually, retention, world

DISABLED = "AzureWebJobs.clean_repository.Disabled"
REPOSITORY = "e2e/stopped"


@pytest.mark.e2e
def test_a_disabled_function_leaves_its_messages_and_they_remove_nothing_once_the_mode_is_plan(
    tmp_path: Path,
) -> None:
    settings = {"CLEANUP_MODE": "apply", DISABLED: "true"}
    with world(tmp_path, policy=retention(REPOSITORY), settings=settings) as steward:
        build_image().push_to(steward.state, REPOSITORY, tag="pr-1", at=days_ago(60))
        queue = steward.stack.settings["CLEANUP_QUEUE"]
        run = steward.open_night()
        eventually(lambda: steward.queue_length(queue) == 1, "the repository to be queued")

        steward.stack.restart_host({"CLEANUP_MODE": "plan", DISABLED: "false"})

        summary = steward.ended(run)
        assert (summary["mode"], summary["state"]) == ("apply", "finished")
        report = steward.finished_report(run, REPOSITORY)
        assert [untag["tag"] for untag in report["plan"]["untag"]] == ["pr-1"]
        assert report["outcomes"] == []
        assert "pr-1" in steward.acr.tags(REPOSITORY)

        steward.run_in_mode("apply")

        assert steward.night()["done"]["untagged"] == 1
        assert steward.acr.tags(REPOSITORY) == []
