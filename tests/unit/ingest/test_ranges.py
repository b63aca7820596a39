"""Ranges against Python's sets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetlake.ingest import ranges as module
from fleetlake.ingest.ranges import Places, Ranges

PAIRS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=8)


def offsets(ranges: Ranges) -> set[int]:
    found = [offset for first, after in ranges for offset in range(first, after)]
    assert len(found) == len(set(found)) == ranges.size
    assert (ranges.firsts[1:] > ranges.afters[:-1]).all()
    return set(found)


@given(PAIRS, PAIRS, st.integers(0, 40), st.integers(0, 40))
def test_as_sets(one: list[tuple[int, int]], other: list[tuple[int, int]], first: int, after: int) -> None:
    a, b = Ranges.of(one), Ranges.of(other)
    in_a, in_b = ({o for pair in pairs for o in range(*pair)} for pairs in (one, other))
    assert offsets(a) == in_a
    assert offsets(a | b) == in_a | in_b
    assert offsets(a - b) == in_a - in_b
    assert offsets(a.between(first, after)) == {o for o in in_a if first <= o < after}
    assert a.holding(np.arange(41)).tolist() == sorted(in_a)


@given(st.lists(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30)), max_size=20), max_size=5), st.integers(0, 9))
def test_places_of_rows(batches: list[list[tuple[int, int]]], most_runs: int) -> None:
    places, rows = Places(), [row for batch in batches for row in batch]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "MOST_RUNS", most_runs)
        for batch in batches:
            places.add(np.array([p for p, _ in batch], np.int32), np.array([o for _, o in batch], np.int64))
        found = places.ranges()
    assert {p: offsets(ranges) for p, ranges in found.items()} == {p: {o for q, o in rows if q == p} for p, _ in rows}
    assert places.rows == {p: sum(q == p for q, _ in rows) for p, _ in rows}
