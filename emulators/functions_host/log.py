"""Logs of the host and of the app, one JSON object a line on stderr."""

import asyncio
import json
import logging
import sys
import traceback
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime

from azure_functions_runtime import invocation_id_cv
from azure_functions_runtime.bindings.context import _invocation_id_local

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}

_LEVELS = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "information": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
    "none": logging.CRITICAL + 1,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningInvocation:
    invocation_id: str
    function: str


current: ContextVar[RunningInvocation | None] = ContextVar("current", default=None)
running: dict[str, RunningInvocation] = {}


def current_invocation() -> RunningInvocation | None:
    """Return the invocation that this task, pool thread or thread of the app works for, if it is known.

    A coroutine has it in the context of its task; for sync functions the runtime keeps the id in a
    context variable of its pool thread; threads that the app starts carry what the app put into
    `context.thread_local_storage`. On the thread of the event loop the latter two mean nothing: many
    invocations begin there.
    """
    if _is_event_loop_thread():
        return current.get()
    invocation_id = invocation_id_cv.get() or getattr(_invocation_id_local, "invocation_id", None)
    return running.get(invocation_id or "")


def _is_event_loop_thread() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {key: value for key, value in record.__dict__.items() if key not in _STANDARD}
        line |= {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        invocation = current_invocation()
        if invocation is not None:
            line["function"] = invocation.function
            line["invocation_id"] = invocation.invocation_id
        if record.exc_info:
            line["exception"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(line, default=str)


class LevelsByCategory(logging.Filter):
    """Lets through what `logging.logLevel` of host.json allows; the longest matching category decides."""

    def __init__(self, levels: Mapping[str, str]) -> None:
        super().__init__()
        self._levels = {
            category.lower(): _LEVELS.get(str(level).lower(), logging.INFO)
            for category, level in levels.items()
        }

    def filter(self, record: logging.LogRecord) -> bool:
        invocation = current_invocation()
        category = f"Function.{invocation.function}.User" if invocation else record.name
        return record.levelno >= self._level(category.lower())

    def _level(self, category: str) -> int:
        while category:
            if category in self._levels:
                return self._levels[category]
            category = category.rpartition(".")[0]
        return self._levels.get("default", logging.INFO)


def configure_logging(levels: Mapping[str, str], *, debug: bool = False) -> None:
    """Route every logger of the process to stderr, at the levels of host.json."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    handler.addFilter(LevelsByCategory(levels))
    logging.basicConfig(level=logging.DEBUG if debug else logging.INFO, handlers=[handler], force=True)
    # The runtime's own chatter: one line per invocation that says less than this host's own.
    logging.getLogger("azure.functions").setLevel(logging.DEBUG if debug else logging.WARNING)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
