"""What a fleet does second by second, and that the truth and the reports tell the same story of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pytest
from simulate_drives import START

from fleetlake.simulate import SimulationSettings
from fleetlake.simulate.driver import BREAK_S, HARSH, HARSH_APART_M, THRESHOLDS_MS2, draw_drivers
from fleetlake.simulate.geodesy import distance_m
from fleetlake.simulate.motion import BRAKING_LIMIT_MS2, MODERATE, OVERSPEED_FACTOR
from fleetlake.simulate.route import london_to_birmingham
from fleetlake.simulate.run import Journey

ROUTE = london_to_birmingham()
VEHICLES, SEED = 40, 11


@dataclass(frozen=True)
class Seconds:
    """A drive seen every second, t x n; and the journey it was."""

    journey: Journey
    along_m: np.ndarray
    speed_ms: np.ndarray
    peak_ms2: np.ndarray
    ignition: np.ndarray
    reports: np.ndarray

    def second(self, time: object) -> int:
        return round((time - START).total_seconds())  # type: ignore[operator]

    def vehicle(self, device_id: str) -> int:
        return self.journey.fleet.device_id.tolist().index(device_id)


@pytest.fixture(scope="module")
def seconds() -> Seconds:
    journey = Journey(SimulationSettings(VEHICLES, START, tick_s=1, seed=SEED))
    rows: list[list[np.ndarray]] = []
    for tick in journey.ticks():
        row = [np.zeros(VEHICLES), np.zeros(VEHICLES), np.zeros((VEHICLES, 3)), np.zeros(VEHICLES, bool), np.zeros(VEHICLES, bool)]
        report = tick.report
        values = (report.along_m, report.speed_kmh / 3.6, report.peak_ms2, report.ignition, True)
        for column, value in zip(row, values, strict=True):
            column[report.who] = value
        rows.append(row)
    return Seconds(journey, *(np.stack(column) for column in zip(*rows, strict=True)))


def test_position_is_the_integral_of_speed(seconds: Seconds) -> None:
    both = seconds.reports[1:] & seconds.reports[:-1]
    moved = np.diff(seconds.along_m, axis=0)[both]
    mean = ((seconds.speed_ms[1:] + seconds.speed_ms[:-1]) / 2)[both]
    assert (np.abs(moved - mean) > 0.01).sum() <= VEHICLES  # arriving: the last metres are no matter
    assert np.abs(moved - mean).max() < 3


def test_acceleration_keeps_to_the_driver_and_the_peaks_tell_all_of_it(seconds: Seconds) -> None:
    both = seconds.reports[1:] & seconds.reports[:-1]
    change = np.diff(seconds.speed_ms, axis=0)
    peak = seconds.peak_ms2[1:]
    rounding = 0.006  # speeds are told to 0.01 km/h, peaks to 0.01 m/s2
    assert (np.maximum(change, 0) <= peak[:, :, 0] + rounding)[both].all()
    assert (np.maximum(-change, 0) <= peak[:, :, 1] + rounding)[both].all()
    calm = both & (peak < THRESHOLDS_MS2).all(axis=2)
    assert (change <= seconds.journey.fleet.drivers.acceleration_ms2 + rounding)[calm].all()
    assert (change >= -BRAKING_LIMIT_MS2 - rounding)[calm].all()


def test_harsh_peaks_are_seen_exactly_in_the_episodes_of_the_truth(seconds: Seconds) -> None:
    told = np.zeros_like(seconds.peak_ms2, bool)
    rows = seconds.journey.truth.tables()["harsh_events"].to_pylist()
    for row in rows:
        kind, who = HARSH.index(row["kind"]), seconds.vehicle(row["device_id"])
        begin, end = seconds.second(row["start_time"]), seconds.second(row["end_time"])
        assert end - begin == 2
        told[begin + 1 : end + 1, who, kind] = True
        assert (seconds.peak_ms2[begin + 1 : end + 1, who, kind] == row["peak_ms2"]).all()
        change = seconds.speed_ms[end, who] - seconds.speed_ms[begin, who]
        if row["kind"] == "acceleration":
            assert change == pytest.approx(2 * row["peak_ms2"], abs=0.01)
        if row["kind"] == "braking":
            assert change == pytest.approx(-2 * row["peak_ms2"], abs=0.01)
    assert ((seconds.peak_ms2 >= THRESHOLDS_MS2) == told).all()
    assert (seconds.peak_ms2[~told] <= np.broadcast_to(MODERATE * THRESHOLDS_MS2, told.shape)[~told]).all()
    assert {row["kind"] for row in rows} == set(HARSH)
    assert len(rows) > 2 * VEHICLES


def test_harsh_manoeuvres_are_few_and_far_between() -> None:
    drivers = draw_drivers(2_000, ROUTE, 3, np.random.default_rng(1))
    at = drivers.harsh_at_m
    assert np.isinf(at[:, -1]).all()
    with np.errstate(invalid="ignore"):
        apart = np.diff(at, axis=1)
    assert apart[np.isfinite(apart)].min() >= HARSH_APART_M
    counts = np.isfinite(at).sum(axis=1)
    brisk, calm = drivers.pace > 0.98, drivers.pace < 0.92
    assert counts[brisk].mean() > 3 * counts[calm].mean() > 0
    assert set(drivers.harsh_kind[np.isfinite(at)].tolist()) == {0, 1, 2}


def test_the_limit_is_broken_exactly_in_the_overspeed_of_the_truth(seconds: Seconds) -> None:
    limit_ms = ROUTE.limit_at_ms(seconds.along_m.ravel()).reshape(seconds.along_m.shape)
    over = seconds.reports & (seconds.speed_ms > limit_ms + 0.01 / 3.6)
    told = np.zeros_like(over)
    rows = seconds.journey.truth.tables()["overspeed"].to_pylist()
    for row in rows:
        who, begin, end = seconds.vehicle(row["device_id"]), seconds.second(row["start_time"]), seconds.second(row["end_time"])
        told[begin : end + 1, who] = True
        assert end - begin >= 10
        assert row["peak_kmh"] == pytest.approx(seconds.speed_ms[begin : end + 1, who].max() * 3.6, abs=0.01)
        assert row["limit_kmh"] * 1.01 < row["peak_kmh"] <= row["limit_kmh"] * OVERSPEED_FACTOR + 1e-9
        assert seconds.journey.fleet.drivers.pace[who] > 0.98  # brisk drivers only
    assert (over == told).all()
    assert rows


def test_stops_of_the_truth_are_the_breaks_where_the_services_are(seconds: Seconds) -> None:
    drivers = seconds.journey.fleet.drivers
    rows = seconds.journey.truth.tables()["stops"].to_pylist()
    assert len(rows) == np.isfinite(drivers.break_at_m).sum() > 5
    for row in rows:
        who, begin, end = seconds.vehicle(row["device_id"]), seconds.second(row["start_time"]), seconds.second(row["end_time"])
        slow = seconds.speed_ms[:, who] < 1
        assert slow[begin : end + 1].all()
        assert not slow[begin - 1]
        assert not slow[end + 1]
        assert timedelta(seconds=BREAK_S[0]) <= row["end_time"] - row["start_time"] <= timedelta(seconds=BREAK_S[1] + 1)
        there = ROUTE.place(drivers.break_at_m[[who]])
        assert distance_m(*there, np.array([row["latitude"]]), np.array([row["longitude"]]))[0] < 5
        assert (~seconds.ignition[begin:end, who]).all() == drivers.break_engine_off[who]
    assert len({bool(drivers.break_engine_off[seconds.vehicle(row["device_id"])]) for row in rows}) == 2


def test_nobody_is_below_5_mph_for_as_long_as_ends_a_trip(seconds: Seconds) -> None:
    slow = seconds.reports & (seconds.speed_ms < 2.2352)
    run = np.zeros(VEHICLES)
    longest = 0.0
    for row in slow:
        run = (run + 1) * row
        longest = max(longest, run.max())
    assert 190 < longest < 300


def test_trips_of_the_truth_begin_with_the_ignition_and_end_with_the_arrival(seconds: Seconds) -> None:
    rows = seconds.journey.truth.tables()["trips"].to_pylist()
    assert [row["device_id"] for row in rows] == seconds.journey.fleet.device_id.tolist()
    for who, row in enumerate(rows):
        reported = np.flatnonzero(seconds.reports[:, who])
        assert (seconds.second(row["start_time"]), seconds.second(row["end_time"])) == (reported[0], reported[-1])
        assert row["distance_km"] == pytest.approx(ROUTE.length_m / 1000)
        assert seconds.ignition[reported[0], who]
        assert not seconds.ignition[reported[-1], who]
