"""Documents as tests read them: headings, and the fenced blocks below each."""

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_LINE = re.compile(
    r"^(?:#+ (?P<heading>[^\n]+)| *```(?P<language>[^\n]+)\n(?P<body>.*?)^ *```)$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block, and the heading that it stands under."""

    heading: str
    language: str
    body: str

    @property
    def slug(self) -> str:
        """The heading as links name it."""
        return re.sub(r"[^a-z0-9-]", "", self.heading.lower().replace(" ", "-"))


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(name: str) -> list[Block]:
    """Return the blocks of a document in their order."""
    found: list[Block] = []
    heading = ""
    for match in _LINE.finditer(text_of(name)):
        if match["heading"] is not None:
            heading = match["heading"]
        else:
            found.append(Block(heading, match["language"], textwrap.dedent(match["body"])))
    return found


def rows(name: str, heading: str) -> list[list[str]]:
    """Return the cells of the first table under a heading, without its own heading."""
    section = text_of(name).partition(f"# {heading}\n")[2]
    table = section[section.index("\n|") + 1 :].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table]
