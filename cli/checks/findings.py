"""What a check found."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from cli.sentences import in_words
from shared.errors import StewardError

type Level = Literal["ok", "warning", "failure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the doctor's: what was looked at, how it is, and the remedy where it is not well."""

    check: str
    level: Level
    text: str
    remedy: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"check": self.check, "level": self.level, "text": self.text, "remedy": self.remedy}


def ok(check: str, text: str) -> Finding:
    """Return a finding of something that is well."""
    return Finding(check=check, level="ok", text=text)


def warning(check: str, text: str, remedy: str) -> Finding:
    """Return a finding of something that may be wrong."""
    return Finding(check=check, level="warning", text=text, remedy=remedy)


def failure(check: str, text: str, remedy: str) -> Finding:
    """Return a finding of something that does not work."""
    return Finding(check=check, level="failure", text=text, remedy=remedy)


def tried(check: str, act: Callable[[], str], remedy: Callable[[StewardError], str]) -> Iterator[Finding]:
    """Yield what came of trying it: the text that it returns, or the error."""
    try:
        yield ok(check, act())
    except StewardError as error:
        yield failure(check, in_words(error), remedy(error))
