import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from emulators.acr import AcrEmulator
from emulators.registry.images import build_image, build_index
from tests.cli.conftest import Push
from tests.cli.terminal import Steward

ONLY_HERE = ("--policy", "policy.yaml", "--at", "2026-03-01T00:00:00Z")


@pytest.mark.parametrize("width", [80, 120])
def test_a_plan_fits_the_terminal(
    steward: Steward, registry: str, filled: str, width: int, transcript: Callable[[str, str], None]
) -> None:
    with steward.terminal("plan", filled, "--registry", registry, *ONLY_HERE, "-q", width=width) as terminal:
        assert terminal.finish() == 0
    transcript(f"plan-{width}", terminal.text)
    assert max(map(len, terminal.text.splitlines())) <= width


def test_a_verbose_plan_gives_the_reason_of_what_stays(
    steward: Steward, registry: str, filled: str, transcript: Callable[[str, str], None]
) -> None:
    with steward.terminal("plan", filled, "--registry", registry, *ONLY_HERE, "-qv", width=120) as terminal:
        assert terminal.finish() == 0
    transcript("plan-verbose-120", terminal.text)


def test_the_json_document_is_as_it_always_was(
    steward: Steward, registry: str, filled: str, transcript: Callable[[str, str], None]
) -> None:
    with steward.terminal("plan", filled, "--registry", registry, *ONLY_HERE, "-q", "--json") as terminal:
        assert terminal.finish() == 0
    digest = json.loads(terminal.text)["policy_digest"]
    transcript("plan-json", terminal.text.replace(digest, "sha256:of-the-policy"))


@pytest.mark.parametrize("width", [80, 120])
def test_an_explanation_fits_the_terminal(
    steward: Steward, registry: str, filled: str, width: int, transcript: Callable[[str, str], None]
) -> None:
    shown = ""
    for reference in (":v1.0", ":pr-1", f"@{build_image(seed=2, platform='linux/arm64').digest}"):
        command = ("explain", f"{registry}/{filled}{reference}", *ONLY_HERE)
        with steward.terminal(*command, width=width) as terminal:
            assert terminal.finish() == 0
        shown += terminal.text
    transcript(f"explain-{width}", shown)


def test_json_is_one_document_of_the_promised_shape(steward: Steward, registry: str, filled: str) -> None:
    done = steward.run("plan", filled, "--registry", registry, *ONLY_HERE, "--json")
    assert done.code == 0
    assert done.out.count("\n") == 1
    assert set(done.json) == {"registry", "at", "policy_digest", "repositories"}
    assert done.json["registry"] == registry
    assert done.json["at"] == "2026-03-01T00:00:00+00:00"
    (plan,) = done.json["repositories"]
    assert plan["repository"] == filled
    assert {each["tag"] for each in plan["untag"]} == {"pr-1", "pr-2"}
    assert all(set(each) == {"tag", "digest", "rule", "reason"} for each in plan["untag"])
    assert all(set(each) == {"digest", "rule", "reason"} for each in plan["delete"])
    assert set(plan) == {"repository", "untag", "delete", "keep", "warnings", "refused"}
    assert len(plan["delete"]) == 5
    kept = {each.get("tag") for each in plan["keep"]}
    assert {"v1.0", "pr-3"} <= kept
    assert plan["warnings"] == []
    assert plan["refused"] is None


def test_a_plan_changes_nothing(steward: Steward, acr: AcrEmulator, registry: str, filled: str) -> None:
    acr.traffic.clear()
    steward.run("plan", filled, "--registry", registry, *ONLY_HERE)
    assert {request.method for request in acr.traffic.requests} <= {"GET", "HEAD", "POST"}


def test_in_a_pipe_nothing_is_cut_and_nothing_coloured(steward: Steward, registry: str, filled: str) -> None:
    done = steward.run("plan", filled, "--registry", registry, *ONLY_HERE)
    assert "\x1b" not in done.out
    assert "…" not in done.out
    assert "not among the newest 1 of rule pull-requests" in done.out


