"""How a command line says where a registry's credential and trust come from."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from cli.exits import Failure

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What the options say; what is missing is looked for in the environment."""

    ca_file: Path | None = None
    username: str | None = None
    password: str | None = None
    plain_http: bool = False
    prefixes: tuple[str, ...] = ("STEWARD",)
    """Of the variables that hold a user name and a password, the first that are set."""


def access_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of every verb that speaks to one registry, passed on as ``access``."""

    def with_access(
        *args: Any,
        ca_file: Path | None,
        username: str | None,
        password: str | None,
        password_stdin: bool,
        plain_http: bool,
        **given: Any,
    ) -> Any:
        access = Access(
            ca_file=ca_file,
            username=username,
            password=read_password(username, password, stdin=password_stdin),
            plain_http=plain_http,
        )
        return function(*args, access=access, **given)

    with_access.__doc__, with_access.__name__ = function.__doc__, function.__name__
    with_access.__click_params__ = list(getattr(function, "__click_params__", []))  # type: ignore[attr-defined]
    for option in reversed(_OPTIONS):
        with_access = option(with_access)
    return with_access


_OPTIONS: Final[tuple[Callable[..., Any], ...]] = (
    click.option("--username", help="User or token name; else STEWARD_USERNAME, DOCKERHUB_USERNAME."),
    click.option("--password", help="Its password; else STEWARD_PASSWORD, DOCKERHUB_TOKEN."),
    click.option("--password-stdin", is_flag=True, help="Read the password from standard input."),
    click.option(
        "--ca-file",
        type=_FILE,
        envvar="STEWARD_CA_FILE",
        help="Authority of its certificate; else STEWARD_CA_FILE.",
    ),
    click.option("--plain-http", is_flag=True, help="Without TLS; on this machine only."),
)


def read_password(username: str | None, password: str | None, *, stdin: bool) -> str | None:
    """Return the password, read from standard input or asked for where that is wanted.

    :raises Failure: when user and password are not both there.
    """
    if username is None:
        if password is not None or stdin:
            raise Failure("a password without --username")
        return None
    if stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if password is not None:
        return password
    if not sys.stdin.isatty():
        raise Failure("--username without --password", hint="or pipe it in with --password-stdin")
    return str(click.prompt("Password", hide_input=True, err=True))
