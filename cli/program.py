"""The program: its verbs, and what becomes of whatever goes wrong in them."""

import os
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

import click

from cli.exits import DONE, INTERRUPTED, MEANINGS, NO, USAGE, Failure
from cli.output import say_error
from cli.verbs import Group, Manner, Sections, Verb

NAME: Final = "steward"

SECTIONS: Final[Sections] = {
    "Clean": {
        "plan": Verb("cli.commands.plan:plan", "Say what a policy would remove, and why"),
        "clean": Verb("cli.commands.clean:clean", "Remove what a policy no longer wants, after asking"),
        "explain": Verb("cli.commands.explain:explain", "Say why one tag or manifest stays or goes"),
        "policy": Verb("cli.commands.policy:policy", "Check, test and write policies"),
    },
    "Look": {
        "repositories": Verb("cli.commands.repositories:repositories", "List repositories"),
        "tags": Verb("cli.commands.tags:tags", "List the tags of a repository"),
        "manifests": Verb("cli.commands.manifests:manifests", "List manifests, and what points at each"),
        "show": Verb("cli.commands.show:show", "Show the platforms and signatures behind a reference"),
        "login-server": Verb("cli.commands.login_server:login_server", "Find the login server of a registry"),
    },
    "Copy": {
        "copy": Verb("cli.commands.copy:copy", "Copy images from any registry to any other"),
    },
    "Service": {
        "doctor": Verb("cli.commands.doctor:doctor", "Say what is missing, and how to mend it"),
        "runs": Verb("cli.commands.runs:runs", "See what the deployed app did, and is doing"),
        "reconcile": Verb("cli.commands.reconcile:reconcile", "Compare replicas with their sources"),
        "replay": Verb("cli.commands.replay:replay", "Send messages again that were given up"),
        "events": Verb("cli.commands.events:events", "Send a sample push event to the app"),
    },
    "Change": {
        "tag": Verb("cli.commands.tag:tag", "Put more tags on a manifest"),
        "untag": Verb("cli.commands.untag:untag", "Remove tags; what they point at stays"),
        "delete": Verb("cli.commands.delete:delete", "Remove a tag, a manifest or a repository"),
        "prune": Verb("cli.commands.prune:prune", "Remove untagged manifests that nothing holds"),
        "lock": Verb("cli.commands.lock:lock", "Protect from deleting and overwriting"),
        "unlock": Verb("cli.commands.lock:unlock", "Allow deleting and overwriting again"),
    },
}

FIRST_STEPS: Final = """\
Registry Steward cleans container registries and copies images between them.
 1. az login                  (elsewhere: STEWARD_USERNAME, STEWARD_PASSWORD)
 2. steward policy init myreg.azurecr.io > policy.yaml
 3. steward plan --registry myreg.azurecr.io --policy policy.yaml
 4. steward clean ...         asks before it removes; steward --help lists all
"""


def _version(context: click.Context, _: click.Parameter, wanted: bool) -> None:  # noqa: FBT001 - click's
    if wanted:
        from shared.registry.transport import VERSION  # noqa: PLC0415 - needs requests

        click.echo(f"{NAME} {VERSION}")
        context.exit()


@click.group(
    NAME,
    cls=Group,
    sections=SECTIONS,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Exit codes: " + "; ".join(f"{code} {meaning}" for code, meaning in MEANINGS.items()) + ".",
)
@click.option("--version", is_flag=True, expose_value=False, callback=_version, help="Show the version.")
@click.option("-q", "--quiet", is_flag=True, hidden=True)
@click.option("-v", "--verbose", count=True, hidden=True)
@click.pass_context
def steward(context: click.Context, *, quiet: bool, verbose: int) -> None:
    """Keep container registries clean and in step.

    A PLACE is written the same on every side: myreg.azurecr.io, docker.io/acme/app, localhost:5000/app:v1,
    myreg.azurecr.io/team/app@sha256:...
    """
    context.obj = Manner(quiet=quiet, verbose=verbose)
    if context.invoked_subcommand is None:
        click.echo(FIRST_STEPS, nl=False)


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code."""
    try:
        return int(steward.main(args=list(arguments), prog_name=NAME, standalone_mode=False) or DONE)
    except click.Abort:
        say_error("interrupted")
        return INTERRUPTED
    except click.ClickException as error:
        return _wrong(error)
    except BrokenPipeError:
        return _closed_pipe()
    except Exception as error:  # noqa: BLE001 - the last place where an error can become a sentence
        from cli.remedies import explain_error  # noqa: PLC0415 - only when something failed

        return explain_error(error)


def _wrong(error: click.ClickException) -> int:
    """Say what is wrong with the command line, and how it is written."""
    match error:
        case Failure():
            say_error(error.message, error.hint)
            return error.code
        case click.exceptions.NoArgsIsHelpError():
            error.show()
        case click.UsageError():
            path = NAME if error.ctx is None else error.ctx.command_path
            say_error(error.format_message(), f"{path} --help says how")
        case _:
            say_error(error.format_message())
    return USAGE


def _closed_pipe() -> int:
    """End as quietly as ``head`` left."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return NO


def main() -> NoReturn:
    """Run the program; after Ctrl-C, end without waiting for threads."""
    try:
        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        code = INTERRUPTED
    if code == INTERRUPTED:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
