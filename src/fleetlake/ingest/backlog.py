"""What is under way between threads, bounded by what it weighs, not by how many items it is."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import TypeVar

Item = TypeVar("Item")


class Backlog(queue.Queue[Item]):
    """`put` waits while the items hold `limit` or more; an item of any weight fits into what is below that.

    weigh: an item's weight, at least 1, the same whenever it is asked for.
    """

    def __init__(self, limit: int, weigh: Callable[[Item], int]) -> None:
        super().__init__(limit)
        self._weigh, self._held = weigh, 0

    # queue.Queue is made for these three to be replaced: it asks them, under its lock, whether to wait.
    def _qsize(self) -> int:
        return self._held

    def _put(self, item: Item) -> None:
        super()._put(item)
        self._held += self._weigh(item)

    def _get(self) -> Item:
        item: Item = super()._get()
        self._held -= self._weigh(item)
        return item


class Held:
    """Counts the bytes that one thread has taken on and another has not yet finished with. For any thread."""

    def __init__(self, limit: int) -> None:
        self._limit, self._held, self._changed = limit, 0, threading.Condition()

    @property
    def is_full(self) -> bool:
        return self._held >= self._limit

    def add(self, count: int) -> None:
        with self._changed:
            self._held += count

    def release(self, count: int) -> None:
        with self._changed:
            self._held -= count
            self._changed.notify_all()

    def wait(self, timeout_s: float) -> None:
        """Returns when it is not full, at the latest after `timeout_s`."""
        with self._changed:
            self._changed.wait_for(lambda: not self.is_full, timeout_s)
