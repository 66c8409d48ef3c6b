"""What a check found."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

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


def tried(check: str, act: Callable[[], str], remedy: Callable[[StewardError], str]) -> Iterator[Finding]:
    """Yield what came of trying it: the text that it returns, or the error."""
    try:
        yield ok(check, act())
    except StewardError as error:
        yield Finding(check=check, level="failure", text=str(error), remedy=remedy(error))
