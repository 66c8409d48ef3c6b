"""Azure commands as documents, workflows and messages of this repository write them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
AZURE_CLI = Path(__file__).with_name("azure_cli.json")

_START = re.compile(r"(?:^|(?<=[\s`\"'(|;]))(azd?) (?=[a-z])")
_START_IN_PROSE = re.compile(r"(?<=`)(azd?) (?=[a-z])")
_END = re.compile(r"\s\|\s|;|&&|`|\n|\s#")
_FENCE = re.compile(r"^ *```.*\n", re.MULTILINE)
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_INNER = re.compile(r"\$\(([^()]*)\)")
_WORD = re.compile(r"[a-z][a-z0-9-]*")
_OPTION = re.compile(r"(?<!\S)(--[a-z][\w-]*|-[a-zA-Z])(?=[\s=]|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """``az acr show --name``: the tool, the words before the first option or value, and the options."""

    place: str
    tool: str
    words: tuple[str, ...]
    options: frozenset[str]
    runnable: bool
    """Stands where a person or a workflow would run it as it is."""

    def name_in(self, known: dict[str, object] | set[str]) -> str | None:
        """Return the longest beginning of the words that is a command, ``None`` when none is."""
        names = (" ".join(self.words[:length]) for length in range(len(self.words), 0, -1))
        return next((name for name in names if name in known), None)


def commands() -> list[Command]:
    """Return every command in the documents, the workflows and the texts of app and command line."""
    found: list[Command] = []
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for number, part in enumerate(_FENCE.split(path.read_text(encoding="utf-8"))):
            fenced = number % 2 == 1
            found.extend(_in(path, part, _START if fenced else _START_IN_PROSE, runnable=fenced))
    for path in sorted((ROOT / ".github" / "workflows").glob("*.yml")):
        found.extend(_in(path, path.read_text(encoding="utf-8"), _START, runnable=True))
    for folder in ("cli", "shared", "functions"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            # Literals one below the other are one text.
            source = re.sub(r"[\"']\s*\n\s*f?[\"']", "", path.read_text(encoding="utf-8"))
            found.extend(_in(path, source, _START, runnable=False))
    return found


def _in(path: Path, text: str, starts: re.Pattern[str], *, runnable: bool) -> Iterator[Command]:
    text = re.sub(r"\\\n\s*", " ", text)
    while inner := _INNER.search(text):
        yield from _in(path, inner[1], _START, runnable=runnable)
        text = text[: inner.start()] + "VALUE" + text[inner.end() :]
    for start in starts.finditer(text):
        rest = text[start.end() :]
        end = _END.search(rest)
        rest = _QUOTED.sub("VALUE", rest[: end.start()] if end else rest)
        words = [word.strip("\"'.,:)") for word in rest.split()]
        yield Command(
            place=str(path.relative_to(ROOT)),
            tool=start[1],
            words=tuple(takewhile(_WORD.fullmatch, words)),
            options=frozenset(_OPTION.findall(rest)),
            runnable=runnable,
        )
