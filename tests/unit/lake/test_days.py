"""Rows split by day: every row once, in order, in parts of a bounded size."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetlake.lake import days
from fleetlake.lake.days import parts_of_days

DAY = datetime(2026, 1, 5, 12, tzinfo=UTC)
TIME = pa.timestamp("us", "UTC")


def table(of_day: list[int | None], sizes: list[int], batches: list[int]) -> pa.Table:
    """A row for each number of a day, with a text of so many bytes, cut into batches of these lengths over and over."""
    times = pa.array([None if day is None else DAY + timedelta(day) for day in of_day], TIME)
    rows = pa.table({"time": times, "number": pa.array(range(len(of_day))), "text": pa.array(["x" * size for size in sizes])})
    pieces, at, turn = [], 0, 0
    while at < len(of_day):
        pieces.append(rows.slice(at, batches[turn % len(batches)]))
        at, turn = at + batches[turn % len(batches)], turn + 1
    return pa.concat_tables(pieces) if pieces else rows


@given(st.lists(st.tuples(st.none() | st.integers(-3, 3), st.integers(0, 30))), st.lists(st.integers(1, 7), min_size=1))
def test_every_row_is_in_its_day_once_and_in_order(made: list[tuple[int | None, int]], batches: list[int]) -> None:
    of_day, sizes = [day for day, _ in made], [size for _, size in made]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(days, "PART_BYTES", 100)
        patch.setattr(days, "ROW_GROUP_ROWS", 5)
        split = [(day, list(parts)) for day, parts in parts_of_days(table(of_day, sizes, batches), "time")]
    known = sorted({day for day in of_day if day is not None})
    expected = [*known, None] if None in of_day else known
    assert [day for day, _ in split] == [None if day is None else (DAY + timedelta(day)).date() for day in expected]
    for day, (_, parts) in zip(expected, split, strict=True):
        assert [n for part in parts for n in part["number"].to_pylist()] == [n for n, other in enumerate(of_day) if other == day]
        if len(expected) > 1:
            assert all(
                part.num_rows == 1 or (part.num_rows <= 5 and sum(map(len, part["text"].to_pylist())) <= 100) for part in parts
            )


def test_what_is_copied_at_a_time_is_a_part_of_it() -> None:
    """Arrow's own `take` copies each column as a whole first."""
    million = 1_000_000
    rows = table([n % 2 for n in range(256)], [million] * 256, [32])
    usual = pa.default_memory_pool()
    counting = pa.proxy_memory_pool(usual)
    pa.set_memory_pool(counting)
    try:
        assert sum(part.num_rows for _, parts in parts_of_days(rows, "time") for part in parts) == 256
    finally:
        pa.set_memory_pool(usual)
    assert 30 * million < counting.max_memory() < 140 * million
