"""Functions of the app, called in this process as the worker calls them."""

from collections.abc import Callable
from typing import Any


def call(door: Any) -> Callable[..., Any]:
    """Return the function behind its decorators."""
    found: Callable[..., Any] = door._function.get_user_function()
    return found
