import time
from collections.abc import Callable

import pytest

from emulators.acr import AcrEmulator
from emulators.registry.images import build_image
from tests.cli.conftest import Push
from tests.cli.terminal import Steward

COMMON = ("--policy", "policy.yaml", "--at", "2026-03-01T00:00:00Z")


def tags(acr: AcrEmulator, repository: str) -> set[str]:
    found = acr.state.repository(repository)
    assert found is not None
    return {tag for tag in found.tags if not tag.startswith("sha256-")}


def test_a_person_sees_the_plan_says_yes_and_it_is_done(
    steward: Steward, acr: AcrEmulator, registry: str, filled: str, transcript: Callable[[str, str], None]
) -> None:
    with steward.terminal("clean", filled, "--registry", registry, *COMMON, "-q") as terminal:
        terminal.wait_for("[y/N]")
        assert tags(acr, filled) == {"v1.0", "pr-1", "pr-2", "pr-3"}
        terminal.answer("y")
        assert terminal.finish() == 0
    assert tags(acr, filled) == {"v1.0", "pr-3"}
    transcript("clean-80", terminal.text)


@pytest.mark.parametrize("answer", ["n", ""])
def test_any_other_answer_changes_nothing(
    steward: Steward, acr: AcrEmulator, registry: str, filled: str, answer: str
) -> None:
    with steward.terminal("clean", filled, "--registry", registry, *COMMON) as terminal:
        terminal.wait_for("[y/N]")
        terminal.answer(answer)
        assert terminal.finish() == 1
    assert "nothing was changed" in terminal.text
    assert tags(acr, filled) == {"v1.0", "pr-1", "pr-2", "pr-3"}


def test_ctrl_c_at_the_question_changes_nothing(
    steward: Steward, acr: AcrEmulator, registry: str, filled: str
) -> None:
    with steward.terminal("clean", filled, "--registry", registry, *COMMON) as terminal:
        terminal.wait_for("[y/N]")
        time.sleep(0.5)  # nobody is quicker: the prompt is shown a moment before it listens
        terminal.interrupt()
        assert terminal.finish() == 130
    assert "Traceback" not in terminal.text
    assert tags(acr, filled) == {"v1.0", "pr-1", "pr-2", "pr-3"}


def test_without_a_terminal_it_refuses(
    steward: Steward, acr: AcrEmulator, registry: str, filled: str
) -> None:
    done = steward.run("clean", filled, "--registry", registry, *COMMON)
    assert done.code == 2
    assert "--yes" in done.err
    assert tags(acr, filled) == {"v1.0", "pr-1", "pr-2", "pr-3"}


def test_yes_is_for_scripts_and_json_tells_what_became_of_each(
    steward: Steward, acr: AcrEmulator, registry: str, filled: str
) -> None:
    done = steward.run("clean", filled, "--registry", registry, *COMMON, "--yes", "--json")
    assert done.code == 0
    (cleaned,) = done.json["repositories"]
    assert [outcome["result"] for outcome in cleaned["outcomes"]] == ["done"] * 7
    assert cleaned["counts"]["untagged"] == 2
    assert cleaned["counts"]["deleted"] == 5
    assert tags(acr, filled) == {"v1.0", "pr-3"}
    again = steward.run("clean", filled, "--registry", registry, *COMMON, "--yes", "--json")
    assert again.code == 0
    assert again.json["repositories"][0]["outcomes"] == []


def test_what_limits_refuse_stays(steward: Steward, acr: AcrEmulator, registry: str, filled: str) -> None:
    policy = steward.directory / "policy.yaml"
    policy.write_text(policy.read_text() + "  limits: {repository: {deletions: 1}}\n")
    done = steward.run("clean", filled, "--registry", registry, *COMMON, "--yes")
    assert done.code == 3
    assert tags(acr, filled) == {"v1.0", "pr-1", "pr-2", "pr-3"}


def test_a_refused_delete_is_reported_and_the_rest_is_done(
    steward: Steward, acr: AcrEmulator, registry: str, filled: str
) -> None:
    acr.faults.inject(method="DELETE", path=f"/acr/v1/{filled}/_tags/pr-1", status=400, times=99)
    done = steward.run("clean", filled, "--registry", registry, *COMMON, "--yes")
    assert done.code == 4
    assert "untag pr-1" in done.err
    assert tags(acr, filled) == {"v1.0", "pr-1", "pr-3"}


def test_ctrl_c_stops_after_what_is_under_way_and_says_how_much_is_left(
    steward: Steward, acr: AcrEmulator, registry: str, repository: str, push: Push
) -> None:
    for number in range(150):
        push(repository, build_image(seed=number), tag=f"pr-{number}", days=60)
    push(repository, build_image(), tag="pr-new", days=1)
    with steward.terminal("clean", repository, "--registry", registry, *COMMON, "--yes") as terminal:
        terminal.wait_for("would go")
        acr.latency = 0.05
        acr.traffic.clear()
        terminal.wait_for("cleaning")
        while acr.traffic.count(method="DELETE") < 10:
            time.sleep(0.01)
        terminal.interrupt()
        assert terminal.finish() == 130
    assert "Traceback" not in terminal.text
    left = len(tags(acr, repository)) - 1
    assert 0 < left < 140
    assert f"stopped: {left + 150} actions not tried" in terminal.text
    acr.latency = 0.0
    assert steward.run("clean", repository, "--registry", registry, *COMMON, "--yes").code == 0
    assert tags(acr, repository) == {"pr-new"}


def test_a_registry_that_asks_to_wait_is_waited_for(
    steward: Steward, acr: AcrEmulator, registry: str, filled: str
) -> None:
    acr.faults.inject(
        method="DELETE",
        path=f"/acr/v1/{filled}/_tags/pr-1",
        status=429,
        headers={"Retry-After": "50"},
        times=1,
    )
    with steward.terminal("clean", filled, "--registry", registry, *COMMON, "--yes") as terminal:
        terminal.wait_for("going on in 50 seconds")
        terminal.interrupt()
        assert terminal.finish() == 130
    assert "Traceback" not in terminal.text


@pytest.mark.parametrize("scope", ["repository", "run"])
def test_what_a_cap_leaves_over_is_said_and_goes_with_the_next_run(
    steward: Steward, acr: AcrEmulator, filled: str, push: Push, scope: str
) -> None:
    registry, other = acr.login_server, f"{filled}-other"
    push(other, build_image(seed=30), tag="pr-1", days=40)
    push(other, build_image(seed=31), tag="pr-2", days=1)
    policy = steward.directory / "policy.yaml"
    policy.write_text(policy.read_text() + f"  at_most: {{{scope}: 3}}\n")
    plan = steward.run("plan", filled, other, "--registry", registry, *COMMON)
    assert plan.code == 0
    assert "postponed: " in plan.out
    assert "wait for another run" in plan.out
    before = tags(acr, filled) | tags(acr, other)
    done = steward.run("clean", filled, other, "--registry", registry, *COMMON, "--yes")
    assert done.code == 0
    assert "run it again for what waits" in done.err
    assert tags(acr, filled) | tags(acr, other) < before or tags(acr, other) == {"pr-2"}
    for _ in range(3):
        done = steward.run("clean", filled, other, "--registry", registry, *COMMON, "--yes", "--json")
    assert "left for the next run" not in done.out
    assert tags(acr, filled) == {"v1.0", "pr-3"}
    assert tags(acr, other) == {"pr-2"}
