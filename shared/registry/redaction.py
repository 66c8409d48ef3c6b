"""URLs as they may be written down: query values are hidden unless they are known to be harmless."""

from typing import Final
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

_SHOWN: Final = frozenset(
    {
        "api-version",
        "artifactType",
        "digest",
        "from",
        "last",
        "mount",
        "n",
        "name",
        "orderby",
        "ordering",
        "page",
        "page_size",
        "scope",
        "service",
    }
)
"""An allow-list: storage signatures and upload state go by too many names to list those instead."""


def redact(url: str) -> str:
    """Return the URL without user, password, fragment, and the values of unknown query keys."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "REDACTED"
    query = "&".join(
        f"{quote(key, safe='')}={quote(value, safe=':/,*') if key in _SHOWN else 'REDACTED'}"
        for key, value in parse_qsl(parts.query, keep_blank_values=True)
    )
    return urlunsplit((parts.scheme, host, parts.path, query, ""))
