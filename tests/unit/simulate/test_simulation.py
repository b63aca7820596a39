"""The drive is physics, follows from its seed, and what is sent keeps the contract."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from fleetlake.contracts.events import COMPASS, EVENTS, GPS, Event
from fleetlake.contracts.validation import parse
from fleetlake.foundation.errors import BadInput
from fleetlake.simulate import SimulationSettings, produce_data_to_kafka, run_simulation, simulate_journey
from fleetlake.simulate.driver import THRESHOLDS_MS2
from fleetlake.simulate.faults import FaultRates, FaultySink, Tally
from fleetlake.simulate.geodesy import bearing_deg, compass_index, distance_m
from fleetlake.simulate.motion import BRAKING_LIMIT_MS2
from fleetlake.simulate.rounds import RoundReport
from fleetlake.simulate.route import london_to_birmingham
from fleetlake.simulate.run import Journey, SimulationReport
from fleetlake.simulate.sink import NdjsonSink

START = datetime(2026, 1, 5, 6, tzinfo=UTC)
FAULTS = FaultRates(duplicates=0.02, late=0.03, poison=0.02)


class Kept:
    """A sink that keeps everything."""

    def __init__(self) -> None:
        self.records: dict[str, list[tuple[bytes, bytes]]] = {event.topic: [] for event in EVENTS}
        self.flushed = False

    def send(self, event: Event, keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        self.records[event.topic] += zip(keys, values, strict=True)

    def flush(self) -> None:
        self.flushed = True


def drive(
    vehicles: int = 4, seed: int = 3, faults: FaultRates | None = None, truth: Path | None = None
) -> tuple[Kept, SimulationReport]:
    kept = Kept()
    settings = SimulationSettings(vehicles, START, seed=seed)
    return kept, run_simulation(settings, kept, faults=faults or FaultRates(), truth_folder=truth)


@pytest.fixture(scope="module")
def driven(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[dict[str, dict[str, list[dict[str, object]]]], Path, SimulationReport]:
    """A clean drive of 12: topic to device to its events in order; the truth's folder; the report."""
    truth = tmp_path_factory.mktemp("truth")
    kept, report = drive(12, seed=5, truth=truth)
    by_device: dict[str, dict[str, list[dict[str, object]]]] = {}
    for topic, records in kept.records.items():
        for key, value in records:
            by_device.setdefault(topic, {}).setdefault(key.decode(), []).append(json.loads(value))
    assert kept.flushed
    return by_device, truth, report


def column(events: list[dict[str, object]], name: str) -> np.ndarray:
    return np.array([event[name] for event in events])


def places(events: list[dict[str, object]]) -> tuple[np.ndarray, np.ndarray]:
    located = np.array([event["location"] for event in events])
    return located[:, 0], located[:, 1]


def test_the_same_seed_gives_the_same_bytes() -> None:
    def first_ticks(seed: int) -> dict[str, list[tuple[bytes, bytes]]]:
        kept = Kept()
        faulty = FaultySink(kept, FAULTS, seed)
        for batches in islice(simulate_journey(SimulationSettings(4, START, seed=seed)), 150):
            for batch in batches:
                faulty.send(batch)
        faulty.finish()
        return kept.records

    assert first_ticks(3) == first_ticks(3)
    assert first_ticks(3) != first_ticks(4)


@pytest.mark.parametrize(
    "other",
    [
        {"vehicles": 4},
        {"seed": 2},
        {"tick_s": 5},
        {"gps_noise_m": 1.0},
        {"fleet": "north"},
        {"start_time": START + timedelta(seconds=3)},
    ],
)
def test_runs_that_differ_share_no_event_id(other: dict[str, Any]) -> None:
    given = {"vehicles": 3, "start_time": START, "seed": 1}

    def ids(settings: SimulationSettings) -> set[bytes]:
        ticks = islice(simulate_journey(settings), 60)
        return {json.loads(value)["id"] for batches in ticks for batch in batches for value in batch.values}

    one, two = ids(SimulationSettings(**given)), ids(SimulationSettings(**given | other))
    assert min(len(one), len(two)) > 300
    assert not one & two


def test_an_id_is_its_vehicles_own() -> None:
    """Whoever else reports at a tick, and whatever else is in the batch."""
    settings = SimulationSettings(3, START)
    journey = Journey(settings)
    reports = [tick.report for tick in islice(journey.ticks(), 120) if len(tick.report.who)]
    together = journey.reporter.batch(GPS, reports)
    alone = [replace(report, **_of_last(report)) for report in reports]
    last = [value for key, value in zip(together.keys, together.values, strict=True) if key == together.keys[-1]]
    assert [json.loads(value)["id"] for value in journey.reporter.batch(GPS, alone).values][-5:] == [
        json.loads(value)["id"] for value in last
    ][-5:]


