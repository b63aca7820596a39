"""The rows of each day, for a file each, without a copy of all of them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

EPOCH, NO_DAY = date(1970, 1, 1), np.iinfo(np.int32).max
ROW_GROUP_ROWS = 250_000
PART_BYTES = 32 * 1024 * 1024  # copied at a time
Numbers = np.ndarray[tuple[int], np.dtype[Any]]


def parts_of_days(rows: pa.Table, source: str) -> Iterator[tuple[date | None, Iterator[pa.Table]]]:
    """The rows of each UTC day of column `source`, in their order, in parts; those without a time come last, as None.

    However many days there are, what is copied at a time is ROW_GROUP_ROWS at most, and PART_BYTES unless a single row is larger.
    Rows of one day alone are a part, and not copied.
    """
    days = pc.cast(rows[source], pa.date32())
    bounds = pc.min_max(days).as_py()
    if bounds["min"] == bounds["max"] and days.null_count in (0, len(days)):
        yield from [(bounds["min"], iter([rows]))] if len(days) else []
        return
    numbers = days.cast(pa.int32()).fill_null(NO_DAY).to_numpy()
    order = np.argsort(numbers, kind="stable")
    numbers = numbers[order]
    chosen, reach = _Chosen(rows), _Reach(rows, order)
    bounds_of_days = [*np.flatnonzero(np.diff(numbers, prepend=numbers[0] - 1)).tolist(), len(order)]
    first = 0
    while first < len(bounds_of_days) - 1:
        start = bounds_of_days[first]
        last = max(first + 1, bisect_right(bounds_of_days, reach.after(start)) - 1)
        parts = (chosen.take(order[a:b]) for a, b in reach.steps(start, bounds_of_days[last]))
        if last == first + 1:
            yield _day(numbers[start]), parts
        else:
            (several,) = parts
            for a, b in pairwise(bounds_of_days[first : last + 1]):
                yield _day(numbers[a]), iter([several.slice(a - start, b - a)])
        first = last


def _day(number: int) -> date | None:
    return None if number == NO_DAY else EPOCH + timedelta(int(number))


class _Reach:
    """How far parts of ordered rows go: to ROW_GROUP_ROWS of them, or PART_BYTES."""

    def __init__(self, rows: pa.Table, order: Numbers) -> None:
        texts = [column for column in rows.columns if has_bytes(column.type)]
        sizes = np.full(len(rows), (rows.nbytes - sum(column.nbytes for column in texts)) // len(rows), np.int64)
        for column in texts:
            sizes += pc.binary_length(column).fill_null(0).to_numpy()
        self._bytes = np.cumsum(sizes[order])

    def after(self, start: int) -> int:
        """Where the part that begins at `start` ends; it has a row at least."""
        before = self._bytes[start - 1] if start else 0
        fit = int(np.searchsorted(self._bytes, before + PART_BYTES, side="right"))
        return min(start + ROW_GROUP_ROWS, max(start + 1, fit))

    def steps(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        while start < end:
            reached = min(end, self.after(start))
            yield start, reached
            start = reached


class _Chosen:
    """Takes rows of a table in any order. Arrow would first copy the whole of a column that lies in several pieces."""

    def __init__(self, rows: pa.Table) -> None:
        self._batches = rows.to_batches()
        self._ends = np.cumsum([len(batch) for batch in self._batches])

    def take(self, numbers: Numbers) -> pa.Table:
        of = np.searchsorted(self._ends, numbers, side="right")
        by_batch = np.argsort(of, kind="stable")
        of, sorted_numbers = of[by_batch], numbers[by_batch]
        starts = np.flatnonzero(np.diff(of, prepend=-1)).tolist()
        taken = []
        for start, end in pairwise([*starts, len(of)]):
            batch = self._batches[of[start]]
            taken.append(batch.take(pa.array(sorted_numbers[start:end] - (self._ends[of[start]] - len(batch)))))
        if (np.diff(by_batch) > 0).all():
            return pa.Table.from_batches(taken)
        back = np.empty_like(by_batch)
        back[by_batch] = np.arange(len(back))
        return pa.Table.from_batches(taken).combine_chunks().take(pa.array(back))


def has_bytes(kind: pa.DataType) -> bool:
    return any(test(kind) for test in (pa.types.is_large_string, pa.types.is_large_binary, pa.types.is_string, pa.types.is_binary))
