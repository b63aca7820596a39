"""gold.stops: at rest, in one place, for a while."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transform_rows import Rows, fix, seconds

Episodes = Callable[[str, Rows], Rows]
METRE_DEG = 180 / (math.pi * 6_371_008.8)  # of latitude


def rest(start_s: float, end_s: float, step_s: float = 3, metres: float = 0.0) -> Rows:
    count = int((end_s - start_s) / step_s) + 1
    return [fix(start_s + i * step_s, 0.0, latitude=52.0 + metres * METRE_DEG) for i in range(count)]


def spans(rows: Rows) -> list[tuple[float, float, bool]]:
    return [(seconds(row, "start_time"), seconds(row, "end_time"), row["is_open"]) for row in rows]


@pytest.mark.parametrize(
    ("fixes", "expected"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([fix(0, 0.0)], [], id="one fix"),
        pytest.param(rest(0, 179, 1), [], id="179 s are too short"),
        pytest.param(rest(0, 180), [(0, 180, True)], id="180 s are enough"),
        pytest.param([*rest(0, 299, 1), fix(302, 50.0)], [(0, 299, False)], id="over once it moves"),
        pytest.param([*rest(0, 301, 1), fix(302, 50.0)], [(0, 301, False)], id="longer than a trip's pause"),
        pytest.param([fix(0, 0.0), fix(200, 3.6)], [], id="1 m/s is not at rest"),
        pytest.param([fix(0, 0.0), fix(200, 3.59)], [(0, 200, True)], id="less is"),
        pytest.param([fix(0, 0.0), fix(100, None), fix(200, 0.0)], [], id="a fix without a speed interrupts"),
        pytest.param([fix(0, 0.0), fix(36_000, 0.0, latitude=52.0)], [(0, 36_000, True)], id="silence does not interrupt"),
        pytest.param([fix(-60, 50.0), *rest(0, 120, 30), fix(180, 50.0)], [(0, 120, False)], id="half of the unseen time counts"),
        pytest.param([fix(-60, 50.0), *rest(0, 119, 30), fix(150, 50.0)], [], id="and no more than half"),
        pytest.param([fix(-900, 50.0), *rest(0, 119, 17), fix(900, 50.0)], [], id="up to 30 s at each end"),
        pytest.param([fix(57_400, 0.0), fix(57_800, 0.0)], [(57_400, 57_800, True)], id="over midnight"),
        pytest.param(rest(0, 99) + rest(102, 300, metres=49), [(0, 300, True)], id="49 m away is the same place"),
        pytest.param(rest(0, 99) + rest(102, 300, metres=51), [(102, 300, True)], id="51 m away is another"),
        pytest.param(
            rest(0, 180) + rest(183, 363, metres=60) + rest(366, 600), [(0, 180, False), (183, 363, False), (366, 600, True)],
            id="away and back",
        ),
        pytest.param([fix(i * 10, 3.0, latitude=52.0 + i * 8 * METRE_DEG) for i in range(200)], [], id="creeping is not resting"),
    ],
)  # fmt: skip
def test_stops(episodes: Episodes, fixes: Rows, expected: list[tuple[float, float, bool]]) -> None:
    assert spans(episodes("stops", fixes)) == expected


def test_the_position_is_the_mean_also_across_the_antimeridian(episodes: Episodes) -> None:
    around = [179.9999, -179.9998, 179.9999, -179.9998]
    (stop,) = episodes("stops", [fix(i * 100, 0.0, latitude=0.0, longitude=east) for i, east in enumerate(around)])
    assert stop["longitude"] == pytest.approx(-179.99995)
    (stop,) = episodes("stops", [fix(i * 100, 0.0, latitude=52.0 + i * 1e-4) for i in range(4)])
    assert stop["latitude"] == pytest.approx(52.00015)


def reference(fixes: Rows) -> list[tuple[float, float, bool]]:
    """The definition of a stop, for one device, fix by fix; places differ in latitude only."""
    rows = sorted(fixes, key=lambda row: (row["event_time"], row["event_id"]))
    runs: list[Rows] = []
    run: Rows = []
    for row in rows:
        slow = row["speed_kmh"] is not None and row["speed_kmh"] < 3.6
        if run and (not slow or round(abs(row["latitude"] - run[0]["latitude"]) / METRE_DEG, 3) > 50):
            runs.append(run)
            run = []
        if slow:
            run.append(row)
    ended = [(run, False) for run in runs] + ([(run, True)] if run else [])
    found = [(seconds(run[0], "event_time"), seconds(run[-1], "event_time"), is_open) for run, is_open in ended if run]
    at = [seconds(row, "event_time") for row in rows]
    return [
        (start, end, is_open)
        for start, end, is_open in found
        if end - start
        + min(30, (start - max((t for t in at if t < start), default=start)) / 2)
        + min(30, (min((t for t in at if t > end), default=end) - end) / 2)
        >= 180
    ]  # fmt: skip


STEPS = st.lists(
    st.tuples(st.sampled_from([3, 60, 90, 180, 700]), st.sampled_from([0.0, 0.0, 0.0, 3.0, 9.0, None]), st.integers(-40, 60)),
    max_size=40,
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_the_model_is_the_definition(episodes: Episodes, steps: list[tuple[int, float | None, int]]) -> None:
    elapsed, metres, fixes = 0, 0, []
    for number, (step, speed, moved) in enumerate(steps):
        elapsed, metres = elapsed + step, metres + moved
        latitude = 52.0 + (metres + 0.25) * METRE_DEG
        fixes.append(fix(elapsed, speed, event_id=f"{number:03}", latitude=latitude))
    assert spans(episodes("stops", fixes)) == reference(fixes)
