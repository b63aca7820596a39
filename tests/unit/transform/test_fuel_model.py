"""gold.fuel: what was used, filled in and lost."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from seam_cuts import assert_seams_hold
from transform_rows import T0, Rows, fix, seconds

from conftest import expose_positions
from fleetlake.contracts.gold import FUEL
from fleetlake.transform.models import relation_model
from fleetlake.transform.native import NativeEngine
from fleetlake.transform.settings import Thresholds

Episodes: TypeAlias = Callable[..., Rows]
Told: TypeAlias = tuple[str, float, float, float]  # kind, start and end in seconds after T0, percent used
METRE_DEG = 180 / (math.pi * 6_371_008.8)  # of latitude
MIDNIGHT_S = 57_600.0


def drives(at_s: float, level: float | None, **more: Any) -> dict[str, Any]:
    return fix(at_s, 60.0, True, fuel_level_percent=level) | more


def parked(at_s: float, level: float | None, ignition: bool | None = False, **more: Any) -> dict[str, Any]:
    return fix(at_s, 0.0, ignition, fuel_level_percent=level, latitude=52.0) | more


def tank(*levels: float | None, step_s: float = 60, report: Callable[..., dict[str, Any]] = parked) -> Rows:
    return [report(number * step_s, level) for number, level in enumerate(levels)]


def told(rows: Rows) -> list[Told]:
    return [(row["kind"], seconds(row, "start_time"), seconds(row, "end_time"), row["used_percent"]) for row in rows]


@pytest.mark.parametrize(
    ("reports", "expected"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param(tank(50.0), [], id="a single level"),
        pytest.param(tank(None, None), [], id="no levels"),
        pytest.param(tank(50.0, 49.0, 48.5, report=drives), [("consumption", 0, 120, 1.5)], id="consumption"),
        pytest.param(tank(50.0, None, 48.5, report=drives), [("consumption", 0, 120, 1.5)], id="a level that is missing"),
        pytest.param(tank(50.0, 50.0, 50.0), [("consumption", 0, 120, 0)], id="nothing used"),
        pytest.param(
            [drives(MIDNIGHT_S + at_s, 50 - at_s / 100) for at_s in (-200, -100, 100, 200)],
            [("consumption", MIDNIGHT_S - 200, MIDNIGHT_S + 100, 3), ("consumption", MIDNIGHT_S + 100, MIDNIGHT_S + 200, 1)],
            id="by days: a step is of the day it begins in",
        ),
        pytest.param(
            [drives(MIDNIGHT_S - 60, 50.0), drives(MIDNIGHT_S, 49.0), drives(MIDNIGHT_S + 60, 48.0)],
            [("consumption", MIDNIGHT_S - 60, MIDNIGHT_S, 1), ("consumption", MIDNIGHT_S, MIDNIGHT_S + 60, 1)], id="at midnight",
        ),
        # refuels: 5 %
        pytest.param(
            [drives(0, 21.0), parked(60, 20.0), parked(120, 80.0), drives(180, 79.0)],
            [("consumption", 0, 60, 1), ("refuel", 60, 120, -60), ("consumption", 120, 180, 1)], id="a refuel",
        ),
        pytest.param(tank(20.0, 40.0, 60.0, 80.0), [("refuel", 0, 180, -60)], id="a refuel in steps"),
        pytest.param(tank(20.0, 25.0), [("refuel", 0, 60, -5)], id="5 % are one"),
        pytest.param(tank(20.0, 24.9), [("consumption", 0, 60, -4.9)], id="less is not"),
        pytest.param(tank(20.0, 22.0, 24.0, 25.0), [("refuel", 0, 180, -5)], id="5 % in steps"),
        pytest.param(
            tank(20.0, 23.0, 23.0, 26.0, 26.0, 26.0),
            [("refuel", 0, 180, -6), ("consumption", 180, 300, 0)], id="in steps with a pause",
        ),
        pytest.param(
            tank(20.0, 23.0, 23.0, 26.0, step_s=300), [("refuel", 0, 900, -6)], id="with a pause of 300 s",
        ),
        pytest.param(tank(20.0, 23.0, 23.0, 26.0, step_s=301), [("consumption", 0, 903, -6)], id="with a longer one"),
        pytest.param(
            [parked(0, 20.0), parked(60, 23.0), drives(120, 23.0), parked(180, 23.0), parked(240, 26.0)],
            [("consumption", 0, 240, -6)], id="with a drive between",
        ),
        pytest.param([drives(0, 20.0), drives(3600, 80.0)], [("refuel", 0, 3600, -60)], id="unseen, between two drives"),
        pytest.param(
            tank(50.0, 49.0, 49.5, 48.0, report=drives), [("consumption", 0, 180, 2)], id="a small rise is taken off consumption",
        ),
        pytest.param(
            [parked(MIDNIGHT_S + at_s, 50 + at_s / 10) for at_s in (-160, -40, 80, 200)],
            [("refuel", MIDNIGHT_S - 160, MIDNIGHT_S + 80, -24), ("refuel", MIDNIGHT_S + 80, MIDNIGHT_S + 200, -12)],
            id="a refuel over midnight is two",
        ),
        # thefts: 5 %
        pytest.param(tank(60.0, 50.0), [("theft", 0, 60, 10)], id="a theft"),
        pytest.param(tank(60.0, 50.0, step_s=36_000), [("theft", 0, 36_000, 10)], id="a theft unseen, over hours"),
        pytest.param(tank(60.0, 55.0), [("theft", 0, 60, 5)], id="of 5 %"),
        pytest.param(tank(60.0, 55.1), [("consumption", 0, 60, 4.9)], id="less is not"),
        pytest.param(
            tank(60.0, 58.0, 58.0, 56.0, 54.0, 54.0), [("theft", 0, 240, 6), ("consumption", 240, 300, 0)], id="in steps",
        ),
        pytest.param(tank(60.0, 58.0, 58.0, 56.0, 54.0, step_s=301), [("consumption", 0, 1204, 6)], id="longer pauses"),
        pytest.param(tank(60.0, 50.0, report=drives), [("consumption", 0, 60, 10)], id="a fall while driving is none"),
        pytest.param([drives(0, 60.0), parked(60, 50.0)], [("consumption", 0, 60, 10)], id="it drove at first"),
        pytest.param([parked(0, 60.0), drives(60, 50.0)], [("consumption", 0, 60, 10)], id="it drives at last"),
        pytest.param([parked(0, 60.0, True), parked(60, 50.0, True)], [("consumption", 0, 60, 10)], id="the engine idles"),
        pytest.param([parked(0, 60.0, True), parked(60, 50.0, False)], [("theft", 0, 60, 10)], id="switched off between"),
        pytest.param([parked(0, 60.0, None), parked(60, 50.0, None)], [("theft", 0, 60, 10)], id="the ignition is not known"),
        pytest.param([parked(0, 60.0), parked(60, 50.0, speed_kmh=None)], [("theft", 0, 60, 10)], id="a speed is not known"),
        pytest.param(
            [parked(0, 60.0), parked(9000, 50.0, latitude=52.0 + 49 * METRE_DEG)], [("theft", 0, 9000, 10)], id="49 m away",
        ),
        pytest.param(
            [parked(0, 60.0), parked(9000, 50.0, latitude=52.0 + 51 * METRE_DEG)], [("consumption", 0, 9000, 10)], id="51 m away",
        ),
        pytest.param(
            [parked(0, 60.0, odometer_km=1.0), parked(9000, 50.0, odometer_km=1.09, latitude=53.0)],
            [("theft", 0, 9000, 10)], id="90 m by the odometer, wherever it seems to be",
        ),
        pytest.param(
            [parked(0, 60.0, odometer_km=1.0), parked(9000, 50.0, odometer_km=1.11)], [("consumption", 0, 9000, 10)],
            id="110 m by the odometer",
        ),
        pytest.param(
            [parked(0, 60.0, odometer_km=1.0), parked(9000, 50.0, odometer_km=0.0, latitude=52.1)],
            [("consumption", 0, 9000, 10)], id="an odometer that was set back does not tell",
        ),
        pytest.param(
            [fix(at_s, 20.0, False, fuel_level_percent=60.0, latitude=52.0 + at_s * 5 * METRE_DEG) for at_s in (0, 60, 120)],
            [("consumption", 0, 120, 0)], id="a tow",
        ),
        # which reports
        pytest.param(
            [parked(0, 60.0, has_fix=False), parked(60, 50.0, accuracy_m=500.0)], [("theft", 0, 60, 10)], id="no good fix",
        ),
        pytest.param(
            [parked(0, 60.0), parked(60, 0.0, ingested_at=T0 - timedelta(days=1)), parked(120, 60.0)], [("consumption", 0, 120, 0)],
            id="not those with a wrong clock",
        ),
        pytest.param(
            [parked(0, 60.0), parked(60, 60.0), parked(60, 60.0, event_id="z"), parked(120, 60.0)], [("consumption", 0, 120, 0)],
            id="one of an instant",
        ),
        pytest.param(
            [parked(0, 60.0), parked(30, 10.0, device_id="v2"), parked(60, 60.0)], [("consumption", 0, 60, 0)],
            id="devices do not know each other",
        ),
    ],
)  # fmt: skip
def test_fuel(episodes: Episodes, reports: Rows, expected: list[Told]) -> None:
    assert told(episodes("fuel", reports)) == expected


def test_only_what_the_last_level_is_in_is_open(episodes: Episodes) -> None:
    rows = episodes("fuel", [drives(0, 21.0), parked(60, 20.0), parked(120, 80.0), drives(180, None)])
    assert [(row["kind"], row["is_open"]) for row in rows] == [("consumption", False), ("refuel", True)]


def test_consumption_per_distance(episodes: Episodes) -> None:
    def consumption(*reports: tuple[float, float | None]) -> tuple[float | None, float | None]:
        rows = [drives(number * 60, level, odometer_km=km) for number, (level, km) in enumerate(reports)]
        (row,) = episodes("fuel", rows)
        return row["distance_km"], row["used_percent_per_100_km"]

    assert consumption((50.0, 1000.0), (49.0, 1010.0), (48.0, 1020.0)) == (20.0, 10.0)
    assert consumption((50.0, 1000.0), (49.0, 1010.5), (48.0, None)) == (10.5, pytest.approx(200 / 10.5))
    assert consumption((50.0, 99_990.0), (49.0, 100_000.0), (48.0, 0.0), (47.0, 10.0)) == (20.0, 15.0)  # set back
    assert consumption((50.0, None), (49.0, None)) == (None, None)
    assert consumption((50.0, 1000.0), (49.0, 1000.0)) == (0.0, None)


def test_what_a_row_says(episodes: Episodes) -> None:
    rows = episodes("fuel", [parked(0, 20.0), parked(60, 50.0, latitude=52.0001), parked(120, 80.0, latitude=52.0002)])
    (row,) = rows
    assert (row["reports"], row["start_level_percent"], row["end_level_percent"], row["latitude"]) == (3, 20.0, 80.0, 52.0002)
    assert (row["used_percent_per_100_km"], row["distance_km"]) == (None, None)


def test_a_tow_is_a_trip(episodes: Episodes) -> None:
    """It moves, so it is under way, whoever pulls it."""
    towed = [fix(at_s, 20.0, False, fuel_level_percent=60.0, latitude=52.0 + at_s * 5 * METRE_DEG) for at_s in (0, 60, 120)]
    (trip,) = episodes("trips", [*towed, fix(125, 0.0, False, latitude=52.0 + 600 * METRE_DEG)])
    assert (trip["is_open"], trip["fuel_used_percent"], round(trip["distance_km"], 3)) == (False, 0.0, 0.6)


def test_ids_follow_from_device_kind_and_start(episodes: Episodes) -> None:
    def ids(rows: Rows) -> list[str]:
        return [row["fuel_id"] for row in episodes("fuel", rows)]

    assert ids(tank(20.0, 50.0)) == ids(tank(20.0, 50.0, 80.0)) != ids(tank(20.0, 19.0))
    assert ids(tank(20.0, 50.0)) != ids([row | {"device_id": "v2"} for row in tank(20.0, 50.0)])


REPORTS = st.lists(
    st.tuples(
        st.sampled_from((60, 60, 300, 301, 3600, 40_000)), st.sampled_from((None, 50.0, 50.0, 49.0, 47.0, 46.0, 30.0, 80.0)),
        st.sampled_from((0.0, 0.0, 60.0, None)), st.sampled_from((True, False, None)), st.sampled_from((None, 0.0, 0.0, 5.0)),
        st.sampled_from((None, None, None, "no_fix", "future", "duplicate_time")),
    ),
    min_size=20, max_size=30,
)  # fmt: skip


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(REPORTS)
def test_seams(
    engine: NativeEngine, reports: list[tuple[int, float | None, float | None, bool | None, float | None, str | None]]
) -> None:
    elapsed, km, rows = 0.0, 0.0, []
    for number, (step, level, speed, ignition, driven, quality) in enumerate(reports):
        elapsed, km = elapsed + step, km + (driven or 0)
        known: dict[str, Any] = {"fuel_level_percent": level, "odometer_km": None if driven is None else km, "quality": quality}
        known |= {"is_speed_derived": False, "road_class": "unknown", "event_id": f"{number:02}"}
        rows.append(fix(elapsed, speed, ignition, **known))
    expose_positions(engine, rows)
    engine.define("positions", relation_model("gold", "positions", Thresholds()).sql)
    engine.define("fixes", relation_model("gold", "fixes", Thresholds()).sql)
    assert_seams_hold(engine, FUEL)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(REPORTS)
def test_kinds_follow_each_other_and_add_up(
    episodes: Episodes, reports: list[tuple[int, float | None, float | None, bool | None, float | None, str | None]]
) -> None:
    """From the first level to the last without a gap, and what was used is the fall from one to the other."""
    elapsed, rows = 0, []
    for step, level, speed, ignition, _, _ in reports:
        elapsed += step
        rows.append(fix(elapsed, speed, ignition, fuel_level_percent=level, latitude=52.0))
    found = episodes("fuel", rows)
    levels = [row["fuel_level_percent"] for row in rows if row["fuel_level_percent"] is not None]
    assert sum(row["used_percent"] for row in found) == pytest.approx((levels[0] - levels[-1]) if levels else 0)
    assert [row["end_time"] for row in found[:-1]] == [row["start_time"] for row in found[1:]]
    assert [row["is_open"] for row in found] == [False] * (len(found) - 1) + [True] * (len(levels) > 1)


def test_an_odometer_that_runs_backwards_adds_no_distance(episodes: Episodes) -> None:
    way = [(0, 60.0, 500.0), (3600, 59.0, 600.0), (7200, 58.0, 20.0), (10_800, 57.0, 70.0)]
    fixes = [fix(at, 60.0, True, fuel_level_percent=level, odometer_km=km) for at, level, km in way]
    (row,) = episodes("fuel", fixes)
    assert (row["kind"], row["distance_km"], row["used_percent_per_100_km"]) == ("consumption", 150.0, 2.0)
