"""The gold tables of devices (or cameras) and periods: scores, exposure, days, traffic at cameras."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any, TypeAlias

import pytest
from transform_rows import Rows

from fleetlake.contracts.gold import DIMENSIONS, DRIVING_EVENTS_KINDS
from fleetlake.transform.settings import Thresholds

Periods: TypeAlias = Callable[..., Rows]
NUMBERS = count()
DAY = "2026-01-01"  # a Thursday
FREE = Thresholds(
    weight_harsh_acceleration=1.0, weight_harsh_braking=2.0, weight_harsh_cornering=3.0, weight_overspeed=5.0, score_min_km=5.0
)  # fmt: skip


def when(time: str) -> datetime:
    """ "12:00" of DAY, or a day and a time."""
    return datetime.fromisoformat(time if " " in time else f"{DAY} {time}").replace(tzinfo=UTC)


def position(time: str, km: float | None = None, minutes: float = 1.0, **more: Any) -> dict[str, Any]:
    """A row of silver.positions, `km` after the one before."""
    leg = {"leg_m": None if km is None else km * 1000, "leg_s": None if km is None else minutes * 60}
    made = {"event_id": f"p{next(NUMBERS)}", "device_id": "v1", "event_time": when(time), "is_speed_derived": False}
    return made | leg | {"road_class": "unknown", "is_night": False, "speed_kmh": 60.0} | more


def episode(time: str, kind: str = "", **more: Any) -> dict[str, Any]:
    """A row of a gold table of episodes."""
    return {"device_id": "v1", "start_time": when(time), "kind": kind or None} | more


def scores(periods: Periods, positions: Rows, events: Rows, thresholds: Thresholds = FREE) -> dict[tuple[str, str], Any]:
    """Of v1: (period, its first day) to the row."""
    rows = periods("driver_scores", {"silver.positions": positions, "gold.driving_events": events}, thresholds)
    assert len({row["driver_score_id"] for row in rows}) == len(rows)
    return {(row["period"], str(row["start_time"].date())): row for row in rows if row["device_id"] == "v1"}


def test_a_score_is_100_less_weighted_events_per_100_km(periods: Periods) -> None:
    events = [
        episode("10:00", "harsh_acceleration"), episode("10:01", "harsh_braking"), episode("10:02", "harsh_braking"),
        episode("10:03", "harsh_cornering"), episode("10:04", "overspeed"),
    ]  # fmt: skip
    day = scores(periods, [position("10:00", 10.0), position("11:00", 40.0)], events)["day", DAY]
    assert (day["distance_km"], day["score"]) == (50.0, 100 - 2 * (1 + 2 * 2 + 3 + 5))
    assert [day[f"{kind}_events"] for kind in DRIVING_EVENTS_KINDS] == [1, 2, 1, 1]
    assert [day[f"{kind}_points"] for kind in DRIVING_EVENTS_KINDS] == [2.0, 8.0, 6.0, 10.0]


def test_points_add_up_to_what_the_score_lacks(periods: Periods) -> None:
    events = [episode("10:00", kind) for kind in DRIVING_EVENTS_KINDS]
    for km in (7.3, 33.333333, 1234.5):
        for row in scores(periods, [position("10:00", km)], events, Thresholds(score_min_km=1.0)).values():
            lost = sum(row[f"{kind}_points"] for kind in DRIVING_EVENTS_KINDS)
            assert row["score"] == pytest.approx(max(0.0, 100 - lost))


def test_no_score_is_below_0(periods: Periods) -> None:
    day = scores(periods, [position("10:00", 5.0)], [episode("10:00", "overspeed")] * 2)["day", DAY]
    assert (day["score"], day["overspeed_points"]) == (0.0, 200.0)


@pytest.mark.parametrize(
    ("km", "min_km", "is_scored"),
    [(5.0, 5.0, True), (4.999, 5.0, False), (None, 5.0, False), (0.0, 0.0, False), (0.001, 0.0, True)],
)
def test_too_short_a_way_is_not_scored(periods: Periods, km: float | None, min_km: float, *, is_scored: bool) -> None:
    found = scores(periods, [position("10:00", km)], [episode("10:00", "overspeed")], Thresholds(score_min_km=min_km))
    for row in found.values():
        assert (row["distance_km"], row["overspeed_events"]) == (km or 0.0, 1)
        assert (row["score"] is not None, row["overspeed_points"] is not None) == (is_scored, is_scored)


def test_a_way_without_events_is_worth_100(periods: Periods) -> None:
    assert [row["score"] for row in scores(periods, [position("10:00", 50.0)], []).values()] == [100.0, 100.0]


def test_days_and_weeks(periods: Periods) -> None:
    """A week begins on Monday, also where a year does not, and is scored by its own distance."""
    days = {"2025-12-28": 100.0, "2025-12-29": 10.0, "2025-12-31": 4.0, "2026-01-01": 36.0, "2026-01-04": 50.0, "2026-01-05": 20.0}
    positions = [position(f"{day} 12:00", km) for day, km in days.items()]
    events = [episode(f"{day} 12:00", "harsh_acceleration") for day in days if day != "2026-01-04"]
    found = scores(periods, positions, events)
    assert {start: row["distance_km"] for (period, start), row in found.items() if period == "day"} == days
    assert {start: row["score"] for (period, start), row in found.items() if period == "week"} == {
        "2025-12-22": 99.0, "2025-12-29": 97.0, "2026-01-05": 95.0,
    }  # fmt: skip
    assert found["day", "2025-12-31"]["score"] is None


def test_an_event_counts_where_it_began(periods: Periods) -> None:
    positions = [position("23:59:59", 50.0), *(position(f"2026-01-0{day} 00:00", 50.0) for day in (2, 4, 5))]
    events = [
        episode("23:59:59.999999", "overspeed"), episode("2026-01-02 00:00", "overspeed"), episode("2026-01-02 00:01", "overspeed"),
        episode("2026-01-04 23:59:59", "overspeed"), episode("2026-01-05 00:00", "overspeed", device_id="v2"),
    ]  # fmt: skip
    counted = {key: row["overspeed_events"] for key, row in scores(periods, positions, events).items()}
    assert counted == {
        ("day", "2026-01-01"): 1, ("day", "2026-01-02"): 2, ("day", "2026-01-04"): 1, ("day", "2026-01-05"): 0,
        ("week", "2025-12-29"): 4, ("week", "2026-01-05"): 0,
    }  # fmt: skip


def test_a_wrong_clock_makes_no_period(periods: Periods) -> None:
    positions = [position("10:00", 50.0), *(position(f"{day} 10:00", quality=reason) for day, reason in WRONG_DAYS)]
    assert sorted(scores(periods, positions, [])) == [("day", DAY), ("week", "2025-12-29")]
    assert [str(row["start_time"].date()) for row in days(periods, positions)] == [DAY]


WRONG_DAYS = (("2036-01-01", "future"), ("2006-01-01", "stale"))


@pytest.mark.parametrize(
    ("dimension", "expected"),
    [
        ("weather", {"Rain": (3.0, 20.0), "Sunny": (4.0, 0.5), "unknown": (9.0, 30.0)}),
        ("incident", {"Fire": (4.0, 0.5), "none": (12.0, 50.0)}),
        ("light", {"day": (7.0, 20.5), "night": (9.0, 30.0)}),
        ("road_class", {"motorway": (3.0, 20.0), "main": (4.0, 0.5), "unknown": (9.0, 30.0)}),
    ],
)
def test_exposure(periods: Periods, dimension: str, expected: Mapping[str, tuple[float, float]]) -> None:
    positions = [
        position("10:00", weather_condition="Fog"),  # no leg
        position("10:01", 1.0, 10.0, weather_condition="Rain", road_class="motorway"),
        position("10:02", 2.0, 10.0, weather_condition="Rain", road_class="motorway"),
        position("10:03", 4.0, 0.5, weather_condition="Sunny", incident_type="Fire", road_class="main"),
        position("23:00", 9.0, 30.0, is_night=True),
        position("23:01", is_night=True, quality="jump", weather_condition="Snow"),
        position("2026-01-02 00:00", 100.0, weather_condition="Snow"),
        position("10:01", 50.0, device_id="v2"),
    ]
    rows = periods("exposure", {"silver.positions": positions})
    assert len({row["exposure_id"] for row in rows}) == len(rows)
    of_day = [row for row in rows if (row["device_id"], row["start_time"]) == ("v1", when("00:00"))]
    found = {row["category"]: (row["distance_km"], row["duration_min"]) for row in of_day if row["dimension"] == dimension}
    assert found == expected


def test_every_dimension_divides_the_whole_day(periods: Periods) -> None:
    conditions, classes, incidents = ("Rain", "Fog", None), ("motorway", "local"), (None, None, "Fire", "Police", None)
    positions = [
        position(
            f"{n % 24:02}:{n % 60:02}", n / 7, n / 11, weather_condition=conditions[n % 3], road_class=classes[n % 2],
            is_night=n % 4 == 0, incident_type=incidents[n % 5],
        )
        for n in range(60)
    ]  # fmt: skip
    rows = periods("exposure", {"silver.positions": positions})
    (day,) = days(periods, positions)
    for dimension in DIMENSIONS:
        of_it = [row for row in rows if row["dimension"] == dimension]
        assert len(of_it) > 1
        assert sum(row["distance_km"] for row in of_it) == pytest.approx(day["distance_km"])
        assert sum(row["duration_min"] for row in of_it) == pytest.approx(sum(n / 11 for n in range(60)))


def days(periods: Periods, positions: Rows, **relations: Rows) -> Rows:
    """gold.fleet_day; relations: gold tables by their kind."""
    named = {f"gold.{kind}": rows for kind, rows in relations.items()}
    return periods("fleet_day", {"silver.positions": positions, **named})


DRIVEN = [
    position("08:00", speed_kmh=0.0, ignition=True),
    position("08:05", 1.0, 5.0, speed_kmh=8.04672),  # in motion
    position("08:07", 0.5, 2.0, speed_kmh=8.04, ignition=True),  # idle
    position("08:10", 0.0, 3.0, speed_kmh=0.0, ignition=True),  # idle
    position("08:14", 0.0, 4.0, speed_kmh=0.0, ignition=False),
    position("08:15", 0.0, 1.0, speed_kmh=0.0),
    position("08:16", 0.0, 1.0, speed_kmh=None, ignition=True),
    position("08:20", speed_kmh=250.0, quality="poor_accuracy"),
    position("08:30", 20.0, 15.0, speed_kmh=120.0),
]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("first_time", when("08:00")), ("last_time", when("08:30")), ("positions", 9), ("flagged_positions", 1),
        ("distance_km", 21.5), ("moving_min", 20.0), ("idle_min", 5.0), ("top_speed_kmh", 120.0),
        ("trips", 0), ("stops", 0), ("driving_events", 0), ("overspeed_min", 0.0), ("fuel_used_percent", None), ("refuels", 0),
        ("score", None),
    ],
)  # fmt: skip
def test_a_day_by_its_positions(periods: Periods, column: str, expected: Any) -> None:
    (day,) = days(periods, DRIVEN)
    assert day[column] == expected


def test_a_day_with_what_it_reads_of_gold(periods: Periods) -> None:
    (day,) = days(
        periods, DRIVEN,
        trips=[episode("08:00"), episode("23:59:59"), episode("2026-01-02 00:00"), episode("08:00", device_id="v2")],
        stops=[episode("08:00"), episode("08:01"), episode("08:02"), episode("2025-12-31 23:59")],
        driving_events=[
            episode("08:00", "overspeed", duration_s=30.0), episode("23:59:50", "overspeed", duration_s=15.0),
            episode("08:00", "harsh_braking", duration_s=600.0), episode("2026-01-02 00:00", "overspeed", duration_s=60.0),
        ],
        fuel=[
            episode("08:00", "consumption", used_percent=1.1), episode("09:00", "consumption", used_percent=2.2),
            episode("08:30", "refuel", used_percent=-50.0), episode("10:00", "theft", used_percent=10.0),
            episode("2025-12-31 23:59", "refuel", used_percent=-50.0),
        ],
        driver_scores=[
            episode("00:00", period="day", score=87.5), episode("2025-12-29 00:00", period="week", score=1.0),
            episode("00:00", period="week", score=2.0), episode("00:00", period="day", score=3.0, device_id="v2"),
        ],
    )  # fmt: skip
    names = ("trips", "stops", "driving_events", "overspeed_min", "fuel_used_percent", "refuels", "score")
    assert [day[name] for name in names] == [2, 3, 3, 0.75, 3.3, 1, 87.5]


def test_a_leg_is_of_the_day_it_ends(periods: Periods) -> None:
    found = days(periods, [position("23:59:59", 1.0), position("2026-01-02 00:00", 2.0), position("10:00", 4.0, device_id="v2")])
    assert [(row["device_id"], str(row["start_time"].date()), row["distance_km"]) for row in found] == [
        ("v1", "2026-01-01", 1.0), ("v1", "2026-01-02", 2.0), ("v2", "2026-01-01", 4.0),
    ]  # fmt: skip
    assert len({row["fleet_day_id"] for row in found}) == 3


def test_a_day_of_a_single_row(periods: Periods) -> None:
    (day,) = days(periods, [position("10:00", quality="no_fix")])
    assert (day["positions"], day["flagged_positions"], day["distance_km"], day["moving_min"]) == (1, 1, 0.0, 0.0)
    assert day["top_speed_kmh"] is None
    assert days(periods, []) == []


def picture(time: str, vehicles: int | None, speed_kmh: float | None, **more: Any) -> dict[str, Any]:
    made = {"event_id": f"c{next(NUMBERS):04}", "device_id": "v1", "camera_id": "c1", "event_time": when(time)}
    made |= {"latitude": 52.0, "longitude": -1.0, "kafka_partition": 0, "kafka_offset": 0, "is_late": False, "late_by_s": 0.0}
    return made | {"ingested_at": when(time), "vehicle_count": vehicles, "average_speed_kmh": speed_kmh} | more


def traffic(periods: Periods, *pictures: dict[str, Any]) -> Rows:
    return periods("camera_traffic", {"silver.traffic_camera": list(pictures)})


@pytest.mark.parametrize(
    ("pictures", "expected"),
    [
        pytest.param([(10, 60.0)], (10.0, 10, 60.0, 6000.0), id="one picture: 10 in 100 m at 60 km/h"),
        pytest.param([(10, 60.0), (30, 20.0)], (20.0, 30, 30.0, 6000.0), id="speeds are weighted by vehicles"),
        pytest.param([(10, 60.0), (30, None)], (20.0, 30, 60.0, 6000.0), id="a picture without a speed has no flow"),
        pytest.param([(10, 60.0), (0, 0.0)], (5.0, 10, 60.0, 3000.0), id="an empty road has none of vehicles"),
        pytest.param([(10, 60.0), (None, 20.0)], (10.0, 10, 60.0, 6000.0), id="a picture in which none were counted"),
        pytest.param([(10, None)], (10.0, 10, None, None), id="no speed"),
        pytest.param([(None, 60.0)], (None, None, None, None), id="none counted"),
        pytest.param([(0, 60.0)], (0.0, 0, None, 0.0), id="no vehicles"),
    ],
)
def test_camera_traffic(periods: Periods, pictures: list[tuple[int | None, float | None]], expected: tuple[Any, ...]) -> None:
    (row,) = traffic(periods, *(picture(f"10:{minute:02}", *seen) for minute, seen in enumerate(pictures)))
    assert (row["mean_vehicle_count"], row["max_vehicle_count"], row["mean_speed_kmh"], row["flow_per_h"]) == expected
    assert row["pictures"] == len(pictures)


def test_hours_cameras_and_devices(periods: Periods) -> None:
    rows = traffic(
        periods,
        picture("10:59:59", 1, 50.0, latitude=53.0), picture("10:00", 1, 50.0, device_id="v2", latitude=51.0),
        picture("10:30", 1, 50.0), picture("11:00", 1, 50.0), picture("10:00", 1, 50.0, camera_id="c2"),
        picture("2025-12-31 10:00", 1, 50.0),
    )  # fmt: skip
    assert [(row["camera_id"], row["start_time"], row["pictures"], row["devices"], row["latitude"]) for row in rows] == [
        ("c1", when("2025-12-31 10:00"), 1, 1, 52.0), ("c1", when("10:00"), 3, 2, 51.0), ("c1", when("11:00"), 1, 1, 52.0),
        ("c2", when("10:00"), 1, 1, 52.0),
    ]  # fmt: skip
    assert len({row["camera_traffic_id"] for row in rows}) == 4


def test_the_order_of_rows_does_not_matter(periods: Periods) -> None:
    """Sums are of whole numbers, so not even in the last bit."""
    positions = [position(f"10:{n:02}", 0.1 + n * 0.0123, n * 0.7, weather_condition=("Rain", "Fog")[n % 2]) for n in range(60)]
    pictures = [picture(f"10:{n:02}", n, 33.3 + n / 7) for n in range(60)]
    for kind, name, rows in (
        ("driver_scores", "silver.positions", positions), ("exposure", "silver.positions", positions),
        ("fleet_day", "silver.positions", positions), ("camera_traffic", "silver.traffic_camera", pictures),
    ):  # fmt: skip
        assert key_sorted(periods(kind, {name: rows})) == key_sorted(periods(kind, {name: rows[::-1]}))


def key_sorted(rows: Rows) -> Rows:
    return sorted(rows, key=lambda row: str(next(iter(row.values()))))


def test_a_longer_view_is_less_dense(periods: Periods) -> None:
    (row,) = periods("camera_traffic", {"silver.traffic_camera": [picture("10:00", 10, 60.0)]}, Thresholds(camera_view_m=200.0))
    assert row["flow_per_h"] == 3000.0
