"""Recordings of the kinds that are about, from the file to gold: replayed, decoded and transformed as behind Kafka."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from tests.conformance.transform_lakes import Kept, decoded, ingest

from fleetlake.contracts.tables import all_tables
from fleetlake.lake.catalog import LakeSettings, open_lake
from fleetlake.simulate.replay import replay_files
from fleetlake.transform.runner import run_transform
from fleetlake.transform.settings import TransformSettings

START = datetime(2025, 12, 5, 17, 30, tzinfo=UTC)  # dark in Oxfordshire
Gold = dict[str, list[dict[str, Any]]]


def gold_of(folder: Path, recording: Path, mapping: dict[str, str] | None = None) -> Gold:
    """What the tables hold after a replay of one file."""
    sink = Kept()
    replay_files([recording], mapping or {}, sink)
    lake = open_lake(LakeSettings("l", {"type": "sql", "uri": f"sqlite:///{folder}/c.db", "warehouse": f"file://{folder}/w"}))
    lake.ensure(all_tables())
    with duckdb.connect() as con:
        ingest(lake, {event: decoded(event, values, con) for event, values in sink.values.items() if values})
    run_transform(lake, TransformSettings(threads=1))
    tables = {name: lake.table(name).scan().to_arrow() for name in lake.names() if name.startswith("gold.")}
    lake.close()
    return {name: rows.sort_by(rows.schema.names[0]).to_pylist() for name, rows in tables.items()}


def test_one_hertz_with_speed_altitude_weather_and_traffic(tmp_path: Path) -> None:
    """Ten minutes on the M40 at 20 m/s, rain from the sixth on; at 300 s it brakes by 5 m/s in a second. No accelerometer."""
    lines = ["time,lat,lon,speed_ms,altitude,sky,camera,seen"]
    north = 0.0
    for second in range(600):
        speed = 15.0 if 300 <= second < 320 else 20.0
        north += speed / 111_195
        time = (START + timedelta(seconds=second)).isoformat()
        place, sky = f"{51.6842 + north / 2:.7f},{-0.9735 - north / 2:.7f}", "Rain" if second >= 360 else "Cloudy"
        lines.append(f"{time},{place},{speed},{100 + second % 7},{sky},c1,7")
    recording = tmp_path / "van.csv"
    recording.write_text("\n".join(lines))
    gold = gold_of(tmp_path, recording, {"weatherCondition": "sky", "cameraId": "camera", "vehicleCount": "seen"})
    (trip,) = gold["gold.trips"]
    assert (trip["device_id"], trip["duration_s"], trip["top_speed_kmh"]) == ("van", 599.0, 72.0)
    (event,) = gold["gold.driving_events"]
    assert (event["kind"], event["measured_by"], event["start_time"]) == ("harsh_braking", "gps", START + timedelta(seconds=300))
    assert event["peak_ms2"] == pytest.approx(5.0)
    minutes = {(row["dimension"], row["category"]): row["duration_min"] for row in gold["gold.exposure"]}
    assert minutes["weather", "Rain"] == pytest.approx(4.0)
    assert minutes["weather", "Cloudy"] == pytest.approx(599 / 60 - 4)
    assert minutes["light", "night"] == pytest.approx(599 / 60)
    (camera,) = gold["gold.camera_traffic"]
    assert (camera["camera_id"], camera["pictures"], camera["mean_vehicle_count"], camera["flow_per_h"]) == ("c1", 600, 7.0, None)


def test_a_gpx_track_without_speeds(tmp_path: Path) -> None:
    """Out at 10 m/s for five minutes, ten minutes' rest, and back: speeds follow from positions, and no event is made of them."""
    points, north = [], 0.0
    for second in range(0, 1200, 2):
        north += 20.0 if second < 300 else 0.0 if second < 900 else -20.0
        time = (START + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%SZ")
        points.append(f'<trkpt lat="{52 + north / 111_195:.7f}" lon="-1.0"><ele>90</ele><time>{time}</time></trkpt>')
    recording = tmp_path / "bike.gpx"
    recording.write_text(
        f'<gpx version="1.1" creator="t" xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>{"".join(points)}</trkseg></trk></gpx>'
    )
    gold = gold_of(tmp_path, recording)
    trips = sorted(gold["gold.trips"], key=lambda trip: trip["start_time"])
    assert [round(trip["distance_km"], 1) for trip in trips] == [3.0, 3.0]
    (stop,) = gold["gold.stops"]
    assert stop["duration_s"] == pytest.approx(600, abs=4)
    assert gold["gold.driving_events"] == []
    assert [row["score"] for row in gold["gold.driver_scores"]] == [100.0, 100.0]


def test_irregular_fixes_20_to_60_seconds_apart(tmp_path: Path) -> None:
    """A bus: 12 m/s between stops, four minutes at a terminus, positions only."""
    at, metres, lines = 0, 0.0, ["vehicle_id,timestamp,latitude,longitude"]
    for number in range(60):
        lines.append(f"7,{(START + timedelta(seconds=at)).isoformat()},{53.4 + metres / 111_195:.6f},-2.99")
        step = (20, 35, 60, 25)[number % 4]
        at, metres = at + step, metres + (0.0 if 30 <= number < 36 else 12.0 * step)
    recording = tmp_path / "bus.csv"
    recording.write_text("\n".join(lines))
    gold = gold_of(tmp_path, recording)
    (trip,) = gold["gold.trips"]
    assert trip["distance_km"] == pytest.approx((metres - 12.0 * 25) / 1000, rel=0.01)
    assert (trip["start_place"], len(gold["gold.stops"])) == ("Liverpool", 1)
    assert sum(day["distance_km"] for day in gold["gold.fleet_day"]) == pytest.approx(trip["distance_km"])
