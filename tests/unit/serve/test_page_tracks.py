"""The drawn points tell the same drive as the fixes."""

from __future__ import annotations

from datetime import timedelta
from itertools import accumulate
from math import nan

import numpy as np
import pyarrow as pa
import pytest
from drive_pages import DAY, Fix, fixes, points_of
from hypothesis import given
from hypothesis import strategies as st

from fleetlake.serve.page.payload import tracks
from fleetlake.serve.page.thin import METRES_PER_DEGREE, Tolerance, thin

PLENTY = 10_000
TOLERANCE = Tolerance(position_m=15, speed_kmh=3)


def thinned(rows: list[Fix], most: int = PLENTY, starts: list[int] | None = None) -> list[int]:
    columns = np.array([[nan if value is None else value for value in row] for row in rows], float).reshape(-1, 4).T
    begin = np.isin(np.arange(len(rows)), starts or [0])
    return thin(begin, *columns, tolerance=TOLERANCE, most=most).tolist()


def test_a_steady_straight_drive_is_its_ends() -> None:
    assert thinned([(i, 52 + i / 1000, -1.0, 50.0) for i in range(1000)]) == [0, 999]


def test_a_turn_a_stop_and_a_burst_of_speed_stay() -> None:
    corner: list[Fix] = [(i, 52 + min(i, 50) / 1000, -1 + max(i - 50, 0) / 1000, 50.0) for i in range(101)]
    assert thinned(corner) == [0, 50, 100]
    stop: list[Fix] = [(i, 52 + (i if i < 50 else 50 if i < 80 else i - 30) / 1000, -1.0, 50.0) for i in range(131)]
    assert thinned(stop) == [0, 50, 80, 130]
    burst: list[Fix] = [(i, 52 + i / 1000, -1.0, 90.0 if i == 60 else 50.0) for i in range(101)]
    assert thinned(burst) == [0, 59, 60, 61, 100]


def test_a_fix_without_a_speed_stays() -> None:
    assert thinned([(i, 52 + i / 1000, -1.0, None if i == 5 else 50.0) for i in range(11)]) == [0, 4, 5, 6, 10]


def test_legs_keep_their_own_ends() -> None:
    assert thinned([(i, 52 + i / 1000, -1.0, 50.0) for i in range(100)], starts=[0, 40, 41]) == [0, 39, 40, 41, 99]


def test_no_fixes_and_one() -> None:
    assert thinned([]) == []
    assert thinned([(0, 52.0, -1.0, 1.0)]) == [0]


@pytest.mark.parametrize("most", [3, 50, 400])
def test_a_limit_is_met_by_a_coarser_tolerance(most: int) -> None:
    rng = np.random.default_rng(1)
    rows: list[Fix] = [(i, 52 + rng.normal() / 100, -1 + rng.normal() / 100, rng.uniform(0, 100)) for i in range(1000)]
    kept = thinned(rows, most)
    assert most - 1 <= len(kept) <= most
    assert (kept[0], kept[-1]) == (0, 999)


FIX = st.tuples(st.integers(0, 30), st.floats(51.9, 52.1), st.floats(-1.1, -0.9), st.none() | st.floats(0, 130))


@given(st.lists(FIX, max_size=60))
def test_what_is_left_out_is_where_the_line_says(steps: list[Fix]) -> None:
    times = accumulate(step[0] for step in steps)
    rows: list[Fix] = [(time, *step[1:]) for time, step in zip(times, steps, strict=True)]
    kept = thinned(rows)
    assert kept == sorted(set(kept))
    for i in set(range(len(rows))) - set(kept):
        before, after = max(k for k in kept if k < i), min(k for k in kept if k > i)
        assert deviation(rows[before], rows[i], rows[after]) <= 1 + 1e-6


def deviation(before: Fix, fix: Fix, after: Fix) -> float:
    """How far a fix is from the line between two others at its time, in tolerances."""
    share = (fix[0] - before[0]) / (after[0] - before[0]) if after[0] > before[0] else 0.0

    def east(row: Fix) -> float:
        return float(row[2] * np.cos(np.radians(row[1])) * METRES_PER_DEGREE)

    def off(one: float, other: float, seen: float) -> float:
        return abs(one + share * (other - one) - seen)

    metres = np.hypot(off(east(before), east(after), east(fix)), off(before[1], after[1], fix[1]) * METRES_PER_DEGREE)
    around = [row[3] for row, counts in ((before, share < 1), (after, share > 0)) if counts]
    if None in (fix[3], *around):
        assert fix[3] is None
        assert around == [None] * len(around)
        return float(metres / TOLERANCE.position_m)
    speeds = off(float(before[3] or 0), float(after[3] or 0), float(fix[3] or 0))
    return float(max(metres / TOLERANCE.position_m, speeds / TOLERANCE.speed_kmh))


def test_points_are_read_back_as_the_fixes_they_are() -> None:
    rows: list[Fix] = [(28_800, 52.123456, -1.987654, 10.4), (28_830, 52.2, 1.5, None), (28_860, 52.3, -1.0, 99.6)]
    (track,) = tracks(fixes("a", rows), PLENTY)
    assert (track["device"], track["day"], track["legs"]) == ("a", "2026-03-01", [])
    assert points_of(track) == [
        (28_800, 52.12346, -1.98765, 10),
        (28_830, 52.2, 1.5, None),
        (28_860, 52.3, -1.0, 100),
    ]


def test_days_and_vehicles_have_tracks_of_their_own_and_silences_end_a_leg() -> None:
    silent: list[Fix] = [(0, 52.0, -1.0, 50.0), (300, 52.1, -1.0, 0.0), (600.5, 52.5, -1.0, 50.0), (630, 52.51, -1.0, 0.0)]
    made = tracks(
        pa.concat_tables([fixes("a", silent), fixes("a", silent[:2], DAY + timedelta(days=1)), fixes("b", silent[:2])]), PLENTY
    )
    assert [(track["device"], track["day"], track["legs"]) for track in made] == [
        ("a", "2026-03-01", [2]),
        ("a", "2026-03-02", []),
        ("b", "2026-03-01", []),
    ]
    way = [list(accumulate(track["way"])) for track in made]
    assert way[0] == [0, 1112, 1112, 1223]  # in 10 m; what was driven during the silence is not known
    assert way[1] == way[2] == [0, 1112]


def test_a_drive_over_the_antimeridian_is_short() -> None:
    rows: list[Fix] = [(0, 0.0, 179.999, 40.0), (30, 0.0, -179.999, 40.0)]
    (track,) = tracks(fixes("a", rows), PLENTY)
    assert list(accumulate(track["way"])) == [0, 22]
