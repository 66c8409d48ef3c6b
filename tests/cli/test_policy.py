import json
import re
from pathlib import Path

import pytest

from cli.policycases import Case, Image
from emulators.registry.images import build_image
from shared.policy import policy_schema
from tests.cli.conftest import Push
from tests.cli.terminal import ROOT, Steward

EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.tests.yaml"))


def test_a_valid_policy_is_summed_up(bare: Steward) -> None:
    policy = ROOT / "docs" / "examples" / "pull-requests.yaml"
    done = bare.run("policy", "check", str(policy))
    assert done.code == 0
    assert "2 rules, 1 protection, 0 routes" in done.out
    document = bare.run("policy", "check", str(policy), "--json").json
    assert document["valid"] is True
    assert document["rules"] == ["pull-requests", "stale-untagged"]
    assert re.fullmatch("sha256:[0-9a-f]{64}", document["digest"])


def test_every_problem_is_told_with_its_line(bare: Steward) -> None:
    policy = bare.directory / "policy.yaml"
    policy.write_text("version: 1\nretention:\n  rulez: []\n  grace: soon\n")
    done = bare.run("policy", "check", "policy.yaml")
    assert done.code == 2
    assert "policy.yaml:3: retention.rulez" in done.err
    assert "policy.yaml:4: retention.grace" in done.err
    done = bare.run("policy", "check", "policy.yaml", "--json")
    assert done.code == 2
    assert [problem["line"] for problem in done.json["problems"]] == [3, 4]
    assert done.json["valid"] is False


def test_a_file_that_is_not_there_is_no_traceback(bare: Steward) -> None:
    done = bare.run("policy", "check", "nowhere.yaml")
    assert done.code == 2
    assert "nowhere.yaml" in done.err
    assert "Traceback" not in done.err


def test_hostile_bytes_do_not_reach_the_terminal(bare: Steward) -> None:
    (bare.directory / "policy.yaml").write_text('version: 1\nretention: {"\\e]0;owned\\a[red]x": 1}\n')
    done = bare.run("policy", "check", "policy.yaml")
    assert done.code == 2
    assert "\x1b" not in done.err
    assert "\x07" not in done.err


def test_the_schema_is_the_models(bare: Steward) -> None:
    assert bare.run("policy", "schema").json == policy_schema()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_every_example_passes_its_cases(bare: Steward, example: Path) -> None:
    done = bare.run("policy", "test", str(example))
    assert done.code == 0, done.out


def test_a_failed_case_says_why_the_plan_disagrees(bare: Steward) -> None:
    (bare.directory / "cases.yaml").write_text(
        f"policy: {ROOT}/docs/examples/pull-requests.yaml\n"
        "cases:\n"
        "  - {name: wrong, repository: team/app, snapshot: [{tags: [pr-1, v1], age: 400d}], go: [v1]}\n"
        "  - {name: right, repository: team/app, snapshot: [{tags: pr-1, age: 400d}], stay: pr-1}\n"
    )
    done = bare.run("policy", "test", "cases.yaml")
    assert done.code == 1
    assert "failed  wrong" in done.out
    assert "v1 must go, and stays: protected by releases" in done.out
    assert "passed  right" in done.out
    assert "1 of 2 cases passed" in done.out
    document = bare.run("policy", "test", "cases.yaml", "--json").json
    assert document["passed"] is False
    assert [case["passed"] for case in document["cases"]] == [False, True]


