"""The environment as typed values: settings read one by one, every problem remembered.

What a setting may hold is said in ``shared/settings.py``; here is how such a thing is read.
"""

import json
import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from shared.errors import InvalidName, InvalidSettings, Problem
from shared.oci.names import LoginServer, parse_login_server

UNRESOLVED_REFERENCE: Final = "@Microsoft.KeyVault("
"""What App Service leaves in a setting when it could not read the secret (Key Vault references)."""

_STORAGE_NAME = re.compile(r"[a-z0-9](?:-?[a-z0-9])*")
_SHORTEST_NAME: Final = 3
_LONGEST_NAME: Final = 63
"""Queues and containers are named alike ("Naming Queues and Metadata", Storage REST reference)."""

_POISON: Final = "-poison"
"""What the Functions host adds to a queue's name to name the queue of what failed there."""

_PLAIN_HTTPS = re.compile(r"https://(?P<host>[^/]+)(?:/[a-zA-Z0-9/_.-]*)?")


class Secret:
    """A text that shows itself to nobody who did not ask with :meth:`reveal`.

    Not a dataclass: ``dataclasses.asdict`` would take the text out of one.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        """Read as ``***``."""
        return "***"

    def __eq__(self, other: object) -> bool:
        return self._text == other._text if isinstance(other, Secret) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._text)

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text


class EnvironmentReader:
    """Reads settings one by one and remembers every problem until :meth:`finish`.

    A setting that is empty or blank is a setting that is missing. After a problem, reading goes on
    with a value that is never used, because :meth:`finish` raises.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._problems: list[Problem] = []

    def problem(self, name: str, message: str) -> None:
        self._problems.append(Problem(path=name, message=message))

    def finish(self) -> None:
        """Return when there was no problem.

        :raises InvalidSettings: with all problems, in the order found.
        """
        if self._problems:
            raise InvalidSettings("app settings", self._problems)

    def given(self, *names: str) -> list[str]:
        """Return those of the names that are set, whatever to."""
        return [name for name in names if self._environment.get(name, "").strip()]

    def text(self, name: str) -> str | None:
        value = self._environment.get(name, "").strip()
        if value.startswith(UNRESOLVED_REFERENCE):
            self.problem(
                name,
                "the Key Vault reference was not resolved; check that the app's identity has the role "
                "Key Vault Secrets User on the vault, that keyVaultReferenceIdentity names that identity, "
                "and that the secret exists",
            )
            return None
        return value or None

    def required(self, name: str) -> str:
        if not self.given(name):
            self.problem(name, "missing")
        return self.text(name) or ""

    def secret(self, name: str) -> Secret | None:
        value = self.text(name)
        return None if value is None else Secret(value)

    def connection_string(self, name: str) -> Secret | None:
        value = self.text(name)
        if value is None:
            return None
        if not all("=" in part for part in value.rstrip(";").split(";")):
            self.problem(name, "not a connection string: expected key=value pairs separated by ';'")
        return Secret(value)

    def queue(self, name: str) -> str:
        """Read a queue's name that leaves room for the name of its poison queue."""
        return self._storage_name(name, self.required(name), _LONGEST_NAME - len(_POISON))

    def container(self, name: str, default: str) -> str:
        return self._storage_name(name, self.text(name) or default, _LONGEST_NAME)

    def blob(self, name: str) -> str | None:
        value = self.text(name)
        if value is not None and not all(value.partition("/")):
            self.problem(name, f"{value!r}, expected container/name")
        return value

    def number[N: (int, float)](self, name: str, default: N, parse: type[N], *, least: N, most: N) -> N:
        value = self.text(name)
        if value is None:
            return default
        try:
            number = parse(value)
        except ValueError:
            self.problem(name, f"{value!r} is not a {'whole ' if parse is int else ''}number")
            return default
        if not least <= number <= most:
            self.problem(name, f"{value!r}, expected {least:g} to {most:g}")
        return number

    def json_object(self, name: str) -> dict[str, object]:
        """Read a JSON object that may hold secrets: no problem quotes it."""
        text = self.text(name)
        if text is None:
            return {}
        try:
            body = json.loads(text)
        except (ValueError, RecursionError):
            self.problem(name, "not JSON")
            return {}
        if not isinstance(body, dict):
            self.problem(name, "expected a JSON object")
            return {}
        return body

    def service_uri(self, name: str, example: str) -> str | None:
        """Read the https URL of a storage service; never quoted, for people paste SAS URLs."""
        value = self.text(name)
        if value is not None and not _is_plain_https(value):
            self.problem(name, f"expected an https URL without a query, such as {example}")
        return value

    def endpoint(self, name: str, default: str, *others: str) -> str:
        """Read a base URL; other than those known, only loopback is accepted: it is for emulators."""
        value = (self.text(name) or default).removesuffix("/")
        if value not in {default, *others} and not is_loopback_url(value):
            known = ", ".join((default, *others))
            self.problem(name, f"expected {known}, or an emulator such as https://localhost:5443")
        return value

    def _storage_name(self, name: str, value: str, longest: int) -> str:
        if value and not (_SHORTEST_NAME <= len(value) <= longest and _STORAGE_NAME.fullmatch(value)):
            self.problem(
                name,
                f"{value!r}, expected {_SHORTEST_NAME} to {longest} lower-case letters, digits and single "
                "dashes, a letter or digit first and last",
            )
        return value


def is_loopback_url(url: str) -> bool:
    r"""Tell whether the URL is http or https, a host on this machine, perhaps a port, and nothing else.

    Nothing else, because parsers disagree about the rest: in ``http://a\@127.0.0.1`` urllib.parse sees
    the host ``127.0.0.1`` and urllib3 the host ``a``.
    """
    scheme, _, host = url.partition("://")
    try:
        return scheme in {"http", "https"} and is_loopback(parse_login_server(host))
    except InvalidName:
        return False


def is_loopback(login_server: LoginServer) -> bool:
    """Tell whether the host is this machine: ``localhost``, or a loopback address written in full."""
    try:
        name = urlsplit(f"//{login_server}").hostname or ""
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False


def _is_plain_https(url: str) -> bool:
    match = _PLAIN_HTTPS.fullmatch(url)
    try:
        return match is not None and bool(parse_login_server(match["host"]))
    except InvalidName:
        return False
