"""silver.positions: what is left out and why, how far it is from fix to fix, and what was so around it."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from seam_cuts import assert_seams_hold
from transform_rows import T0, Rows, fix

from conftest import READING_SCHEMA, complete, fill, fill_events
from fleetlake.contracts.events import WEATHER
from fleetlake.contracts.positions import POSITIONS
from fleetlake.transform.native import NativeEngine

Judge: TypeAlias = Callable[..., Rows]
METRE_DEG = 180 / (math.pi * 6_371_008.8)  # of latitude
FAR = 90_000.0  # m
GOOD = None
YEARS_10_S = 3650 * 86_400


def at(at_s: float, metres: float, speed_kmh: float | None = 60.0, **more: Any) -> dict[str, Any]:
    """A fix so far north of a place."""
    return fix(at_s, speed_kmh, latitude=52.0 + metres * METRE_DEG, **more)


def way(*metres: float, step_s: float = 3) -> Rows:
    return [at(i * step_s, north) for i, north in enumerate(metres)]


def arrived(after_s: float) -> dict[str, Any]:
    return fix(0, 60.0, ingested_at=T0 + timedelta(seconds=after_s))


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([fix(0, 60.0)], [GOOD], id="one fix"),
        pytest.param([arrived(-300)], [GOOD], id="a clock 300 s fast"),
        pytest.param([arrived(-300.001)], ["future"], id="a clock faster than that"),
        pytest.param([arrived(YEARS_10_S)], [GOOD], id="10 years late"),
        pytest.param([arrived(YEARS_10_S + 0.001)], ["stale"], id="later than that"),
        pytest.param([fix(0, 60.0, accuracy_m=100.0)], [GOOD], id="good to 100 m"),
        pytest.param([fix(0, 60.0, accuracy_m=100.1)], ["poor_accuracy"], id="not good to 100 m"),
        pytest.param([fix(0, 60.0, latitude=None, longitude=None)], ["no_fix"], id="no position"),
        pytest.param(
            [fix(0, 60.0, event_id="a", accuracy_m=500.0), fix(0, 60.0, event_id="b")], ["duplicate_time", GOOD],
            id="of one instant, good beats poor",
        ),
        pytest.param(
            [fix(0, 60.0, event_id="a", has_fix=False), fix(0, 60.0, event_id="b", accuracy_m=500.0)],
            ["duplicate_time", "poor_accuracy"], id="poor beats none",
        ),
        pytest.param(
            [fix(0, 60.0, event_id="b"), fix(0, 60.0, event_id="a"), fix(0, 60.0, event_id="c")],
            [GOOD, "duplicate_time", "duplicate_time"], id="of equal ones the first by id",
        ),
        pytest.param(
            [fix(0, 60.0, event_id="a", ingested_at=T0 - timedelta(days=1)), fix(0, 60.0, event_id="b")], ["future", GOOD],
            id="a wrong clock is no copy of a right one",
        ),
        pytest.param(
            [fix(0, 60.0), fix(0, 60.0, device_id="v2")], [GOOD, GOOD], id="devices may report at the same time",
        ),
        # jump: 300 km/h and 100 m
        pytest.param(way(0, 349.9), [GOOD, GOOD], id="350 m in 3 s may be"),
        pytest.param(way(0, 350.1), [GOOD, "jump"], id="more can't"),
        pytest.param(way(0, 25_099, step_s=300), [GOOD, GOOD], id="25.1 km in 300 s may be"),
        pytest.param(way(0, 25_101, step_s=300), [GOOD, "jump"], id="in 300 s, more can't"),
        pytest.param(way(0, FAR, step_s=300.001), [GOOD, GOOD], id="after a longer silence anything may be"),
        pytest.param(way(0, 50, FAR, 150, 200), [GOOD, GOOD, "jump", GOOD, GOOD], id="one that is off"),
        pytest.param(way(0, 50, 100, FAR), [GOOD, GOOD, GOOD, "jump"], id="the last is off"),
        pytest.param(way(FAR, 0, 50, 100), ["jump", GOOD, GOOD, GOOD], id="the first is off"),
        pytest.param([at(-400, 0), *way(FAR, 0, 50)], [GOOD, "jump", GOOD, GOOD], id="the first after a silence is off"),
        pytest.param(way(0, 50, FAR, -FAR, 200, 250), [GOOD, GOOD, "jump", "jump", GOOD, GOOD], id="two are off"),
        pytest.param(
            way(0, 50, FAR, FAR + 50, FAR + 100), [GOOD, GOOD, "jump", GOOD, GOOD], id="a move that can't be, and stays",
        ),
        pytest.param(
            way(0, 50, FAR, FAR + 50, 200, 250), [GOOD, GOOD, "jump", GOOD, "jump", GOOD], id="there and back",
        ),
        pytest.param(way(0, FAR, 0, FAR, 0), [GOOD, "jump", "jump", "jump", GOOD], id="two vehicles with one id"),
        pytest.param(
            [*way(0, 50), at(6, FAR, accuracy_m=500.0), *(at(s, 100) for s in (9, 12))],
            [GOOD, GOOD, "poor_accuracy", GOOD, "frozen"], id="what is left out already is not compared with",
        ),
        # frozen: 25 m by its own speed
        pytest.param([at(0, 0), at(1.5, 0)], [GOOD, "frozen"], id="25 m on in the same place"),
        pytest.param([at(0, 0), at(1.499, 0)], [GOOD, GOOD], id="less than 25 m on"),
        pytest.param([at(0, 0), at(20, 0, 8.04672)], [GOOD, "frozen"], id="slow but in motion"),
        pytest.param([at(0, 0), at(250, 0, 8.04)], [GOOD, GOOD], id="not in motion"),
        pytest.param([at(0, 0), at(250, 0, None)], [GOOD, GOOD], id="no speed"),
        pytest.param([at(0, 0), at(300, 0), at(600.001, 0)], [GOOD, "frozen", GOOD], id="not over a silence"),
        pytest.param([at(0, 0), at(3, 0.001)], [GOOD, GOOD], id="another place in the last digit"),
        pytest.param(way(0, 0, 0, 0, step_s=1), [GOOD, GOOD, "frozen", "frozen"], id="25 m on by and by"),
        pytest.param(
            [at(0, 0), at(1, 0), at(2, 0, 0.0), at(3, 0), at(4, 0)], [GOOD, GOOD, GOOD, GOOD, "frozen"],
            id="from where it last stood",
        ),
        pytest.param(
            [*(at(s, 0, 0.0) for s in range(0, 3600, 60)), at(3543, 0, 10.0), at(3546, 0, 10.0)], [GOOD] * 62, id="it sets off",
        ),
        pytest.param(
            [*way(*[0] * 100, step_s=1), at(100, 1650)], [GOOD, GOOD, *["frozen"] * 98, GOOD], id="frozen, then real again",
        ),
        pytest.param(
            way(0, 50, FAR, FAR, 200, 250), [GOOD, GOOD, "jump", "frozen", GOOD, GOOD], id="frozen where it is off",
        ),
    ],
)  # fmt: skip
def test_quality(judge: Judge, readings: Rows, expected: list[str | None]) -> None:
    assert [row["quality"] for row in judge(readings)] == expected


def test_the_first_reason_counts(judge: Judge) -> None:
    poor_twice = [fix(0, 60.0, event_id=name, accuracy_m=500.0, ingested_at=T0 - timedelta(days=1)) for name in "ab"]
    assert [row["quality"] for row in judge(poor_twice)] == ["future", "future"]
    poor_twice = [fix(0, 60.0, event_id=name, accuracy_m=500.0) for name in "ab"]
    assert [row["quality"] for row in judge(poor_twice)] == ["poor_accuracy", "duplicate_time"]


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        pytest.param([at(0, 0), at(300, 100), at(600.001, 200)], [None, (300, 100), None], id="none after a silence"),
        pytest.param([at(0, 0, 0.0), at(3, 30, 0.0)], [None, (3, 0)], id="at rest at both ends it is scatter"),
        pytest.param([at(0, 0, 0.0), at(3, 30, 3.6), at(6, 60, 3.5)], [None, (3, 30), (3, 30)], id="at rest at one end it is not"),
        pytest.param([at(0, 0, None), at(3, 30, 0.0)], [None, (3, 30)], id="without a speed it is not"),
        pytest.param([at(57_599, 0), at(57_601, 30)], [None, (2, 30)], id="over midnight"),
        pytest.param(
            [fix(0, 60.0, latitude=0.0, longitude=179.999), fix(3, 60.0, latitude=0.0, longitude=-179.999)],
            [None, (3, 222.390)], id="across the antimeridian",
        ),
        pytest.param(way(0, 50, FAR, 150), [None, (3, 50), None, (6, 100)], id="past one that is off"),
        pytest.param(
            [at(0, 0), at(3, 50, accuracy_m=500.0), at(6, 100)], [None, None, (6, 100)], id="past an inexact one",
        ),
        pytest.param(
            [at(0, 0), at(3, 50, has_fix=False), at(6, 100)], [None, None, (6, 100)], id="past the vehicle's own report",
        ),
        pytest.param(way(0, 50, FAR, FAR + 50, FAR + 90), [None, (3, 50), None, None, (3, 40)], id="none of a move that can't be"),
        pytest.param(way(FAR, 0, 50), [None, None, (3, 50)], id="none from a first one that is off"),
        pytest.param([*way(0, 0, 0, step_s=3), at(9, 150)], [None, None, None, (9, 150)], id="past frozen ones"),
        pytest.param(
            [at(0, 0), at(3, 50, device_id="v2"), at(6, 90)], [None, (6, 90), None], id="devices do not know each other",
        ),
    ],
)  # fmt: skip
def test_legs(judge: Judge, readings: Rows, expected: list[tuple[float, float] | None]) -> None:
    legs = [None if row["leg_s"] is None else (row["leg_s"], round(row["leg_m"], 3)) for row in judge(readings)]
    assert legs == expected
    assert all((row["leg_s"] is None) == (row["leg_m"] is None) for row in judge(readings))


def test_what_only_the_vehicle_reports(read: Callable[..., Rows], judge: Judge) -> None:
    said = {"fuel_level_percent": 50.0, "odometer_km": 1.0, "max_braking_ms2": 3.0, "heading_deg": 90.0}
    rows = judge(read([at(0, 0), at(6, 100)], [at(3, 60, 50.0, ignition=True, event_id="own", **said)]))
    assert [row["quality"] for row in rows] == [GOOD, "no_fix", GOOD]
    own = rows[1]
    assert (own["event_id"], own["speed_kmh"], own["ignition"]) == ("own", 50.0, True)
    assert own["latitude"] == pytest.approx(52.0 + 60 * METRE_DEG)
    assert {name: own[name] for name in said} == said
    assert (own["leg_m"], round(rows[2]["leg_m"])) == (None, 100)


# Of one instant: rows of silver.gps, rows of silver.vehicle, what the reading says.
NOWHERE: dict[str, Any] = {"latitude": None, "longitude": None}
JOINED = [
    pytest.param([fix(0, 60.0)], [], {"has_fix": True, "speed_kmh": 60.0, "ignition": None}, id="no vehicle row"),
    pytest.param([], [fix(0, 50.0, True)], {"has_fix": False, "speed_kmh": 50.0, "ignition": True, "latitude": 52.0}, id="no GPS"),
    pytest.param(
        [fix(0, 60.0, latitude=53.0, heading_deg=1.0)], [fix(0, 50.0, False, heading_deg=2.0, event_id="z")],
        {"has_fix": True, "speed_kmh": 60.0, "ignition": False, "latitude": 53.0, "heading_deg": 1.0}
        | {"event_id": "v1-00000000.000"},
        id="both: place and motion are the GPS row's",
    ),
    pytest.param(
        [fix(0, None, heading_deg=None)], [fix(0, 50.0, heading_deg=2.0)], {"has_fix": True, "speed_kmh": 50.0, "heading_deg": 2.0},
        id="what the GPS row lacks",
    ),
    pytest.param(
        [fix(0, 0.0, heading_deg=0.0) | NOWHERE], [fix(0, 50.0, heading_deg=2.0)],
        {"has_fix": False, "speed_kmh": 50.0, "heading_deg": 2.0, "latitude": 52.0}, id="a GPS row without a position",
    ),
    pytest.param(
        [fix(0, 7.0) | NOWHERE], [], {"has_fix": False, "speed_kmh": 7.0, "latitude": None}, id="a GPS row without anything else",
    ),
    pytest.param(
        [], [fix(0, 50.0, False, event_id="b", latitude=53.0), fix(0, 40.0, True, event_id="a"), fix(0, 60.0, event_id="c")],
        {"event_id": "a", "ignition": True, "speed_kmh": 60.0, "latitude": 52.0}, id="ignition on wins, the largest speed",
    ),
    pytest.param(
        [], [fix(0, 50.0, max_braking_ms2=1.0, odometer_km=2.0), fix(0, 50.0, max_braking_ms2=3.0, event_id="b")],
        {"max_braking_ms2": 3.0, "odometer_km": 2.0, "max_cornering_ms2": None}, id="the largest peak",
    ),
    pytest.param([fix(0, 5.0, derived="speed,heading")], [], {"is_speed_derived": True}, id="a derived speed"),
    pytest.param([fix(0, 5.0, derived="heading")], [], {"is_speed_derived": False}, id="another field was derived"),
]  # fmt: skip


@pytest.mark.parametrize(("gps", "vehicle", "expected"), JOINED)
def test_a_reading(read: Callable[..., Rows], gps: Rows, vehicle: Rows, expected: dict[str, Any]) -> None:
    (row,) = read(gps, vehicle)
    assert {name: row[name] for name in expected} == expected


def test_readings_are_joined_both_ways(read: Callable[..., Rows]) -> None:
    gps = [fix(0, 1.0), fix(3, 2.0, event_id="a"), fix(3, 3.0, event_id="b")]
    vehicle = [fix(3, 20.0, True, event_id="z"), fix(6, 30.0, True), fix(3, 40.0, True, device_id="v2", event_id="y")]
    rows = read(gps, vehicle)
    assert [(row["device_id"], row["event_id"], row["speed_kmh"], row["ignition"]) for row in rows] == [
        ("v1", "v1-00000000.000", 1.0, None), ("v1", "a", 2.0, True), ("v1", "b", 3.0, True), ("v1", "v1-00000006.000", 30.0, True),
        ("v2", "y", 40.0, True),
    ]  # fmt: skip


def report(at_s: float, name: str = "r", **more: Any) -> dict[str, Any]:
    return {
        "event_id": name, "device_id": "v1", "event_time": T0 + timedelta(seconds=at_s), "latitude": 52.0, "longitude": -1.0,
        "status": "Active", "incident_type": "Fire", "incident_id": name, "weather_condition": "Rain",
    } | more  # fmt: skip


AS_OF = [
    pytest.param([], None, id="none"),
    pytest.param([report(0)], "r", id="at that instant"),
    pytest.param([report(-600)], "r", id="within the age"),
    pytest.param([report(-600.001)], None, id="too old"),
    pytest.param([report(0.001)], None, id="later"),
    pytest.param([report(-20, "a"), report(-10, "b")], "b", id="the last"),
    pytest.param([report(-10, "b"), report(-10, "a")], "a", id="of one instant the first by id"),
    pytest.param([report(0, device_id="v2")], None, id="another device's"),
]


@pytest.mark.parametrize(("reports", "expected"), AS_OF)
def test_incident_as_of(judge: Judge, reports: Rows, expected: str | None) -> None:
    (row,) = judge([fix(0, 60.0)], incidents=reports)
    assert (row["incident_id"], row["incident_type"]) == ((expected, "Fire") if expected else (None, None))
    assert (row["incident_distance_m"] is None) == (expected is None)


@pytest.mark.parametrize(("reports", "expected"), AS_OF)
def test_weather_as_of(judge: Judge, reports: Rows, expected: str | None) -> None:
    said = {"a": 1.0, "b": 2.0, "r": 3.0}
    (row,) = judge([fix(0, 60.0)], weather=[known | {"temperature_c": said[known["event_id"]]} for known in reports])
    assert (row["weather_condition"], row["temperature_c"]) == (("Rain", said[expected]) if expected else (None, None))


@pytest.mark.parametrize("last", [{"status": "Resolved"}, {"incident_type": "None", "incident_id": None}])
def test_an_incident_that_is_over_or_none_is_none(judge: Judge, last: dict[str, Any]) -> None:
    (row,) = judge([fix(0, 60.0)], incidents=[report(-20), report(-10, **last)])
    assert (row["incident_id"], row["incident_type"], row["incident_distance_m"]) == (None, None, None)


def test_the_distance_is_that_to_the_incident(judge: Judge) -> None:
    rows = judge([at(0, 0), at(3, 100)], incidents=[report(0, latitude=52.0 + 1000 * METRE_DEG)])
    assert [round(row["incident_distance_m"], 2) for row in rows] == [1000.0, 900.0]


def test_weather_is_as_it_was_for_each_fix(judge: Judge) -> None:
    weather = [report(100, "a"), report(200, "b", weather_condition="Fog", precipitation_mmh=0.1)]
    rows = judge([fix(s, 60.0) for s in (99, 100, 199, 200, 800, 801)], weather=weather)
    assert [row["weather_condition"] for row in rows] == [None, "Rain", "Rain", "Fog", "Fog", None]
    assert rows[3]["precipitation_mmh"] == 0.1


# Two points of the M40 that follow each other on the road that comes with fleetlake.
M40_FROM, M40_TO = (51.67867, -0.96606), (51.68595, -0.97585)


def beside_m40(metres: float) -> tuple[float, float]:
    """A place so far to the right of the middle between the two points."""
    narrowing = math.cos(math.radians(M40_FROM[0]))
    north, east = M40_TO[0] - M40_FROM[0], (M40_TO[1] - M40_FROM[1]) * narrowing
    aside = metres * METRE_DEG / math.hypot(north, east)
    return (M40_FROM[0] + M40_TO[0]) / 2 - east * aside, (M40_FROM[1] + M40_TO[1]) / 2 + north * aside / narrowing


M40, NONE = ("M40", "motorway", 112.6541), (None, "unknown", None)


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        pytest.param(beside_m40(0), M40, id="on the M40"),
        pytest.param(beside_m40(49.9), M40, id="50 m beside it"),
        pytest.param(beside_m40(-49.9), M40, id="50 m on the other side"),
        pytest.param(beside_m40(50.1), NONE, id="farther"),
        pytest.param(beside_m40(-60), NONE, id="farther on the other side"),
        pytest.param((51.5074, -0.1278), ("A4", "main", 32.1869), id="a main road"),
        pytest.param((0.0, 0.0), NONE, id="far from any"),
        pytest.param((None, None), NONE, id="nowhere"),
    ],
)
def test_road(judge: Judge, place: tuple[float | None, float | None], expected: tuple[str | None, str, float | None]) -> None:
    (row,) = judge([fix(0, 60.0, latitude=place[0], longitude=place[1])])
    assert (row["road"], row["road_class"], row["speed_limit_kmh"]) == expected


def test_the_road_of_an_inexact_position_is_known_too(judge: Judge) -> None:
    latitude, longitude = beside_m40(10)
    (row,) = judge([fix(0, 60.0, latitude=latitude, longitude=longitude, accuracy_m=500.0)])
    assert (row["quality"], row["road"]) == ("poor_accuracy", "M40")


BIRMINGHAM, LONDON, NORTH_POLE, SOUTH_POLE = (52.48, -1.89), (51.5074, -0.1278), (90.0, 0.0), (-90.0, 0.0)
PACIFIC = (0.0, 180.0)


@pytest.mark.parametrize(
    ("place", "time", "is_night"),
    [
        pytest.param(BIRMINGHAM, "2026-03-20T12:00Z", False, id="noon"),
        pytest.param(BIRMINGHAM, "2026-03-20T00:00Z", True, id="midnight"),
        # Civil dusk in London is about 21:08 and 16:33 UTC, civil dawn 02:55 and 07:23.
        pytest.param(LONDON, "2026-06-21T21:05Z", False, id="a summer evening"),
        pytest.param(LONDON, "2026-06-21T21:11Z", True, id="a summer evening, later"),
        pytest.param(LONDON, "2026-12-21T16:30Z", False, id="a winter evening"),
        pytest.param(LONDON, "2026-12-21T16:36Z", True, id="a winter evening, later"),
        pytest.param(LONDON, "2026-06-21T02:52Z", True, id="a summer morning"),
        pytest.param(LONDON, "2026-06-21T02:59Z", False, id="a summer morning, later"),
        pytest.param(LONDON, "2026-12-21T07:20Z", True, id="a winter morning"),
        pytest.param(LONDON, "2026-12-21T07:27Z", False, id="a winter morning, later"),
        pytest.param(PACIFIC, "2026-03-20T00:00Z", False, id="noon at the antimeridian"),
        pytest.param(PACIFIC, "2026-03-20T12:00Z", True, id="midnight there"),
        pytest.param(NORTH_POLE, "2026-06-21T00:00Z", False, id="a pole in summer"),
        pytest.param(NORTH_POLE, "2026-12-21T12:00Z", True, id="a pole in winter"),
        pytest.param(SOUTH_POLE, "2026-12-21T00:00Z", False, id="the other pole in summer"),
        pytest.param(SOUTH_POLE, "2026-06-21T12:00Z", True, id="the other pole in winter"),
        pytest.param((None, None), "2026-06-21T12:00Z", None, id="nowhere"),
    ],
)
def test_night(judge: Judge, place: tuple[float | None, float | None], time: str, is_night: bool | None) -> None:
    when = datetime.fromisoformat(time).astimezone(UTC)
    (row,) = judge([fix(0, 60.0, event_time=when, latitude=place[0], longitude=place[1])])
    assert row["is_night"] is is_night


STEPS_S = (0, 1, 1, 1, 1, 3, 3, 3, 60, 150, 299, 300, 301, 700)
STATES: tuple[dict[str, Any], ...] = (
    *({},) * 9, {"accuracy_m": 500.0}, {"has_fix": False}, {"ingested_at": T0 - timedelta(days=9)}
)  # fmt: skip
REPORTS = st.lists(
    st.tuples(
        st.sampled_from(STEPS_S), st.sampled_from((0, 0, 0, 0, 20, 20, 20, 200, FAR)),
        st.sampled_from((60.0, 60.0, 60.0, 60.0, 5.0, 0.0, None)), st.sampled_from(STATES), st.sampled_from((0, 0, 0, 0, 3 * FAR)),
    ),
    min_size=20, max_size=30,
)  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(REPORTS)
def test_seams(engine: NativeEngine, reports: list[tuple[int, float, float | None, dict[str, Any], float]]) -> None:
    elapsed, metres, readings = 0, 0.0, []
    for number, (step, moved, speed, state, off) in enumerate(reports):
        elapsed, metres = elapsed + step, metres + moved
        readings.append(at(elapsed, metres + off, speed, event_id=f"{number:02}", **state))
    fill(engine, "readings", complete(readings), READING_SCHEMA)
    fill_events(engine, WEATHER, [report(at_s, str(at_s)) for at_s in range(0, elapsed, 700)])
    assert_seams_hold(engine, POSITIONS, beside=("silver.weather",))


def test_most_fixes_of_a_drive_are_seams(engine: NativeEngine) -> None:
    fill(engine, "readings", complete(way(*range(0, 2000, 50))), READING_SCHEMA)
    fill_events(engine, WEATHER, [])
    assert assert_seams_hold(engine, POSITIONS) == 39
