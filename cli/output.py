"""Where words go: results to stdout, everything else to stderr, one JSON document where that is asked for."""

import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import click

from cli.exits import NO, Failure
from cli.words import folded, printable

if TYPE_CHECKING:
    from cli.progress import Progress

NARROWEST: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """How this command was asked to speak."""

    json: bool = False
    quiet: bool = False
    verbose: int = 0

    @property
    def terminal(self) -> bool:
        """Tell whether a person reads the results as they come."""
        return sys.stdout.isatty() and not self.json

    @property
    def width(self) -> int | None:
        """Return the columns that a line may have, ``None`` where nobody counts them."""
        return max(shutil.get_terminal_size().columns, NARROWEST) if self.terminal else None

    def say(self, text: str = "", **style: Any) -> None:
        """Print a line of the result."""
        click.echo(styled(printable(text), **style), color=colored(sys.stdout))

    def say_folded(self, text: str, *, indent: int, **style: Any) -> None:
        """Print a sentence of the result, on a terminal in lines that fit it."""
        width = self.width
        for line in [text] if width is None else folded(text, width, indent=indent):
            self.say(line, **style)

    def note(self, text: str) -> None:
        """Tell a person something that is not the result."""
        if not self.quiet:
            click.echo(printable(text), err=True, color=colored(sys.stderr))

    def warn(self, text: str) -> None:
        """Tell a person what may be wrong, even a quiet one."""
        click.echo(
            f"{styled('warning:', fg='yellow')} {printable(text)}", err=True, color=colored(sys.stderr)
        )

    def fail(self, text: str, remedy: str = "") -> None:
        """Say what went wrong and what to do next."""
        say_error(text, remedy)

    def document(self, value: Mapping[str, Any]) -> None:
        """Print one JSON document: indented for people, in one line for programs."""
        indent = 2 if sys.stdout.isatty() else None
        separators = None if indent else (",", ":")
        click.echo(json.dumps(value, indent=indent, separators=separators))

    def confirm(self, question: str, *, yes: bool) -> None:
        """Return when the person agrees.

        :raises Failure: when not.
        """
        if yes:
            return
        require_terminal(yes=yes)
        sys.stdout.flush()
        if not click.confirm(question, err=True):
            raise Failure("nothing was changed", code=NO)

    def confirm_by_name(self, question: str, name: str, *, yes: bool) -> None:
        """Return when the person types the name of what will be lost.

        :raises Failure: when something else is typed.
        """
        if yes:
            return
        require_terminal(yes=yes)
        sys.stdout.flush()
        if (
            click.prompt(f"{question}\nType {name} to go on", err=True, default="", show_default=False)
            != name
        ):
            raise Failure("nothing was changed", code=NO)

    def progress(self) -> "Progress":
        """Return bars for something long; none where nobody looks at them."""
        from cli.progress import Progress  # noqa: PLC0415 - rich costs a tenth of a second

        return Progress(visible=sys.stderr.isatty() and not self.quiet)


def require_terminal(*, yes: bool) -> None:
    """Refuse to change anything unasked where nobody can be asked.

    :raises Failure: without a terminal, unless ``yes``.
    """
    if not yes and not sys.stdin.isatty():
        raise Failure(
            "this would ask before it changes anything, and there is no terminal to ask on",
            hint="add --yes if a script means it",
        )


def say_error(text: str, remedy: str = "") -> None:
    """Say on stderr what went wrong and what to do next."""
    color = colored(sys.stderr)
    click.echo(f"{styled('error:', fg='red', bold=True)} {printable(text)}", err=True, color=color)
    if remedy:
        hint(remedy)


def hint(text: str) -> None:
    """Say on stderr what to do next."""
    click.echo(f"{styled('hint:', fg='cyan')} {printable(text)}", err=True, color=colored(sys.stderr))


def styled(text: str, **style: Any) -> str:
    """Return the text with its style; whoever prints it decides whether that shows."""
    return click.style(text, **style) if style else text


def colored(stream: Any) -> bool:
    """Tell whether colours may be used: on a terminal, unless NO_COLOR is set (no-color.org)."""
    return bool(
        stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM", "").lower() != "dumb"
    )
