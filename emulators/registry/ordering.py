"""Keys kept in order, cheap to page through and to fill by the hundred thousand."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from typing import Any

_FEW = 64


class SortedKeys[Key: Any]:
    """A set of comparable keys in ascending order; a page costs a bisection, whatever the size."""

    def __init__(self) -> None:
        self._keys: list[Key] = []
        self._added: list[Key] = []

    def add(self, key: Key) -> None:
        """Take a key that is not yet present."""
        self._added.append(key)

    def remove(self, key: Key) -> None:
        """Drop a key that is present."""
        keys = self._ordered()
        position = bisect_left(keys, key)
        if position == len(keys) or keys[position] != key:
            raise KeyError(key)
        del keys[position]

    def after(self, last: Key | None) -> Iterator[Key]:
        """Yield the keys that follow ``last``, which need not be present, in ascending order."""
        keys = self._ordered()
        start = 0 if last is None else bisect_right(keys, last)
        return (keys[i] for i in range(start, len(keys)))

    def before(self, last: Key | None) -> Iterator[Key]:
        """Yield the keys that precede ``last``, which need not be present, in descending order."""
        keys = self._ordered()
        start = len(keys) if last is None else bisect_left(keys, last)
        return (keys[i] for i in range(start - 1, -1, -1))

    def __len__(self) -> int:
        return len(self._keys) + len(self._added)

    def _ordered(self) -> list[Key]:
        if self._added:
            if len(self._added) <= _FEW:
                for key in self._added:
                    insort(self._keys, key)
            else:
                self._keys.extend(self._added)
                self._keys.sort()
            self._added.clear()
        return self._keys
