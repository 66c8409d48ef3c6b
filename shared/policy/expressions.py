"""Regular expressions of the RE2 kind: no backtracking, so a pattern cannot make a plan take for ever."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import re2  # type: ignore[import-untyped]

from shared.errors import InvalidInput

_LONGEST: Final = 1000


@dataclass(frozen=True, slots=True)
class Re2Expression:
    """An expression that must match the whole of a name, alternatives included.

    Tools that anchor the text instead of the match take ``dev|test`` as ``^dev`` or ``test$``.
    """

    text: str
    groups: frozenset[str]
    _compiled: Any = field(repr=False, compare=False)

    def match(self, name: str) -> Mapping[str, str] | None:
        """Return what the named groups captured; groups that took no part are left out."""
        found = self._compiled.fullmatch(name.encode())
        if found is None:
            return None
        if not self.groups:
            return {}
        captured = found.groupdict()
        return {group: text.decode() for group, text in captured.items() if text is not None}


def parse_expression(text: str) -> Re2Expression:
    """Return the expression that the text is.

    :raises InvalidInput: saying what RE2 does not take, such as a look-ahead or a back-reference.
    """
    if not text or len(text) > _LONGEST:
        raise InvalidInput(f"an expression has 1 to {_LONGEST} characters, this one {len(text)}")
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 8 * 1024 * 1024
    try:
        compiled = re2.compile(text, options)
    except (re2.error, UnicodeError) as error:
        reason = error.args[0] if error.args else error
        shown = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise InvalidInput(f"{text!r} is no RE2 expression: {shown}") from error
    return Re2Expression(text, frozenset(compiled.groupindex), compiled)
