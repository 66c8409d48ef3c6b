"""Pages for people: templates that escape everything, one style sheet, no script, and a policy to match."""

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import jinja2
from markupsafe import Markup

from shared.pages.charts import columns, segments
from shared.pages.remedies import remedy_of, split_advice

_TEMPLATES: Final = Path(__file__).parent / "templates"
_DIGEST: Final = re.compile(r"(sha(?:256|512)[:-][0-9a-f]{12})[0-9a-f]{20,}")
_OBEYED: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")
_THOUSAND: Final = 1000


@dataclass(frozen=True, slots=True)
class Page:
    """A document, and the Content-Security-Policy that lets it have its style and nothing else."""

    html: str
    policy: str


def render(template: str, *, code: str | None = None, **values: Any) -> Page:
    """Return the page; its links carry the function key only when the request's address did."""
    html = _environment().get_template(template).render(link=_linker(code), **values)
    return Page(html, _policy())


def _linker(code: str | None) -> Callable[..., str]:
    def link(*names: str) -> str:
        path = "/".join(quote(name, safe="/") for name in names)
        query = "" if code is None else f"?code={quote(code, safe='')}"
        return f"/api/{path}{query}"

    return link


@cache
def _policy() -> str:
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


@cache
def _style() -> str:
    return (_TEMPLATES / "style.css").read_text(encoding="utf-8")


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        finalize=_readable,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "size": size,
        "short": short,
        "moment": moment,
        "span": span,
        "words": words,
        "number": whole,
        "date": lambda text: moment(text, hours=False),
    }
    environment.globals |= {
        # The only markup that is not escaped: our own file, which the policy names by its digest.
        "style": Markup(_style()),  # noqa: S704
        "size": size,
        "span": span,
        "whole": whole,
        "titles": lambda names: [(words(name), "n") for name in names],
        "columns": columns,
        "segments": segments,
        "remedy_of": remedy_of,
        "split_advice": split_advice,
    }
    return environment


def size(count: float) -> str:
    """Read as ``12.1 MB``."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < _THOUSAND:
            return f"{amount:.0f} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= _THOUSAND
    return f"{amount:,.1f} TB"


def whole(number: float) -> str:
    """Read as ``12,345``."""
    return f"{number:,.0f}"


def words(name: object) -> str:
    """Read as ``up to date``."""
    return str(name).replace("_", " ")


def short(text: object) -> str:
    """Cut digests to the twelve characters that people compare."""
    return _DIGEST.sub(r"\1…", str(text))


def _readable(value: object) -> object:
    """Take out of every text what would reorder or hide it; escaping comes after."""
    return _OBEYED.sub("�", value) if type(value) is str else value


def span(seconds: float) -> str:
    """Read as ``3.2 s``, ``4 min``, ``2.5 h`` or ``3 d``."""
    length = float(seconds)
    for unit, longer in (("s", 60), ("min", 60), ("h", 24)):
        if length < longer:
            return f"{length:.1f} {unit}".replace(".0 ", " ") if unit != "min" else f"{length:.0f} min"
        length /= longer
    return f"{length:,.1f} d".replace(".0 ", " ")


def moment(text: str, *, hours: bool = True) -> str:
    """Read as ``23 Nov 2026, 02:00 UTC``; what is no time stays as it is."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return text
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    return f"{at:%-d %b %Y, %H:%M} UTC" if hours else f"{at:%-d %b}"
