import re
import shlex

import click
import pytest

from cli.manual import MANUAL, manual
from cli.program import SECTIONS, steward
from cli.verbs import Command, Group
from tests.cli.terminal import Steward


def commands(group: Group, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], click.Command]]:
    found: list[tuple[tuple[str, ...], click.Command]] = []
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        assert command is not None
        inner = (*path, name)
        found += commands(command, inner) if isinstance(command, Group) else [(inner, command)]
    return found


VERBS = commands(steward)


def test_the_manual_is_what_the_program_says() -> None:
    assert MANUAL.read_text(encoding="utf-8") == manual(), "run: python -m cli.manual"


@pytest.mark.parametrize(("path", "command"), VERBS, ids=["-".join(path) for path, _ in VERBS])
def test_every_verb_has_examples_that_use_its_own_options(
    path: tuple[str, ...], command: click.Command
) -> None:
    assert isinstance(command, Command)
    assert command.help
    assert command.examples
    known = {option for each in command.params for option in each.opts}
    for example in command.examples:
        words = shlex.split(example, comments=False)
        assert words[: len(path) + 1] == ["steward", *path]
        options = {word for word in words[len(path) + 1 :] if re.fullmatch(r"--?[a-z][a-z-]*", word)}
        assert options <= {*known, "-qv"}
        assert len(example) <= 110


def test_every_verb_but_the_schema_has_json() -> None:
    without = [path for path, command in VERBS if isinstance(command, Command) and not command.shape]
    assert without == [("policy", "schema")]


def test_summaries_fit_a_terminal() -> None:
    for verbs in SECTIONS.values():
        for name, verb in verbs.items():
            assert len(f"  {name:12}  {verb.summary}") <= 80


@pytest.mark.parametrize("path", [["manifests"], ["copy"], ["doctor"], ["runs", "show"], ["policy", "init"]])
def test_help_fits_80_columns_where_it_can_be_wrapped(bare: Steward, path: list[str]) -> None:
    with bare.terminal(*path, "--help", width=80) as terminal:
        assert terminal.finish() == 0
    text = terminal.text.partition("Examples:")[0]
    assert max(map(len, text.splitlines())) <= 80
