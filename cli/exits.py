"""Exit codes, and the failures that a person can do something about."""

from typing import Final

import click

DONE: Final = 0
NO: Final = 1
"""Nothing is broken, and the answer is no: a case failed, a check found something, a person said no."""
USAGE: Final = 2
REFUSED: Final = 3
FAILED: Final = 4
INTERRUPTED: Final = 130

MEANINGS: Final = {
    DONE: "done",
    NO: "the answer is no: a test case or a check failed, or you did not confirm",
    USAGE: "wrong usage, or a policy or settings that cannot be used",
    REFUSED: "refused by the policy's limits; nothing was removed where they refuse",
    FAILED: "a registry or storage failed; what could be done was done and printed",
    INTERRUPTED: "interrupted by Ctrl-C",
}


class Failure(click.ClickException):
    """Something that ends the command: what is wrong, and what to do next."""

    def __init__(self, message: str, *, hint: str = "", code: int = USAGE) -> None:
        super().__init__(message)
        self.hint = hint
        self.code = code


class Unsupported(Failure):
    """What a registry does not offer to anybody."""