@pytest.mark.parametrize(
    ("case", "says"),
    [
        ("{name: a, repository: a, snapshot: [{tags: x, age: 1d}]}", "expects nothing"),
        ("{name: a, repository: a, snapshot: [{tags: x, age: 1d}], go: y}", "'y' is nothing in the snapshot"),
        ("{name: a, repository: a, snapshot: [{tags: x, age: soon}], go: x}", "is not a duration"),
        ("{name: a, repository: a, snapshot: [{tags: x, age: 1d, lock: 1}], go: x}", "lock: unknown key"),
        (
            "{name: a, repository: a, snapshot: [{tags: [x, x], age: 1d}], go: x}",
            "'x' stands in the snapshot twice",
        ),
        ("{name: a, repository: a, snapshot: [{tags: x, age: 1d}], go: x, stay: x}", "both stay and go"),
        ("{name: a, repository: a, snapshot: [{tags: x, age: 1d, subject: z}], go: x}", "the subject 'z'"),
        ("{name: a, snapshot: [{tags: x, age: 1d}], go: x}", "repository: missing"),
    ],
)
def test_a_case_that_makes_no_sense_is_refused(bare: Steward, case: str, says: str) -> None:
    (bare.directory / "cases.yaml").write_text(f"cases:\n  - {case}\n")
    done = bare.run("policy", "test", "cases.yaml")
    assert done.code == 2
    assert "cases.yaml:2:" in done.err
    assert says in done.err


def test_the_documented_format_is_read_and_its_keys_are_all_documented(bare: Steward) -> None:
    text = (ROOT / "docs" / "policy-tests.md").read_text(encoding="utf-8")
    (sample,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (bare.directory / "cases.yaml").write_text(sample)
    policy = ROOT / "docs" / "examples" / "pull-requests.yaml"
    done = bare.run("policy", "test", "cases.yaml", "--policy", str(policy))
    assert done.code == 0, done.out
    documented = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (.*?) \|", text, re.MULTILINE))))
    assert documented == set(Case.model_fields) | set(Image.model_fields)


def test_limits_and_locks_can_be_tested(bare: Steward) -> None:
    policy = json.dumps(
        {
            "version": 1,
            "retention": {
                "rules": [{"name": "a", "repositories": ["**"], "tags": ["*"], "older_than": "1d"}],
                "limits": {"repository": {"deletions": 1}},
            },
        }
    )
    (bare.directory / "policy.yaml").write_text(policy)
    (bare.directory / "cases.yaml").write_text(
        "cases:\n"
        "  - {name: many, repository: a, snapshot: [{tags: x, age: 9d}, {tags: y, age: 9d}], refused: true}\n"
        "  - {name: few, repository: a, snapshot: [{tags: x, age: 9d}], refused: true}\n"
        "  - {name: locked, repository: a, locked: true, snapshot: [{tags: x, age: 9d}], stay: x}\n"
        "  - {name: lock, repository: a, snapshot: [{tags: x, age: 9d, locked: both}], stay: x}\n"
    )
    document = bare.run("policy", "test", "cases.yaml", "--json").json
    assert [case["passed"] for case in document["cases"]] == [True, False, True, True]
    assert "a limit must refuse it, and none does" in document["cases"][1]["failures"][0]


def test_a_first_policy_is_proposed_with_the_effect_of_each_rule(
    steward: Steward, registry: str, repository: str, push: Push
) -> None:
    for number in range(8):
        push(repository, build_image(), tag=f"pr-{number}", days=60 + number)
        push(repository, build_image(), tag=f"v1.{number}", days=60)
    push(repository, build_image(), days=90)
    push(repository, build_image(), tag="latest", days=1)
    done = steward.run("policy", "init", f"{registry}/{repository}")
    assert done.code == 0, done.err
    (steward.directory / "policy.yaml").write_text(done.out)
    assert steward.run("policy", "check", "policy.yaml").code == 0
    assert "# 8 tags like pr-..." in done.out
    assert "# today: 3 tags and 3 manifests would go" in done.out
    plan = steward.run("plan", repository, "--registry", registry, "--policy", "policy.yaml", "--json").json
    gone = {each["tag"] for each in plan["repositories"][0]["untag"]}
    assert gone == {"pr-5", "pr-6", "pr-7"}
    effects = steward.run("policy", "init", f"{registry}/{repository}", "--json").json["effects"]
    assert {effect["rule"]: effect["delete"] for effect in effects} == {"pr": 3, "untagged": 1}
