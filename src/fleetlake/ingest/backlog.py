"""A queue between two threads that is bounded by what its items weigh, not by how many they are."""

from __future__ import annotations

import queue
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
