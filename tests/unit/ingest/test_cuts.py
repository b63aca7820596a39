"""Rows of many days become several commits, each of few days, and together they are what one would have been."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from fleetlake.contracts.arrow import table_schema
from fleetlake.contracts.events import GPS
from fleetlake.contracts.tables import bronze_of
from fleetlake.ingest.cuts import cut_by_days

DAY = datetime(2026, 1, 5, tzinfo=UTC)
Place = tuple[int, int, int | None]  # partition, offset, day


def table(places: list[Place]) -> pa.Table:
    """Bronze rows, the places and times of which matter."""
    rows = [
        {"kafka_partition": p, "kafka_offset": offset, "event_time": None if day is None else DAY + timedelta(days=day)}
        for p, offset, day in places
    ]
    return pa.Table.from_pylist(rows, table_schema(bronze_of(GPS)))


@st.composite
def flushes(draw: st.DrawFn) -> list[Place]:
    """Records of up to three partitions, some offsets left out, of a few days or none, in no order."""
    places = [
        (partition, offset, day)
        for partition in range(3)
        for offset, day in enumerate(draw(st.lists(st.none() | st.integers(0, 12), max_size=12)), 100)
        if draw(st.integers(0, 9))
    ]
    return draw(st.permutations(places))


@given(flushes(), st.integers(1, 14))
def test_each_part_has_few_days_and_goes_on_where_the_last_one_ended(places: list[Place], most: int) -> None:
    start, following = dict.fromkeys(range(3), 100), dict.fromkeys(range(3), 120)
    position, seen = dict(start), []
    for rows, reached in cut_by_days(table(places), start, following, most=most):
        part = [(p, offset) for p, offset in zip(*(rows[c].to_pylist() for c in ("kafka_partition", "kafka_offset")), strict=True)]
        days = {None if time is None else time.date() for time in rows["event_time"].to_pylist()}
        assert len(days) <= most
        assert all(position[p] <= offset < reached[p] for p, offset in part)
        missed = {(p, o) for p, o, _ in places if position[p] <= o < reached[p]} - {*part}
        assert not missed
        position, seen = dict(reached), seen + part
    assert position == following
    assert sorted(seen) == sorted((p, offset) for p, offset, _ in places)


def test_no_part_is_smaller_than_it_has_to_be() -> None:
    places: list[Place] = [(0, offset, offset // 2 % 7) for offset in range(40)]
    parts = [rows.num_rows for rows, _ in cut_by_days(table(places), {0: 0}, {0: 40}, most=3)]
    assert parts == [6] * 6 + [4]


def test_rows_of_few_days_are_one_part_as_they_are() -> None:
    rows = table([(0, 1, 1), (0, 0, 2), (0, 2, None)])
    assert list(cut_by_days(rows, {0: 0}, {0: 3}, most=3)) == [(rows, {0: 3})]
