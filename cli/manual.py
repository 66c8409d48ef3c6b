"""The manual, ``docs/cli.md``, written from the program itself: ``python -m cli.manual``."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from cli.exits import MEANINGS
from cli.program import NAME, SECTIONS, steward
from cli.verbs import Command, Group

MANUAL: Final = Path(__file__).resolve().parents[1] / "docs" / "cli.md"
_HEAD: Final = """\
# Command line

`./steward`, from any directory. This page is written by `python -m cli.manual` from the program itself.

A place is written the same on every side: `myreg.azurecr.io`, `docker.io/acme/app`, `localhost:5000/app:v1`,
`myreg.azurecr.io/team/app@sha256:...`. Looking, planning, cleaning and removing work on Azure and on Docker
Hub alike, looking and copying with any registry. What only Azure offers, such as locks, says so elsewhere.

**Output.** Results go to stdout, everything else to stderr. On a terminal, lists fit it; in a pipe they are
tab-separated and uncut. `--json` prints one document. `NO_COLOR` is honoured. What removes something shows it
and asks; `--yes` is for scripts, and without a terminal there is no other way. `--quiet` leaves results and
errors, `--verbose` gives more reasons, `-vv` a line for every request. Ctrl-C stops after what is under way
and says what is left; a second one does not wait.

**Signing in.** `--username` and `--password` (or `--password-stdin`), else `STEWARD_USERNAME` and
`STEWARD_PASSWORD`; for Docker Hub `DOCKERHUB_USERNAME` and `DOCKERHUB_TOKEN`; else, for `*.azurecr.io`,
whoever is signed in to Azure (`az login`, a managed identity). When two registries are copied between,
each side has its own: `STEWARD_SOURCE_USERNAME`, `STEWARD_TARGET_USERNAME` and so on.

**Ages on Docker Hub.** There, a replica is as old as its replication. `--settings` reads the ledger of the
app, which knows the times at the sources, and plans are those of its nights. Without it, an age that is
reached on Docker Hub counts, since at its source the tag is older still; of rules that keep the newest by
time, all that they match stay, and the plan says so. `--own-times` takes Docker Hub's times for true: nothing
is replicated there.

**Completion.** Put `eval "$(_STEWARD_COMPLETE=bash_source ./steward)"` where your shell starts; `zsh_source`
and `fish_source` are for the others.
"""


_COMMON: Final = frozenset({"quiet", "verbose"})


def manual() -> str:
    """Return the whole page."""
    return "\n".join(_page()).rstrip() + "\n"


def _page() -> Iterator[str]:
    yield _HEAD
    yield "| exit code | means |\n|---|---|"
    for code, meaning in MEANINGS.items():
        yield f"| {code} | {meaning} |"
    yield ""
    for heading, verbs in SECTIONS.items():
        yield f"## {heading}\n"
        for name in verbs:
            found = steward.get_command(click.Context(steward), name)
            assert found is not None  # noqa: S101 - it is in the table
            yield from _verb(f"{NAME} {name}", found)


def _verb(path: str, command: click.Command) -> Iterator[str]:
    if isinstance(command, Group):
        for name in command.list_commands(click.Context(command)):
            inner = command.get_command(click.Context(command), name)
            assert inner is not None  # noqa: S101 - it is in the table
            yield from _verb(f"{path} {name}", inner)
        return
    context = click.Context(command, info_name=path)
    yield f"### {path}\n"
    yield f"{_paragraphs(command.help or '')}\n"
    yield "```sh"
    yield f"{path} {' '.join(command.collect_usage_pieces(context))}"
    yield from command.examples if isinstance(command, Command) else ()
    yield "```\n"
    options = [each for each in command.params if isinstance(each, click.Option) and each.name not in _COMMON]
    rows = [found for each in options if (found := each.get_help_record(context))]
    if rows:
        yield "| option | |\n|---|---|"
        for option, words in rows:
            yield f"| `{option}` | {words.replace('|', chr(92) + '|')} |"
        yield ""
    if isinstance(command, Command) and command.shape:
        yield f"JSON: `{command.shape}`\n"


def _paragraphs(text: str) -> str:
    lines = [line.strip() for line in text.strip().splitlines()]
    return "\n".join(lines)


def main() -> None:
    """Write the manual."""
    MANUAL.write_text(manual(), encoding="utf-8")


if __name__ == "__main__":
    main()
