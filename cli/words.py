"""Digests, sizes, ages and counts as people read them."""

import re
import textwrap
from datetime import datetime, timedelta
from typing import Final

_DIGEST: Final = re.compile(r"(sha(?:256|512)[:-][0-9a-f]{12})[0-9a-f]{20,}")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_THOUSAND: Final = 1000
_UNITS: Final = ((timedelta(days=1), "d"), (timedelta(hours=1), "h"), (timedelta(minutes=1), "m"))


def short(text: str) -> str:
    """Cut every digest in the text to the twelve characters that people compare."""
    return _DIGEST.sub(r"\1", text)


def cut(text: str, width: int) -> str:
    """Return the text, its end replaced by an ellipsis where it is wider than that."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def folded(text: str, width: int, *, indent: int) -> list[str]:
    """Return the text in lines that are not wider than that, all but the first indented."""
    return textwrap.wrap(text, width, subsequent_indent=" " * indent, break_on_hyphens=False)


def bare(digest: str) -> str:
    """Return the twelve characters of a digest without its algorithm, where space is scarce."""
    return short(digest).rpartition(":")[2]


def printable(text: str) -> str:
    """Take out what a terminal would obey: names and messages come from strangers."""
    return _CONTROL.sub("�", text)


def size(count: int | None) -> str:
    """Read as ``12.1 MB``; nothing when unknown."""
    if count is None:
        return ""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < _THOUSAND or unit == "TB":
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= _THOUSAND
    raise AssertionError


def age(then: datetime | None, now: datetime) -> str:
    """Read as ``40d``, ``3h`` or ``5m``; nothing when unknown."""
    if then is None:
        return ""
    passed = max(now - then, timedelta(0))
    for unit, name in _UNITS:
        if passed >= 2 * unit:
            return f"{passed // unit}{name}"
    return f"{passed // timedelta(minutes=1)}m"


def count(number: int, thing: str, things: str = "") -> str:
    """Read as ``1 tag`` or ``1,200 tags``."""
    return f"{number:,} {thing if number == 1 else things or f'{thing}s'}"
