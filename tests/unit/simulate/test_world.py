"""The road, what surrounds the vehicles, and what cameras and the truth make of it."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from simulate_drives import START, Kept

from fleetlake.contracts.events import INCIDENT_TYPES, WEATHER_CONDITIONS
from fleetlake.foundation.errors import BadInput
from fleetlake.simulate import SimulationSettings, run_simulation
from fleetlake.simulate import world as world_module
from fleetlake.simulate.events import snapshot_png
from fleetlake.simulate.fleet import draw_fleet
from fleetlake.simulate.geodesy import bearing_deg, compass_index, distance_m
from fleetlake.simulate.motion import step
from fleetlake.simulate.route import GRID_M, MPH_IN_MS, SERVICES, london_to_birmingham
from fleetlake.simulate.run import Journey
from fleetlake.simulate.truth import read_truth
from fleetlake.simulate.world import World, sum_of_sines

START_MS = round(START.timestamp() * 1000)
ROUTE = london_to_birmingham()


def test_great_circles() -> None:
    zero, quarter = np.array([0.0]), np.array([90.0])
    assert distance_m(zero, zero, zero, quarter)[0] == pytest.approx(6_371_008.8 * np.pi / 2)
    assert distance_m(zero, np.array([179.5]), zero, np.array([-179.5]))[0] == pytest.approx(111_195, abs=1)
    places = np.array([1.0, 0.0, -1.0, 0.0]), np.array([0.0, 1.0, 0.0, -1.0])
    assert bearing_deg(np.zeros(4), np.zeros(4), *places) == pytest.approx([0, 90, 180, 270])
    assert compass_index(np.array([0, 22.4, 22.6, 90, 337.6, 359.9])).tolist() == [0, 0, 1, 2, 0, 0]


def test_the_route_is_200_km_and_its_profile_can_be_driven_without_harsh_braking() -> None:
    assert len(ROUTE.along_m) == 157
    assert ROUTE.length_m / 1000 == pytest.approx(200.3, abs=0.1)
    assert set(np.round(ROUTE.limit_ms / MPH_IN_MS).tolist()) <= {20, 30, 40, 50, 60, 70}
    for within in (0.0, GRID_M / 2, GRID_M - 1e-6):
        assert (ROUTE.profile_ms <= ROUTE.limit_at_ms(np.arange(len(ROUTE.profile_ms)) * GRID_M + within)).all()
    braking = (ROUTE.profile_ms[:-1] ** 2 - ROUTE.profile_ms[1:] ** 2) / (2 * 10.0)
    assert braking.max() < 1.5
    for latitude, longitude in SERVICES.values():
        near = ROUTE.place(np.array([ROUTE.nearest_m(latitude, longitude)]))
        assert distance_m(*near, np.array([latitude]), np.array([longitude]))[0] < 3_000


@pytest.mark.parametrize("is_compiled", [True, False])
def test_sums_of_sines_are_what_they_say(monkeypatch: pytest.MonkeyPatch, is_compiled: bool) -> None:
    monkeypatch.setattr(world_module, "is_possible", lambda: is_compiled)
    rng = np.random.default_rng(5)
    for count in (0, 1, 2, 3, 1_001):  # odd ones too: vectors hold more than one
        at = np.concatenate([[0.0, 1e6], rng.uniform(-1e6, 1e6, count)])[:count]
        per, start = rng.uniform(-1e-3, 1.0, 3), rng.uniform(-7, 7, 3)
        expected = np.sin(np.outer(per, at) + start[:, None]).sum(axis=0)
        assert np.abs(sum_of_sines(at, per, start) - expected).max(initial=0) < 1e-12
    every_other = np.arange(10.0)[::2]
    assert sum_of_sines(every_other, np.ones(1), np.zeros(1)) == pytest.approx(np.sin(every_other), abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_weather_is_in_range_and_smooth_in_space_and_time(seed: int) -> None:
    world = World(ROUTE, seed, START_MS)
    along = np.arange(0.0, ROUTE.length_m, 100)
    for time_s in (0, 4_000, 9_000):
        here, soon = (world.around(along, time_s + later).weather for later in (0, 3))
        for name, step_limit in (("temperature_c", 0.2), ("humidity_percent", 1.5), ("wind_kmh", 1), ("air_quality_index", 2)):
            values = getattr(here, name)
            assert np.abs(np.diff(values)).max() < step_limit
            assert np.abs(getattr(soon, name) - values).max() < step_limit
        assert -15 < here.temperature_c.min() <= here.temperature_c.max() < 40
        assert ((here.humidity_percent >= 0) & (here.humidity_percent <= 100)).all()
        assert here.wind_kmh.min() >= 0
        assert ((here.air_quality_index >= 0) & (here.air_quality_index <= 500)).all()
        falls = np.isin(here.condition, [WEATHER_CONDITIONS.index("Rain"), WEATHER_CONDITIONS.index("Snow")])
        assert ((here.precipitation_mmh > 0) == falls).all()


def test_traffic_slows_most_next_to_an_incident_and_not_after_it_is_resolved() -> None:
    world = World(ROUTE, 3, START_MS)
    incidents = world.incidents
    for i in range(len(incidents.along_m)):
        spot = np.array([incidents.along_m[i]])
        before, during, after = (
            world.around(spot, time_s) for time_s in (incidents.begin_s[i] - 1, incidents.begin_s[i] + 1, incidents.end_s[i] + 1)
        )
        assert during.incident_m[0] == 0
        assert during.incident_active[0]
        assert during.slowing[0] < 0.7 * min(before.slowing[0], 1) or before.incident_m[0] < 2_000
        assert not (after.incident_m[0] == 0 and after.incident_active[0])


def test_nobody_is_held_up_below_15_kmh_however_full_the_road_is() -> None:
    rng = np.random.default_rng(1)
    fleet = draw_fleet(30, ROUTE, 3, rng)
    fleet.drivers.break_at_m[:] = np.inf
    fleet.drivers.harsh_at_m[:] = np.inf
    seen = []
    for second in range(900):
        step(fleet, ROUTE, np.full(30, 0.05), float(second), rng)
        seen.append(fleet.speed_ms[fleet.departure_s + 10 < second])
    assert np.concatenate(seen).min() * 3.6 == pytest.approx(15)


@pytest.mark.parametrize("tick_s", [1, 3, 30, 60])
def test_a_break_is_a_stop_but_never_ends_a_trip(tick_s: int) -> None:
    breaks = draw_fleet(5_000, ROUTE, tick_s, np.random.default_rng(2)).drivers.break_s
    assert breaks.min() >= 190
    assert breaks.max() + tick_s <= 288
    assert breaks.max() <= 280


def test_an_incident_keeps_its_id_and_what_is_none_has_none() -> None:
    kept = Kept()
    run_simulation(SimulationSettings(6, START, tick_s=10, seed=7), kept)
    told: dict[str, set[tuple[str, str]]] = defaultdict(set)
    states: dict[str, list[tuple[datetime, str]]] = defaultdict(list)
    for _, value in kept.records["emergency_data"]:
        event = json.loads(value)
        if event["type"] == "None":
            assert "incidentId" not in event
            assert event["status"] == "Resolved"
        else:
            assert event["type"] in INCIDENT_TYPES
            told[event["incidentId"]].add((event["type"], str(event["location"])))
            states[event["incidentId"]].append((datetime.fromisoformat(event["timestamp"]), event["status"]))
    assert len(told) > 2
    assert {len(kinds) for kinds in told.values()} == {1}
    for seen in states.values():
        ordered = [status for _, status in sorted(seen)]
        assert ("Resolved", "Active") not in set(pairwise(ordered))  # what is over stays over


@pytest.mark.parametrize("vehicles", [0, 1, 40])
def test_a_snapshot_is_a_png_with_the_vehicles_in_it(vehicles: int) -> None:
    png = base64.b64decode(snapshot_png(vehicles), validate=True)
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    at, chunks = 8, {}
    while at < len(png):
        (size,) = struct.unpack(">I", png[at : at + 4])
        name, body = png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        assert struct.unpack(">I", png[at + 8 + size : at + 12 + size]) == (zlib.crc32(name + body),)
        chunks[name] = body
        at += 12 + size
    width, height, depth, colour = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, width + 1)
    assert (depth, colour, list(chunks)) == (8, 0, [b"IHDR", b"IDAT", b"IEND"])
    assert (rows[:, 0] == 0).all()
    assert ((rows == 230).sum() > 0) == (vehicles > 0)


def test_the_truth_has_its_columns_even_where_nothing_happened(tmp_path: Path) -> None:
    Journey(SimulationSettings(3, START)).truth.write(tmp_path)
    columns = {
        "trips": ["device_id", "start_time", "end_time", "distance_km"],
        "stops": ["device_id", "start_time", "end_time", "latitude", "longitude"],
        "harsh_events": ["device_id", "kind", "start_time", "end_time", "peak_ms2"],
        "overspeed": ["device_id", "start_time", "end_time", "peak_kmh", "limit_kmh"],
    }
    tables = read_truth(tmp_path)
    assert {name: table.column_names for name, table in tables.items()} == columns
    assert not any(len(table) for table in tables.values())


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"PAR1")], ids=["absent", "damaged"])
def test_what_is_no_truth_is_refused(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    Journey(SimulationSettings(1, START)).truth.write(tmp_path)
    damage(tmp_path / "stops.parquet")
    with pytest.raises(BadInput, match=rf"not the truth of a simulation; at {tmp_path}; allowed: a folder with trips.parquet"):
        read_truth(tmp_path)


def test_a_start_without_a_zone_and_a_truth_that_cannot_be_kept_are_refused_before_anything_is_sent(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="with a time zone"):
        SimulationSettings(1, START.replace(tzinfo=None))
    (tmp_path / "file").touch()
    kept = Kept()
    with pytest.raises(BadInput, match="the truth can't be written"):
        run_simulation(SimulationSettings(1, START), kept, truth_folder=tmp_path / "file")
    assert not any(kept.records.values())
