"""Threads whose work is given up as soon as nobody waits for it: after Ctrl-C, or an error."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager


@contextmanager
def threads(number: int) -> Iterator[ThreadPoolExecutor]:
    """Run what is submitted; whoever leaves early waits for nothing, not even for what has begun."""
    pool = ThreadPoolExecutor(number, thread_name_prefix="steward")
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()