def _of_last(report: RoundReport) -> dict[str, Any]:
    """The fields of a report that are per vehicle, of its last vehicle alone."""
    values = {name: getattr(report, name) for name in RoundReport.__slots__ if name not in ("time_ms", "tick", "around", "before")}
    return {name: value[-1:] for name, value in values.items()} | {"around": report.around.of(np.array([len(report.who) - 1]))}


def test_five_events_a_tick_until_all_have_arrived(driven) -> None:  # type: ignore[no-untyped-def]
    by_device, _, report = driven
    assert report.arrived == report.vehicles == 12
    counts = [{device: len(events) for device, events in devices.items()} for devices in by_device.values()]
    assert all(count == counts[0] for count in counts)
    assert sum(counts[0].values()) == report.tallies["gps_data"].good
    for events in by_device["vehicle_data"].values():
        assert (events[0]["speed"], events[0]["ignition"]) == (0, True)
        assert (events[-1]["speed"], events[-1]["ignition"]) == (0, False)
        latitude, longitude = places(events[-1:])
        assert distance_m(latitude, longitude, np.array([52.4862]), np.array([-1.8904]))[0] < 1
        assert all(event["ignition"] or event["speed"] == 0 for event in events)


def test_gps_distance_is_within_one_percent_of_the_route(driven) -> None:  # type: ignore[no-untyped-def]
    for fixes in driven[0]["gps_data"].values():
        latitude, longitude = places(fixes)
        km = distance_m(latitude[:-1], longitude[:-1], latitude[1:], longitude[1:]).sum() / 1000
        assert km == pytest.approx(200.3, rel=0.01)


def test_speed_is_the_change_of_place_and_keeps_to_what_a_vehicle_can_do(driven) -> None:  # type: ignore[no-untyped-def]
    for events in driven[0]["vehicle_data"].values():
        speed_ms, odometer_km = column(events, "speed") / 3.6, column(events, "odometer")
        travelled = np.diff(odometer_km) * 1000
        mean = (speed_ms[:-1] + speed_ms[1:]) / 2 * 3
        assert np.abs(travelled - mean).max() < 3 * 4.0  # a change of speed within a tick, at most harsh
        assert (np.diff(odometer_km) >= 0).all()
        assert np.diff(speed_ms).max() < 3 * THRESHOLDS_MS2[0] * 1.4
        assert np.diff(speed_ms).min() > -3 * THRESHOLDS_MS2[1] * 1.4
        assert (np.diff(column(events, "fuelLevel")) <= 0).all()
        calm = (column(events, "maxBraking") < THRESHOLDS_MS2[1])[1:-1]
        assert np.diff(speed_ms)[:-1][calm].min() > -3 * BRAKING_LIMIT_MS2 - 1


def test_heading_is_the_direction_of_travel(driven) -> None:  # type: ignore[no-untyped-def]
    for fixes in driven[0]["gps_data"].values():
        latitude, longitude = places(fixes)
        moved = distance_m(latitude[:-1], longitude[:-1], latitude[1:], longitude[1:]) > 20
        course = bearing_deg(latitude[:-1], longitude[:-1], latitude[1:], longitude[1:])
        heading = column(fixes, "heading")
        off = np.abs((course - heading[:-1] + 180) % 360 - 180)[moved]
        assert np.median(off) < 1
        assert [event["direction"] for event in fixes] == [COMPASS[i] for i in compass_index(heading)]


def test_speed_keeps_the_limit_but_where_the_truth_says_otherwise(driven) -> None:  # type: ignore[no-untyped-def]
    by_device, truth, _ = driven
    route = london_to_birmingham()
    told = pq.read_table(truth / "overspeed.parquet").to_pylist()
    for device, events in by_device["vehicle_data"].items():
        along = (column(events, "odometer") - events[0]["odometer"]) * 1000
        over = column(events, "speed") > route.limit_at_ms(along) * 3.6 + 0.5
        times = [datetime.fromisoformat(event["timestamp"]) for event in events]
        for time in np.array(times)[over]:
            assert any(row["device_id"] == device and row["start_time"] <= time <= row["end_time"] for row in told)


def test_harsh_peaks_are_those_of_the_truth(driven) -> None:  # type: ignore[no-untyped-def]
    by_device, truth, _ = driven
    told = Counter(row["kind"] for row in pq.read_table(truth / "harsh_events.parquet").to_pylist())
    names = ("acceleration", "braking", "cornering")
    for i, (kind, field) in enumerate(zip(names, ("maxAcceleration", "maxBraking", "maxCornering"), strict=True)):
        episodes = 0
        for events in by_device["vehicle_data"].values():
            peak = column(events, field)
            harsh = peak >= THRESHOLDS_MS2[i]
            assert (peak[~harsh] <= 0.9 * THRESHOLDS_MS2[i] + 0.01).all()
            episodes += int(harsh[0]) + int((harsh[1:] & ~harsh[:-1]).sum())
        assert episodes == told[kind]
    assert sum(told.values()) > 5