def test_a_terminal_has_colours_and_no_color_takes_them_away(
    steward: Steward, registry: str, filled: str
) -> None:
    command = ("plan", filled, "--registry", registry, *ONLY_HERE)
    with steward.terminal(*command, NO_COLOR="") as terminal:
        terminal.finish()
    assert "\x1b[31mdelete" in terminal.shown
    with steward.terminal(*command, NO_COLOR="1") as terminal:
        terminal.finish()
    assert "\x1b[3" not in terminal.shown


def test_without_names_every_repository_that_a_rule_names_is_planned(
    steward: Steward, registry: str, push: Push
) -> None:
    push("all/one", build_image(), tag="pr-1", days=1)
    push("all/two", build_image(), tag="pr-1", days=1)
    push("others/three", build_image(), tag="pr-1", days=1)
    (steward.directory / "policy.yaml").write_text(
        "version: 1\nretention: {rules: [{name: a, repositories: ['all/*'], tags: ['*'], older_than: 1d}]}\n"
    )
    done = steward.run("plan", "--registry", registry, *ONLY_HERE, "--json")
    assert [plan["repository"] for plan in done.json["repositories"]] == ["all/one", "all/two"]
    done = steward.run("plan", "*/t[wh]*", "--registry", registry, *ONLY_HERE, "--json")
    assert [plan["repository"] for plan in done.json["repositories"]] == ["all/two", "others/three"]


def test_what_could_be_planned_is_printed_when_the_registry_fails(
    steward: Steward, acr: AcrEmulator, filled: str, push: Push, repository: str
) -> None:
    broken = f"{repository}-broken"
    push(broken, build_image(), tag="pr-1", days=1)
    acr.faults.inject(path=f"/acr/v1/{broken}/_tags", status=403, times=99)
    done = steward.run("plan", filled, broken, "--registry", acr.login_server, *ONLY_HERE, "--json")
    assert done.code == 4
    assert [plan["repository"] for plan in done.json["repositories"]] == [filled]
    assert f"{broken} could not be planned" in done.err
    assert "hint:" in done.err


def test_a_missing_repository_is_an_error_of_the_registry(steward: Steward, registry: str) -> None:
    done = steward.run("plan", "no/such", "--registry", registry, *ONLY_HERE, "--json")
    assert done.code == 4
    assert done.json["repositories"] == []


@pytest.mark.parametrize(("scope", "limit"), [("repository", "{deletions: 1}"), ("run", "{percent: 1}")])
def test_limits_refuse_with_exit_code_3(
    steward: Steward, registry: str, filled: str, scope: str, limit: str
) -> None:
    policy = steward.directory / "policy.yaml"
    policy.write_text(policy.read_text() + f"  limits: {{{scope}: {limit}}}\n")
    done = steward.run("plan", filled, "--registry", registry, *ONLY_HERE, "--json")
    assert done.code == 3
    assert done.json["repositories"][0]["refused"]["limit"] == scope
    assert "refused: would remove" in steward.run("plan", filled, "--registry", registry, *ONLY_HERE).out


def test_a_bad_policy_is_exit_code_2_with_every_problem(steward: Steward, registry: str) -> None:
    (steward.directory / "policy.yaml").write_text("version: 1\nretention:\n  rulez: []\n  grace: soon\n")
    done = steward.run("plan", "--registry", registry, *ONLY_HERE)
    assert done.code == 2
    assert "policy.yaml:3: retention.rulez: unknown key; did you mean rules?" in done.err
    assert "policy.yaml:4: retention.grace" in done.err
    assert done.out == ""


@pytest.mark.parametrize("at", ["yesterday", "2026-13-01"])
def test_a_time_that_is_none_is_refused(steward: Steward, registry: str, at: str) -> None:
    done = steward.run("plan", "--registry", registry, "--policy", "policy.yaml", "--at", at)
    assert done.code == 2
    assert "not an ISO time" in done.err


