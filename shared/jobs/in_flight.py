"""Work that a pool of threads does, its results taken as they come."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Empty, SimpleQueue


class InFlight[Task, Result]:
    """What was begun and not taken yet; to take one result costs the same however many are under way."""

    def __init__(self, pool: ThreadPoolExecutor, act: Callable[[Task], Result]) -> None:
        self._pool = pool
        self._act = act
        self._finished: SimpleQueue[Future[Result]] = SimpleQueue()
        self._count = 0

    def __len__(self) -> int:
        """Return how many are under way, or finished and not taken."""
        return self._count

    def begin(self, task: Task) -> None:
        """Have a thread do it."""
        self._count += 1
        self._pool.submit(self._act, task).add_done_callback(self._finished.put)

    def take(self, timeout: float) -> Iterator[Result]:
        """Yield what finished; waits for a first one, no longer than so many seconds.

        What the work raised is raised here.
        """
        try:
            future = self._finished.get(timeout=timeout)
            while True:
                self._count -= 1
                yield future.result()
                future = self._finished.get_nowait()
        except Empty:
            return