def test_the_truth_of_trips_and_stops(driven) -> None:  # type: ignore[no-untyped-def]
    by_device, truth, _ = driven
    trips = {row["device_id"]: row for row in pq.read_table(truth / "trips.parquet").to_pylist()}
    stops = pq.read_table(truth / "stops.parquet").to_pylist()
    assert stops
    for device, events in by_device["vehicle_data"].items():
        times = [datetime.fromisoformat(event["timestamp"]) for event in events]
        assert trips[device]["start_time"] == times[0]
        assert times[-2] < trips[device]["end_time"] <= times[-1]
        assert trips[device]["distance_km"] == pytest.approx(200.26, abs=0.01)
    for stop in stops:
        events = by_device["vehicle_data"][stop["device_id"]]
        standing = [
            event for event in events if stop["start_time"] <= datetime.fromisoformat(event["timestamp"]) <= stop["end_time"]
        ]
        assert all(event["speed"] < 3.6 for event in standing)
        assert timedelta(seconds=180) <= stop["end_time"] - stop["start_time"] < timedelta(seconds=300)


def test_every_event_keeps_the_contract_and_has_its_own_id(driven) -> None:  # type: ignore[no-untyped-def]
    ids: set[str] = set()
    total = 0
    for event in EVENTS:
        for events in driven[0][event.topic].values():
            for document in events[::7]:
                assert parse(event, json.dumps(document).encode()).reject_reason is None
            assert list(events[0]) == [field.name for field in event.fields if field.name in events[0]]
            for document in events:
                made = uuid.UUID(str(document["id"]))
                assert made.version == 7
                assert made.int >> 80 == round(datetime.fromisoformat(str(document["timestamp"])).timestamp() * 1000)
                ids.add(str(document["id"]))
                total += 1
    assert len(ids) == total


def test_faults_are_what_the_tally_says() -> None:
    kept, report = drive(6, faults=FAULTS)
    clean, _ = drive(6)
    for event in EVENTS:
        records, tally = kept.records[event.topic], report.tallies[event.topic]
        good = [(key, value) for key, value in records if parse(event, value).reject_reason is None]
        newest: dict[bytes, datetime] = {}
        seen: set[bytes] = set()
        late = 0
        for key, value in good:
            if value in seen:
                continue
            seen.add(value)
            time = datetime.fromisoformat(json.loads(value)["timestamp"])
            late += key in newest and newest[key] - time > timedelta(seconds=120)
            newest[key] = max(time, newest.get(key, time))
        assert tally == Tally(len(records), len(seen), len(good) - len(seen), late, len(records) - len(good))
        assert min(tally.duplicates, tally.late, tally.poison) > 0
        assert seen == {value for _, value in clean.records[event.topic]}


def test_a_paced_run_waits_for_each_tick() -> None:
    waits: list[float] = []
    run_simulation(SimulationSettings(1, START, tick_s=60, speedup=120), Kept(), sleep=waits.append, clock=lambda: 0.0)
    assert waits == [0.5 * i for i in range(len(waits))]
    assert len(waits) > 100


def test_the_journey_as_a_library() -> None:
    kept = Kept()
    for _, batches in zip(range(3), simulate_journey(SimulationSettings(2, START)), strict=False):
        assert [batch.event for batch in batches] == list(EVENTS)
        for batch in batches:
            produce_data_to_kafka(kept, batch)
    assert len(kept.records["gps_data"]) == 3


def test_ndjson_keeps_every_record(tmp_path: Path) -> None:
    with (tmp_path / "events.ndjson").open("w") as stream:
        NdjsonSink(stream).send(EVENTS[0], [b"a", b"b"], [b'{"x":\n1}', b"\xff"])
    lines = [json.loads(line) for line in (tmp_path / "events.ndjson").read_text().splitlines()]
    assert lines == [
        {"topic": "vehicle_data", "key": "a", "value": '{"x":\n1}'},
        {"topic": "vehicle_data", "key": "b", "value_base64": "/w=="},
    ]


@pytest.mark.parametrize("text", ["duplicates", "duplicates=2", "late=-1", "poison=x", "nonsense=0.1"])
def test_faults_that_are_not_understood(text: str) -> None:
    with pytest.raises(BadInput, match="allowed: duplicates, late, poison"):
        FaultRates.parse(text)


@pytest.mark.parametrize("change", [{"vehicles": 0}, {"tick_s": 0}, {"tick_s": 61}, {"speedup": 0.0}, {"seed": -1}])
def test_settings_out_of_range(change: dict[str, float]) -> None:
    with pytest.raises(BadInput, match="allowed"):
        SimulationSettings(**({"vehicles": 1, "start_time": START} | change))  # type: ignore[arg-type]