def test_wrong_credentials_are_exit_code_4_and_a_hint(steward: Steward, registry: str) -> None:
    done = steward.run("plan", "--registry", registry, *ONLY_HERE, STEWARD_PASSWORD="wrong")
    assert done.code == 4
    assert "STEWARD_PASSWORD" in done.err


def test_a_password_can_be_piped_in(steward: Steward, acr: AcrEmulator, registry: str, filled: str) -> None:
    command = ("plan", filled, "--registry", registry, *ONLY_HERE, "--username", acr.admin_username)
    done = steward.run(*command, "--password-stdin", stdin=f"{acr.admin_password}\n", STEWARD_USERNAME="")
    assert done.code == 0
    done = steward.run(*command)
    assert done.code == 2
    assert "--password-stdin" in done.err


def test_an_unknown_authority_is_told_of_ca_file(steward: Steward, registry: str) -> None:
    done = steward.run("plan", "--registry", registry, *ONLY_HERE, STEWARD_CA_FILE="")
    assert done.code == 4
    assert "--ca-file" in done.err


def test_ctrl_c_ends_planning_at_once(steward: Steward, acr: AcrEmulator, registry: str, filled: str) -> None:
    acr.faults.inject(path=f"/acr/v1/{filled}/_manifests", delay=60, times=None)
    with steward.terminal("plan", filled, "--registry", registry, *ONLY_HERE) as terminal:
        terminal.wait_for("planning")
        terminal.interrupt()
        assert terminal.finish() == 130
    assert "error: interrupted" in terminal.text
    assert "Traceback" not in terminal.text


def test_the_registry_may_stand_before_the_repository(steward: Steward, registry: str, filled: str) -> None:
    done = steward.run("plan", f"{registry}/{filled}", *ONLY_HERE, "--json")
    assert done.code == 0
    assert [plan["repository"] for plan in done.json["repositories"]] == [filled]
    done = steward.run("plan", f"{registry}/{filled}", "docker.io/acme/app", *ONLY_HERE)
    assert done.code == 2
    assert "Missing option '--registry'" in done.err


@pytest.mark.parametrize(
    ("reference", "says"),
    [(":pr-1", "goes: older than 14d"), (":v1.0", "stays: protected by releases"), (":pr-3", "stays: among")],
)
def test_explain_says_why(steward: Steward, registry: str, filled: str, reference: str, says: str) -> None:
    done = steward.run("explain", f"{registry}/{filled}{reference}", *ONLY_HERE)
    assert done.code == 0
    assert says in done.out


def test_explain_follows_what_holds_a_digest(steward: Steward, registry: str, filled: str) -> None:
    child = build_image(seed=1).digest
    done = steward.run("explain", f"{registry}/{filled}@{child}", *ONLY_HERE, "--json")
    assert done.json["manifest"]["keep"] is True
    assert "listed by index" in done.json["manifest"]["reason"]
    (holder,) = done.json["held_by"]
    assert holder == build_index([build_image(seed=1), build_image(seed=2, platform="linux/arm64")]).digest


def test_explaining_what_does_not_exist_says_how_to_look(
    steward: Steward, registry: str, filled: str
) -> None:
    done = steward.run("explain", f"{registry}/{filled}:nope", *ONLY_HERE)
    assert done.code == 4
    assert f"steward tags {registry}/{filled}" in done.err
    assert steward.run("explain", f"{registry}/{filled}", *ONLY_HERE).code == 2


def test_the_future_can_be_planned_and_not_cleaned(steward: Steward, registry: str, filled: str) -> None:
    later = (datetime.now(UTC) + timedelta(days=30)).isoformat()
    command = (filled, "--registry", registry, "--policy", "policy.yaml", "--at", later)
    assert steward.run("plan", *command).code == 0
    done = steward.run("clean", *command, "--yes")
    assert done.code == 2
    assert "not removed today" in done.err
