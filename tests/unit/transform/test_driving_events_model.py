"""gold.driving_events: too hard or too fast, one row an episode."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any, TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from seam_cuts import assert_seams_hold
from transform_rows import T0, Rows, fix, seconds

from conftest import expose_positions
from fleetlake.contracts.gold import DRIVING_EVENTS
from fleetlake.geography.roads import read_road
from fleetlake.transform.models import relation_model
from fleetlake.transform.native import NativeEngine
from fleetlake.transform.settings import Thresholds

Episodes: TypeAlias = Callable[..., Rows]
Span: TypeAlias = tuple[float, float, bool, int]  # start and end in seconds after T0, whether it is open, reports
PEAKS = {"harsh_acceleration": "max_acceleration_ms2", "harsh_braking": "max_braking_ms2", "harsh_cornering": "max_cornering_ms2"}
M40_LIMIT_KMH = 112.6541
WRONG_CLOCK = {"ingested_at": T0 - timedelta(days=1)}


def peak(at_s: float, ms2: float | None, name: str = "max_braking_ms2", **more: Any) -> dict[str, Any]:
    return fix(at_s, 60.0, **{name: ms2}, **more)


def on(road: str, stretch: int = 0, share: float = 0.5) -> dict[str, float]:
    """A place on a stretch of the road that comes with fleetlake."""
    a, b = [(a, b) for a, b in pairwise(read_road()) if a.road == road][stretch]
    return {
        "latitude": a.latitude + share * (b.latitude - a.latitude), "longitude": a.longitude + share * (b.longitude - a.longitude)
    }  # fmt: skip


M40, NOWHERE = on("M40", 50), {"latitude": 0.0, "longitude": 0.0}


def fast(at_s: float, speed_kmh: float | None, **more: Any) -> dict[str, Any]:
    """A fix on the M40 unless told otherwise."""
    place = M40 | {"latitude": M40["latitude"] + at_s % 600 * 1e-7}
    return fix(at_s, speed_kmh, **(place | more))


def second_by_second(*speeds_kmh: float | None, step_s: float = 1, **more: Any) -> Rows:
    return [fix(i * step_s, speed, **more) for i, speed in enumerate(speeds_kmh)]


def spans(rows: Rows) -> list[Span]:
    return [(seconds(row, "start_time"), seconds(row, "end_time"), row["is_open"], row["fixes"]) for row in rows]


@pytest.mark.parametrize(("kind", "threshold_ms2"), [("harsh_acceleration", 2.5), ("harsh_braking", 2.7), ("harsh_cornering", 3.4)])
def test_a_peak_that_reaches_the_threshold(episodes: Episodes, kind: str, threshold_ms2: float) -> None:
    reports = [peak(0, threshold_ms2, PEAKS[kind]), peak(3, threshold_ms2 - 0.01, PEAKS[kind]), peak(6, 50.0, PEAKS[kind])]
    events = episodes("driving_events", reports)
    assert [(row["kind"], row["measured_by"], row["peak_ms2"]) for row in events] == [
        (kind, "accelerometer", threshold_ms2), (kind, "accelerometer", 50.0),
    ]  # fmt: skip
    assert spans(events) == [(0, 0, False, 1), (6, 6, True, 1)]


@pytest.mark.parametrize(
    ("reports", "expected"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([peak(0, None)], [], id="no peak reported"),
        pytest.param([peak(0, 3.0)], [(0, 0, True, 1)], id="a single fix"),
        pytest.param([peak(0, 3.0), peak(3, 5.0), peak(6, 2.7)], [(0, 6, True, 3)], id="reports in a row are one"),
        pytest.param([peak(0, 3.0), peak(3, 1.0), peak(6, 3.0)], [(0, 0, False, 1), (6, 6, True, 1)], id="a calm one between"),
        pytest.param([peak(0, 3.0), peak(3, None), peak(6, 3.0)], [(0, 6, True, 2)], id="one between that says nothing"),
        pytest.param([peak(0, 3.0), peak(60, 3.0)], [(0, 60, True, 2)], id="60 s apart"),
        pytest.param([peak(0, 3.0), peak(60.001, 3.0)], [(0, 0, False, 1), (60.001, 60.001, True, 1)], id="farther apart"),
        pytest.param([peak(0, 3.0), peak(60, None)], [(0, 0, True, 1)], id="nothing known of it for 60 s: open"),
        pytest.param([peak(0, 3.0), peak(60.001, None)], [(0, 0, False, 1)], id="nothing known of it for longer: over"),
        pytest.param([peak(0, 3.0), peak(3, 1.0)], [(0, 0, False, 1)], id="calm since: over"),
        pytest.param([peak(0, 3.0), fix(61, None, latitude=None)], [(0, 0, False, 1)], id="a later row without a place: over"),
        pytest.param([peak(0, 3.0), peak(90, None, **WRONG_CLOCK)], [(0, 0, True, 1)], id="a later row with a wrong clock: open"),
        pytest.param([peak(57_599, 3.0), peak(57_601, 3.0)], [(57_599, 57_601, True, 2)], id="over midnight"),
        pytest.param([peak(0, 3.0, has_fix=False)], [(0, 0, True, 1)], id="without a GPS fix"),
        pytest.param([peak(0, 3.0, accuracy_m=500.0)], [(0, 0, True, 1)], id="with a poor one"),
        pytest.param([peak(0, 3.0, **WRONG_CLOCK)], [], id="with a wrong clock"),
        pytest.param([peak(0, 3.0, ingested_at=T0 + timedelta(days=4000))], [], id="with a clock years behind"),
        pytest.param([peak(0, 3.0, event_id="a"), peak(0, 3.0, event_id="b")], [(0, 0, True, 1)], id="twice in an instant"),
        pytest.param(
            [peak(0, 3.0), peak(1, 3.0, device_id="v2"), peak(3, 1.0)], [(0, 0, False, 1), (1, 1, True, 1)],
            id="devices do not know each other",
        ),
        pytest.param(
            [peak(0, 3.0), peak(3, 1.0, "max_cornering_ms2"), peak(6, 3.0)], [(0, 6, True, 2)], id="kinds do not know each other",
        ),
        # Measured by GPS: 3.13 m/s2 is 11.268 km/h in a second.
        pytest.param(second_by_second(60, 48.73), [(1, 1, True, 1)], id="GPS: a loss of 3.13 m/s2"),
        pytest.param(second_by_second(60, 48.74), [], id="GPS: a smaller one"),
        pytest.param(second_by_second(60, 43.0, step_s=1.5), [(1.5, 1.5, True, 1)], id="GPS: in 1.5 s"),
        pytest.param(second_by_second(60, 43.2, step_s=1.5), [], id="GPS: a smaller one in 1.5 s"),
        pytest.param(second_by_second(60, 0, step_s=2), [], id="GPS: fixes 2 s apart do not show it"),
        pytest.param(second_by_second(40, 60), [], id="GPS: gaining speed is not judged"),
        pytest.param(second_by_second(60, 45, 30, 29, 10), [(1, 2, False, 2), (4, 4, True, 1)], id="GPS: losses in a row are one"),
        pytest.param(second_by_second(60, None, 30), [], id="GPS: a fix without a speed"),
        pytest.param(second_by_second(60, 40, is_speed_derived=True), [], id="GPS: speeds that were computed"),
        pytest.param([fix(0, 60.0, is_speed_derived=True), fix(1, 40.0)], [], id="GPS: the first was computed"),
        pytest.param([fix(0, 60.0), fix(1, 40.0, is_speed_derived=True)], [], id="GPS: the second was computed"),
        pytest.param([fix(0, 60.0), fix(1, 40.0, has_fix=False)], [], id="GPS: the vehicle's own speed is another instrument's"),
        pytest.param([fix(0, 60.0), fix(1, 40.0, accuracy_m=500.0)], [], id="GPS: a poor fix"),
        pytest.param(second_by_second(60, 40, accuracy_m=500.0), [], id="GPS: two poor ones"),
        pytest.param(second_by_second(60, 40, has_fix=False), [], id="GPS: two of the vehicle's own"),
        pytest.param([fix(0, 60.0), fix(1, 40.0, max_braking_ms2=1.0)], [], id="GPS: the accelerometer was calm"),
        pytest.param(
            [peak(-59, 0.0), fix(0, 60.0), fix(1, 40.0)], [], id="GPS: an accelerometer reported a minute before",
        ),
        pytest.param([fix(0, 60.0), fix(1, 40.0), peak(61, 0.0)], [], id="GPS: an accelerometer reports within a minute"),
        pytest.param([fix(0, 60.0), fix(1, 40.0), peak(61.001, 0.0)], [(1, 1, False, 1)], id="GPS: none does"),
        pytest.param([fix(0, 60.0), fix(1, 40.0), peak(10, 6.0)], [(10, 10, True, 1)], id="one braking, seen by both, is one"),
    ],
)  # fmt: skip
def test_harsh_braking(episodes: Episodes, reports: Rows, expected: list[Span]) -> None:
    events = episodes("driving_events", reports)
    assert spans(events) == expected
    assert {row["kind"] for row in events} <= {"harsh_braking"}


@pytest.mark.parametrize(
    ("fixes", "expected"),
    [
        pytest.param([fast(0, 120.0)], [], id="a single fix"),
        pytest.param([fast(0, 120.0), fast(9.9, 120.0)], [], id="for 9.9 s"),
        pytest.param([fast(0, 120.0), fast(10, 120.0)], [(0, 10, True, 2)], id="for 10 s"),
        pytest.param([fast(0, M40_LIMIT_KMH), fast(10, M40_LIMIT_KMH)], [], id="at the limit"),
        pytest.param([fast(0, 112.66), fast(10, 112.66)], [(0, 10, True, 2)], id="above it"),
        pytest.param([fast(s, 120.0) for s in (0, 60, 120)], [(0, 120, True, 3)], id="a report a minute"),
        pytest.param([fast(s, 120.0) for s in (0, 61, 122)], [], id="rarer reports are not known to belong together"),
        pytest.param([fast(0, 120.0), fast(6, 112.0), fast(12, 120.0)], [], id="within the limit between"),
        pytest.param([fast(0, 120.0), fast(6, None), fast(12, 120.0)], [(0, 12, True, 2)], id="no speed between"),
        pytest.param([fast(0, 120.0), fast(6, 50.0, accuracy_m=500.0), fast(12, 120.0)], [(0, 12, True, 2)], id="a poor fix"),
        pytest.param([fast(0, 300.0, **NOWHERE), fast(12, 300.0, **NOWHERE | {"latitude": 0.001})], [], id="no limit is known"),
        pytest.param(
            [fast(0, 120.0), fast(6, 120.0, latitude=M40["latitude"] + 0.001), fast(12, 120.0)], [(0, 12, True, 2)],
            id="no limit is known between",
        ),
        pytest.param([fast(0, 120.0), fast(12, 120.0), fast(15, 100.0)], [(0, 12, False, 2)], id="slower since: over"),
        pytest.param([fast(57_590, 120.0), fast(57_610, 120.0)], [(57_590, 57_610, True, 2)], id="over midnight"),
        pytest.param([fast(0, 120.0, has_fix=False), fast(10, 120.0)], [(0, 10, True, 2)], id="by the vehicle's own report"),
        pytest.param(
            [fast(0, 120.0), fast(10, 120.0), fast(20, 120.0, **WRONG_CLOCK)], [(0, 10, True, 2)], id="a wrong clock is left out",
        ),
        pytest.param(
            [fix(0, 120.0, **on("M6", -1, 0.9)), fix(10, 120.0, **on("A38(M)", 0, 0.1)), fix(13, 100.0, **on("A38(M)", 0, 0.2))],
            [(0, 13, True, 3)], id="above the one limit and the next",
        ),
        pytest.param(
            [fix(0, 100.0, **on("M6", -1, 0.9)), fix(10, 100.0, **on("A38(M)", 0, 0.1)), fix(20, 100.0, **on("A38(M)", 0, 0.2))],
            [(10, 20, True, 2)], id="above the next limit only",
        ),
    ],
)  # fmt: skip
def test_overspeed(episodes: Episodes, fixes: Rows, expected: list[Span]) -> None:
    events = episodes("driving_events", fixes)
    assert spans(events) == expected
    assert all((row["kind"], row["measured_by"], row["peak_ms2"]) == ("overspeed", "gps", None) for row in events)


def test_the_factor_is_a_setting(episodes: Episodes) -> None:
    fixes = [fast(0, 120.0), fast(10, 120.0)]
    assert episodes("driving_events", fixes, Thresholds(overspeed_factor=1.1)) == []


def test_what_an_event_says(episodes: Episodes) -> None:
    fixes = [fix(0, 120.0, **on("M6", -1, 0.9)), fix(10, 130.0, **on("A38(M)", 0, 0.1)), fix(20, 90.0, **on("A38(M)", 0, 0.2))]
    (event,) = episodes("driving_events", fixes)
    assert (event["speed_limit_kmh"], event["road"], event["peak_speed_kmh"]) == (M40_LIMIT_KMH, "M6", 130.0)
    assert {name: event[name] for name in ("latitude", "longitude")} == on("M6", -1, 0.9)
    assert (event["duration_s"], event["place"]) == (20.0, "Birmingham")
    (event,) = episodes("driving_events", [row | {"event_time": T0 - timedelta(seconds=n * 10)} for n, row in enumerate(fixes[:2])])
    assert (event["speed_limit_kmh"], event["road"], event["peak_speed_kmh"]) == (80.4672, "A38(M)", 130.0)
    (event,) = episodes("driving_events", [peak(0, 3.0, **NOWHERE), peak(3, 5.0), peak(6, 4.0)])
    assert (event["peak_ms2"], event["speed_limit_kmh"], event["road"], event["place"]) == (5.0, None, None, None)
    (event,) = episodes("driving_events", second_by_second(60, 45, 25))
    assert (event["measured_by"], event["peak_speed_kmh"]) == ("gps", 45)
    assert event["peak_ms2"] == pytest.approx(20 / 3.6)


def test_an_event_across_the_antimeridian_is_where_it_began(episodes: Episodes) -> None:
    east, west = {"latitude": 0.0, "longitude": 179.9999}, {"latitude": 0.0, "longitude": -179.9999}
    (event,) = episodes("driving_events", [peak(0, 3.0, **east), peak(3, 3.0, **west)])
    assert (event["longitude"], event["fixes"]) == (179.9999, 2)


def test_ids_follow_from_device_kind_and_start(episodes: Episodes) -> None:
    def ids(*reports: dict[str, Any]) -> list[str]:
        return [row["driving_event_id"] for row in episodes("driving_events", list(reports))]

    assert ids(peak(0, 3.0)) == ids(peak(0, 3.0), peak(3, 4.0)) == ids(peak(0, 9.0, event_id="other"), peak(1, 1.0))
    at_once = fix(0, 60.0, max_acceleration_ms2=9.0, max_braking_ms2=9.0, max_cornering_ms2=9.0)
    assert len(set(ids(at_once, at_once | {"device_id": "v2"}, peak(3, 0.0), peak(9, 9.0)))) == 7


STEPS_S = (0.5, 1, 1, 1, 1, 1, 1.5, 2, 30, 60, 60, 61, 200)
QUALITIES = (*(None,) * 8, "no_fix", "jump", "future", "duplicate_time")
REPORTS = st.lists(
    st.tuples(
        st.sampled_from(STEPS_S), st.sampled_from((60.0, 45.0, 120.0, 120.0, None)), st.sampled_from(QUALITIES),
        st.sampled_from((None, 0.0, 3.5, 3.5)), st.sampled_from((None, 100.0, 100.0)), st.booleans(),
    ),
    min_size=20, max_size=30,
)  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(REPORTS, st.sampled_from(("peaks", "a few peaks", "speeds", "limits")))
def test_seams(
    engine: NativeEngine, reports: list[tuple[float, float | None, str | None, float | None, float | None, bool]], known: str
) -> None:
    elapsed, rows = 0.0, []
    for number, (step, speed, quality, ms2, limit, chance) in enumerate(reports):
        elapsed += step * (10 if known == "limits" else 1)
        has_peaks = known == "peaks" or (known == "a few peaks" and number % 8 == 0)
        more: dict[str, Any] = {"is_speed_derived": chance and number % 5 == 0}
        more |= {"speed_limit_kmh": limit if known == "limits" else None, "max_braking_ms2": ms2 if has_peaks else None}
        more |= {"max_cornering_ms2": ms2 if has_peaks and chance else None}
        rows.append(fix(elapsed, speed, event_id=f"{number:02}", quality=quality, **more))
    expose(engine, rows)
    assert_seams_hold(engine, DRIVING_EVENTS)


def expose(engine: NativeEngine, rows: Rows) -> None:
    """Makes the relations the model reads, of rows of silver.positions."""
    expose_positions(engine, [{"is_speed_derived": False, "road_class": "unknown"} | row for row in rows])
    engine.define("positions", relation_model("gold", "positions", Thresholds()).sql)
    engine.define("fixes", relation_model("gold", "fixes", Thresholds()).sql)


@pytest.mark.parametrize(
    ("rows", "seams_s"),
    [
        pytest.param([peak(s, 3.0) for s in (0, 60, 120, 181)], [0, 181], id="peaks"),
        pytest.param(second_by_second(90, 70, 50, 30), [0, 1], id="losses of speed"),
        pytest.param(
            [fix(s, 120.0, speed_limit_kmh=100.0) for s in (0, 30, 60)] + [fix(99, 90.0, speed_limit_kmh=100.0), fix(121, 90.0)],
            [0, 121], id="overspeed",
        ),
        pytest.param([fix(s, 60.0, max_braking_ms2=1.0) for s in (0, 3, 6)], [0, 3, 6], id="calm"),
    ],
)  # fmt: skip
def test_no_seam_is_in_or_just_after_an_episode(engine: NativeEngine, rows: Rows, seams_s: list[float]) -> None:
    expose(engine, rows)
    assert assert_seams_hold(engine, DRIVING_EVENTS) == len(seams_s)
    found = engine.rows("SELECT micros(seam_time) FROM seams_of_whole ORDER BY seam_time")
    assert [micros / 1e6 - T0.timestamp() for (micros,) in found] == seams_s


def test_a_row_with_a_wrong_clock_is_no_seam(engine: NativeEngine) -> None:
    """It would come between an open event, which goes on as if there was no such row, and what ends the event."""
    expose(engine, [peak(0, 3.0), peak(90, None, quality="future")])
    assert assert_seams_hold(engine, DRIVING_EVENTS) == 1
