import resource
import subprocess
import sys

import pytest

from cli.program import FIRST_STEPS
from tests.cli.terminal import ROOT, Steward


def test_five_lines_tell_somebody_with_nothing_configured_what_to_do(bare: Steward) -> None:
    done = bare.run()
    assert done.code == 0
    assert done.out == FIRST_STEPS
    assert len(done.out.splitlines()) == 5
    assert max(map(len, done.out.splitlines())) <= 80


def test_it_runs_from_any_directory_and_takes_paths_from_there(bare: Steward) -> None:
    (bare.directory / "cli").mkdir()  # another package of our name must not be taken for ours
    (bare.directory / "cli" / "__main__.py").write_text("raise SystemExit(9)")
    (bare.directory / "mine.yaml").write_text("version: 1\n")
    assert bare.run("policy", "check", "mine.yaml").code == 0


def test_it_is_also_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cli", "--version"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("steward ")


def test_help_takes_less_than_200_ms_more_than_python_itself() -> None:
    """In processor time, which does not depend on what else this machine does."""

    def least(*command: str) -> float:
        def once() -> float:
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

        return min(once() for _ in range(4))

    python = least(sys.executable, "-c", "pass")
    assert least(str(ROOT / "steward"), "--help") < python + 0.2
    assert least(str(ROOT / "steward"), "plan", "--help") < python + 0.2


HELP_OF_ALL = """
import sys
from cli.program import SECTIONS, run

slow = {"requests", "azure", "rich", "pydantic", "yaml", "logging", "concurrent.futures"}
for command in [[], *([name] for verbs in SECTIONS.values() for name in verbs)]:
    assert run([*command, "--help"]) == 0
    found = slow & sys.modules.keys()
    assert not found, f"{command} loaded {found}"
"""


def test_help_of_no_verb_loads_what_is_slow_to_load() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HELP_OF_ALL], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("command", "says", "hint"),
    [
        (["nonsense"], "No such command 'nonsense'", "steward --help"),
        (["plan"], "Missing option '--policy'", "steward plan --help"),
        (["plan", "team/app", "--policy", __file__], "myreg.azurecr.io/team/app", "steward plan --help"),
        (["plan", "--registry", "https://x.io"], "not a login server", "steward plan --help"),
        (["plan", "--nonsense"], "No such option", "steward plan --help"),
    ],
)
def test_a_wrong_command_line_is_told_how_it_is_written(
    bare: Steward, command: list[str], says: str, hint: str
) -> None:
    done = bare.run(*command)
    assert done.code == 2
    assert says in done.err
    assert hint in done.err
    assert "Traceback" not in done.err


def test_quiet_and_verbose_may_stand_in_front_of_the_verb(bare: Steward) -> None:
    (bare.directory / "policy.yaml").write_text("version: 1\nretention: {rules: soon}\n")
    assert "problem in policy.yaml" in bare.run("policy", "check", "policy.yaml").err
    for command in (["-q", "policy", "check"], ["policy", "check", "-q"]):
        assert "problem in policy.yaml" not in bare.run(*command, "policy.yaml").err
    shown = bare.run("-vv", "tags", "localhost:1/x")
    assert "GET https://localhost:1/acr/v1/_catalog" in shown.err
    assert "https://" not in bare.run("tags", "localhost:1/x").err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_can_complete_it(bare: Steward, shell: str) -> None:
    done = bare.run(_STEWARD_COMPLETE=f"{shell}_source")
    assert "_STEWARD_COMPLETE" in done.out
    words = {"COMP_WORDS": "steward pol", "COMP_CWORD": "pol" if shell == "fish" else "1"}
    done = bare.run(_STEWARD_COMPLETE=f"{shell}_complete", **words)
    assert "policy" in done.out
