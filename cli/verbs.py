"""How verbs are declared and found: by name and summary first, by importing their module only to run them."""

import importlib
import textwrap
from collections.abc import Callable, Mapping, Sequence
from functools import update_wrapper
from typing import Any, NamedTuple

import click

from cli.output import Output


class Verb(NamedTuple):
    """Where a verb is, ``module:name``, and its line in the list of verbs."""

    place: str
    summary: str


type Verbs = Mapping[str, Verb]
"""Verbs by name."""

type Sections = Mapping[str, Verbs]
"""Verbs by the heading that they are listed under."""


class Manner(NamedTuple):
    """How to speak, as it is said in front of the verb; said behind it, it adds to that."""

    quiet: bool = False
    verbose: int = 0


class Group(click.Group):
    """Verbs that are imported when they are run or asked for help."""

    def __init__(self, *args: Any, sections: Sections, **options: Any) -> None:
        super().__init__(*args, **options)
        self.sections = sections
        self._verbs = {name: each for verbs in sections.values() for name, each in verbs.items()}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the verbs, in the order in which they are listed."""
        del ctx
        return list(self._verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a verb."""
        del ctx
        found_verb = self._verbs.get(cmd_name)
        if found_verb is None:
            return None
        module, _, name = found_verb.place.partition(":")
        found: click.Command = getattr(importlib.import_module(module), name)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs without importing them."""
        del ctx
        longest = max(map(len, self._verbs))
        for heading, verbs in self.sections.items():
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(longest), each.summary) for name, each in verbs.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """Complete names of verbs without importing them; options as any command does."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415 - for completion only

        names = [
            CompletionItem(name, help=each.summary)
            for name, each in self._verbs.items()
            if name.startswith(incomplete)
        ]
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]


class Command(click.Command):
    """A verb with examples, and with the shape of its JSON."""

    def __init__(
        self, *args: Any, examples: Sequence[str] = (), shape: str | None = None, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self.examples = tuple(examples)
        self.shape = shape

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Show examples, each in a line that can be copied, and what ``--json`` prints."""
        del ctx
        shape = textwrap.wrap(self.shape or "", formatter.width - 2, break_long_words=False)
        for heading, lines in (("Examples", self.examples), ("JSON", shape)):
            if lines:
                with formatter.section(heading):
                    indent = " " * formatter.current_indent
                    for line in lines:
                        formatter.write(f"{indent}{line}\n")


def verb(
    *, examples: Sequence[str] = (), shape: str | None = None
) -> Callable[[Callable[..., int | None]], Command]:
    """Make a verb of a function whose first argument is the :class:`Output`.

    What it returns is the exit code, ``None`` for success. A verb with a ``shape`` has ``--json``.
    """

    def declared(function: Callable[..., int | None]) -> Command:
        def callback(*, quiet: bool, verbose: int, json: bool = False, **given: Any) -> int:
            before = click.get_current_context().find_object(Manner) or Manner()
            verbose += before.verbose
            log_requests(shown=verbose > 1)
            return function(Output(json=json, quiet=quiet or before.quiet, verbose=verbose), **given) or 0

        update_wrapper(callback, function)
        params: list[click.Parameter] = list(reversed(getattr(function, "__click_params__", [])))
        if shape is not None:
            params.append(click.Option(["--json"], is_flag=True, help="Print one JSON document."))
        params.append(click.Option(["-q", "--quiet"], is_flag=True, help="Results and errors only."))
        params.append(
            click.Option(["-v", "--verbose"], count=True, help="More detail; -vv shows every request.")
        )
        return Command(
            name=function.__name__.replace("_", "-"),
            callback=callback,
            help=function.__doc__,
            params=params,
            examples=examples,
            shape=shape,
        )

    return declared


def log_requests(*, shown: bool) -> None:
    """Write a line to stderr for every request to a registry, if that is wanted, and no other logs.

    Headers and bodies never show. What libraries warn of comes as an error, too, and is said once.
    """
    import logging  # noqa: PLC0415 - not for --help

    logging.getLogger().addHandler(logging.NullHandler())
    if not shown:
        return

    class Line(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            fields = record.__dict__
            came = fields.get("status", fields.get("error", ""))
            request = f"{fields.get('method', '')} {fields.get('url', '')}".strip()
            return f"{record.getMessage()}: {request} {came} {fields.get('milliseconds', '')} ms"

    lines = logging.StreamHandler()
    lines.setFormatter(Line())
    logger = logging.getLogger("shared.registry")
    logger.addHandler(lines)
    logger.setLevel(logging.DEBUG)
