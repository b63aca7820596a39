"""The transform on Spark: the same rows as DuckDB's, model by model and lake by lake, whichever engine ran before."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from pyiceberg.transforms import MonthTransform
from pyiceberg.types import ListType, StringType

from fleetlake.contracts.events import EMERGENCY, EVENTS, GPS, TRAFFIC, VEHICLE, WEATHER, Event
from fleetlake.contracts.gold import GOLD
from fleetlake.contracts.positions import POSITIONS
from fleetlake.contracts.table import Table
from fleetlake.contracts.tables import SILVER, all_tables, silver_of
from fleetlake.lake.catalog import Lake, LakeSettings, open_lake
from fleetlake.lake.commits import Conflict, commit
from fleetlake.transform.marker import read_marker
from fleetlake.transform.models import Model, relation_model, seams_model, table_model
from fleetlake.transform.native import native_engine
from fleetlake.transform.references import read_references
from fleetlake.transform.runner import TransformReport, run_transform
from fleetlake.transform.settings import Thresholds, TransformSettings
from tests.conformance.transform_lakes import T0, Rows, bronze_rows, compact, contents, ingest, simulated
from tests.s3_server import BUCKET, S3Server

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

FENCES = Path(__file__).parents[1] / "unit" / "transform" / "fences.geojson"
SETTINGS = TransformSettings(references=read_references(geofences=FENCES), threads=1)


def on_s3(server: S3Server, folder: Path) -> LakeSettings:
    catalog = {"type": "sql", "uri": f"sqlite:///{folder}/c.db", "warehouse": f"s3://{BUCKET}/warehouse"}
    return LakeSettings("lake", catalog | dict(server.properties))


def on_disk(folder: Path) -> LakeSettings:
    return LakeSettings("lake", {"type": "sql", "uri": f"sqlite:///{folder}/c.db", "warehouse": f"file://{folder}/a warehouse"})


@contextmanager
def new_lake(settings: LakeSettings) -> Iterator[Lake]:
    made = open_lake(settings)
    made.ensure(all_tables())
    yield made
    made.close()


def on_native(lake: Lake, **more: Any) -> TransformReport:
    return run_transform(lake, SETTINGS, **more)


def on_spark(session: SparkSession, lake: Lake, **more: Any) -> TransformReport:
    from fleetlake.transform.spark.engine import spark_engine

    return run_transform(lake, SETTINGS, engines=partial(spark_engine, session, lake.catalog.name), **more)


def assert_same(lake: Lake, expected: Lake) -> None:
    found = contents(lake)
    for name, rows in contents(expected).items():
        assert found[name].to_pylist() == rows.to_pylist(), name


VEHICLE_MORE = {"latitude": 52.0, "longitude": -1.0, "speed_kmh": 50.0, "direction": "N"}


def hand_made() -> tuple[Rows, Rows]:
    """GPS and vehicle rows in order of arrival, for increments of ten: what tends to go wrong, in one device or another."""
    gps: Rows = []

    def add(device_id: str, at_s: float, speed_kmh: float | None, **more: Any) -> None:
        time = T0 + timedelta(seconds=at_s)
        row = {"event_id": f"hand-{len(gps)}", "device_id": device_id, "event_time": time, "speed_kmh": speed_kmh}
        gps.append(row | {"latitude": 52.0 + at_s / 10_000, "longitude": -1.0} | more)

    for at_s in (0, 30, 60, 290, 310, 900):  # in order, with a gap that ends a trip
        add("in order", at_s, 50.0)
    for at_s in (900, 0, 60, 1200, 30, 2400):  # out of order, late
        add("out of order", at_s, 50.0)
    add("twice", 0, 50.0, event_id="again")
    add("twice", 3, 60.0, event_id="again")
    add("nowhere", 0, 50.0, latitude=None, longitude=None)
    add("nowhere", 3, None)
    add("fast", 0, 0.1 + 0.2)
    for at_s in range(0, 400, 20):  # rests at the antimeridian, drifts away by steps
        add("rests", 86_400 - 200 + at_s, 0.5, latitude=-16.5, longitude=179.9998 if at_s % 40 else -179.9998)
    for at_s in range(0, 1200, 20):
        add("creeps", at_s, 3.0, latitude=51.0 + at_s * 1e-5, longitude=0.1)
    for at_s in (0, 200, 400):  # in one instant twice, by id
        add("doubled", at_s, 0.0)
        add("doubled", at_s, 20.0, latitude=52.5)
    vehicle = [
        {**{name: row[name] for name in ("event_id", "device_id", "event_time")}, **VEHICLE_MORE, "ignition": number % 3 > 0}
        for number, row in enumerate(gps)
        if number % 2
    ]
    return gps, vehicle


def arriving(rows: Rows, start: int, *, poison: bool = True) -> Rows:
    """Rows as they come from a second partition, from offset `start` on; every seventh is preceded by a bad one."""
    made: Rows = []
    for number, row in enumerate(rows):
        if poison and number % 7 == 0:
            made.append({"reject_reason": "not_json: -: x", "payload": b"{"})
        made.append(row)
    return [
        row | {"kafka_partition": 1, "kafka_offset": offset, "ingested_at": T0 + timedelta(days=2, seconds=offset)}
        for offset, row in enumerate(made, start)
    ]


def test_every_model_gives_the_same_rows(spark: SparkSession) -> None:
    """Silver, positions, gold and all seams of 200 devices with random histories; all columns, all bits."""
    made = random_histories(200, random.Random(4))
    relations = {
        "arrived": bronze_rows(GPS, made[GPS]),
        "seen": pa.table({"event_id": [row["event_id"] for row in made[GPS][::9]]}),
        "latest": pa.table([["v1", "v2"], [T0 + timedelta(hours=1), T0]], schema=LATEST),
        **{silver_of(event).name: bronze_rows(event, rows) for event, rows in made.items()},
        **SETTINGS.references.tables,
    }
    expected, found = of_native(relations), of_spark(spark, relations)
    for name, rows in expected.items():
        assert len(rows) > 20, name
        assert found[name] == rows, name


def models() -> Iterator[tuple[str, Model, str]]:
    """Relation it makes, model, columns to compare; in the order they build on each other."""
    thresholds = Thresholds()
    yield "silver", table_model(SILVER[1], thresholds), columns_of(SILVER[1], without=("kafka_partition", "ingested_at"))
    yield "readings", relation_model("silver", "readings", thresholds), "event_id, device_id, micros(event_time), has_fix, latitude"
    yield "readings_seams", seams_model(POSITIONS, thresholds), SEAM_COLUMNS
    yield "silver.positions", table_model(POSITIONS, thresholds), columns_of(POSITIONS)
    yield "positions", relation_model("gold", "positions", thresholds), "event_id, micros(latest_time), micros(last_time)"
    yield "fixes", relation_model("gold", "fixes", thresholds), "event_id, device_id, micros(event_time), leg_m"
    for table in GOLD:
        if not table.period:
            yield f"{table.kind}_seams", seams_model(table, thresholds), SEAM_COLUMNS
        yield table.name, table_model(table, thresholds), columns_of(table)


LATEST = pa.schema([pa.field("device_id", pa.string()), pa.field("event_time", pa.timestamp("us", tz="UTC"))])


SEAM_COLUMNS = "device_id, micros(seam_time), micros(settled_from), micros(settled_until)"


def random_histories(devices: int, chance: random.Random) -> dict[Event, Rows]:
    made: dict[Event, Rows] = {event: [] for event in EVENTS}
    for device in range(devices):
        on_the_road = device % 2 == 0  # the M40; or anywhere
        at_s, latitude, longitude = 0.0, chance.uniform(-89, 89), chance.uniform(-180, 180)
        if on_the_road:
            latitude, longitude = 51.68231, -0.970955
        for number in range(40):
            at_s += chance.choice([0, 1, 3, 3, 60, 150, 299, 301, 700, 20_000 if number % 13 == 0 else 3])
            longitude += chance.choice([0, 0, 0, 0.0003, 0.001, 0.5 if number % 17 == 0 else 0.0002])
            row: dict[str, Any] = {"latitude": latitude, "longitude": (longitude + 180) % 360 - 180}
            row["speed_kmh"] = chance.choice([0.0, 0.0, 0.0, 3.5, 8.04672, 60.0, 130.0, None])
            row |= {"event_id": f"{device}/{number:02}", "device_id": f"v{device}", "event_time": T0 + timedelta(seconds=at_s)}
            peaks = {
                f"max_{name}_ms2": chance.choice([0.0, 1.0, 2.6, 3.5, None]) for name in ("acceleration", "braking", "cornering")
            }
            levels = {"fuel_level_percent": chance.choice([20.0, 50.0, 49.5, 90.0]), "odometer_km": at_s / 100}
            if chance.random() < 0.9:
                made[GPS].append(row | {"accuracy_m": chance.choice([5.0, 5.0, 500.0, None])})
            if chance.random() < 0.7:
                made[VEHICLE].append(row | peaks | levels | {"ignition": chance.random() < 0.6})
            if chance.random() < 0.3:
                made[WEATHER].append(row | {"weather_condition": chance.choice(["Rain", "Sunny", None]), "temperature_c": 3.3})
                made[EMERGENCY].append(
                    row | {"incident_type": chance.choice(["Fire", "None"]), "status": "Active", "incident_id": "i"}
                )
                made[TRAFFIC].append(
                    row
                    | {"camera_id": f"c{device % 20}", "vehicle_count": number, "average_speed_kmh": chance.choice([33.3, None])}
                )
    return {event: arriving(rows, 0, poison=False) for event, rows in made.items()}


def of_native(relations: dict[str, pa.Table]) -> dict[str, list[tuple[Any, ...]]]:
    with native_engine(SETTINGS) as engine:
        for name, rows in relations.items():
            engine.con.register(f"rows_of_{name.replace('.', '_')}", rows)
            engine.define(name, f"SELECT * FROM rows_of_{name.replace('.', '_')}")
        return of_models(engine)


def of_spark(session: SparkSession, relations: dict[str, pa.Table]) -> dict[str, list[tuple[Any, ...]]]:
    from fleetlake.transform.spark.engine import spark_engine

    with spark_engine(session, "none") as engine:
        for name, rows in relations.items():
            engine.name(name, session.createDataFrame(rows))
        return of_models(engine)


def of_models(engine: Any) -> dict[str, list[tuple[Any, ...]]]:
    found = {}
    for name, model, columns in models():
        made = f"made_{name.replace('.', '_')}"
        engine.materialise(made, model.sql, model.settings)
        engine.define(name, f"SELECT * FROM {made}")
        found[name] = sorted(engine.rows(f"SELECT {columns} FROM {made}"), key=str)
    return found


def columns_of(table: Table, without: tuple[str, ...] = ()) -> str:
    """All columns, times as microseconds, so that the engines' Python types are the same."""
    columns = [column for column in table.columns if column.name not in without]
    return ", ".join(f"micros({c.name})" if c.type == "timestamp" else c.name for c in columns)


def test_engines_that_take_turns_fill_a_lake_like_native_alone(spark: SparkSession, tmp_path: Path) -> None:
    """A simulated drive and hand-made cases, in increments; after each, all columns of all tables are compared.

    That Spark builds a lake anew, test_a_lake_on_s3 shows.
    """
    drive = simulated(vehicles=3, tick_s=20)
    gps, vehicle = hand_made()
    with new_lake(on_disk(tmp_path / "native")) as native, new_lake(on_disk(tmp_path / "both")) as both:
        shares, turns = [0.0, 0.4, 0.9, 1.0], ["native", "spark", "native"]
        for number, turn in enumerate(turns):
            kinds = EVENTS if number == 0 else (GPS, VEHICLE)
            arrived = {event: part_of(drive[event], shares[number], shares[number + 1]) for event in kinds}
            hand = {GPS: gps[number :: len(turns)], VEHICLE: vehicle[number :: len(turns)]}
            for lake in (native, both):
                ingest(lake, arrived)
                ingest(lake, {event: bronze_rows(event, arriving(rows, number * 1000)) for event, rows in hand.items()})
                if turn == "spark":
                    compact(lake, GPS)
            report = on_spark(spark, both) if turn == "spark" else on_native(both)
            assert report == on_native(native), "the same counts"
            assert_same(both, native)
            assert markers(both) == markers(native)
        assert all(counts.rebuilt is False for counts in (*report.silver, *report.derived))


def part_of(rows: pa.Table, start: float, end: float) -> pa.Table:
    first, last = int(rows.num_rows * start), int(rows.num_rows * end)
    return rows.slice(first, last - first)


def markers(lake: Lake) -> list[tuple[str, list[Any]]]:
    found = []
    for table in (*SILVER, POSITIONS, *GOLD):
        marker = read_marker(lake.table(table.name))
        assert marker is not None
        found.append((marker.definition, [source.offsets for source in marker.sources.values()]))
    return found


def fixes(first: int, count: int) -> pa.Table:
    rows = [
        {"event_id": f"e{n}", "device_id": "v1", "event_time": T0 + timedelta(seconds=3 * n), "speed_kmh": 50.0,
         "latitude": 52.0, "longitude": n / 1000}
        for n in range(first, first + count)
    ]  # fmt: skip
    return bronze_rows(GPS, arriving(rows, first, poison=False))


def test_a_lost_race_leaves_neither_rows_nor_files(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fleetlake.transform.spark import engine

    written = engine.write_files
    attempts: list[int] = []

    def overtaken(*arguments: Any) -> Any:
        attempts.append(1)
        commit(lake.table("silver.gps"), properties={"other": uuid.uuid4().hex})
        return written(*arguments)

    with new_lake(on_disk(tmp_path)) as lake:
        ingest(lake, {GPS: fixes(0, 5)})
        with monkeypatch.context() as patch:
            patch.setattr(engine, "write_files", overtaken)
            with pytest.raises(Conflict):
                run_transform(lake, TransformSettings(attempts=2), engines=partial(engine.spark_engine, spark, lake.catalog.name))
        assert len(attempts) == 2
        assert [path for path in (tmp_path / "a warehouse" / "silver").rglob("data/**/*") if path.is_file()] == []
        assert on_spark(spark, lake).silver[1].inserted == 5


def test_tables_that_another_tool_has_changed(spark: SparkSession, tmp_path: Path) -> None:
    """Other partition specs, and a column of a type that no contract has: the files go on saying what day they are of."""
    with new_lake(on_disk(tmp_path)) as lake:
        ingest(lake, {GPS: fixes(0, 5)})
        on_spark(spark, lake)
        for name in ("silver.gps", "silver.positions"):
            with lake.table(name).update_spec() as spec:
                spec.remove_field("event_time_day")
                spec.add_field("event_time", MonthTransform(), "event_month")
            with lake.table(name).update_schema() as schema:
                schema.add_column("note", ListType(9001, StringType(), False))
        ingest(lake, {GPS: fixes(5, 5)})
        on_spark(spark, lake)
        for name in ("silver.gps", "silver.positions"):
            table = lake.table(name)
            assert table.scan(row_filter="event_time < '2026-01-02T00:00:00+00:00'").to_arrow().num_rows == 10
            assert {task.file.spec_id for task in table.scan().plan_files()} == {0}


def test_nothing_new_makes_no_commit(spark: SparkSession, tmp_path: Path) -> None:
    with new_lake(on_disk(tmp_path)) as lake:
        ingest(lake, {GPS: fixes(0, 5)})
        on_native(lake)
        before = {name: lake.table(name).metadata.current_snapshot_id for name in lake.names()}
        assert sum(counts.read for counts in on_spark(spark, lake).silver) == 0
        assert {name: lake.table(name).metadata.current_snapshot_id for name in lake.names()} == before


def test_a_lake_on_s3(spark: SparkSession, s3: S3Server, tmp_path: Path) -> None:
    """Files are written where Hadoop says s3a:// and committed where Iceberg says s3://; test_aws_profile.py goes on with such."""
    with new_lake(on_s3(s3, tmp_path / "s3")) as lake, new_lake(on_disk(tmp_path / "disk")) as native:
        for first, count, full in ((0, 20, False), (20, 5, True), (25, 5, False)):
            for each in (lake, native):
                ingest(each, {GPS: fixes(first, count)})
            report = on_spark(spark, lake, full=True) if full else on_native(lake)
            assert report == on_native(native, full=full)
            assert_same(lake, native)
        (trip,) = lake.table("gold.trips").scan().plan_files()
        assert trip.file.file_path.startswith(f"s3://{BUCKET}/")


def test_the_command(tmp_path: Path) -> None:
    """What the native engine has done is not done again by `fleetlake transform --engine spark`."""
    home = tmp_path / "home"
    home.mkdir()
    catalog = {"type": "sql", "uri": f"sqlite:///{home}/catalog.db", "warehouse": f"file://{home}/warehouse"}
    with new_lake(LakeSettings("local", catalog)) as lake:
        ingest(lake, {GPS: fixes(0, 5)})
    command = [sys.executable, "-m", "fleetlake.cli.main", "--home", str(home), "transform", "--json"]
    counts = [json.loads(subprocess.check_output([*command, *more], text=True)) for more in ((), ("--engine", "spark"))]
    assert [count["silver"][1]["inserted"] for count in counts] == [5, 0]
    assert not any(table["rebuilt"] for count in counts for layer in count.values() for table in layer)
    refused = subprocess.run([*command, "--master", "local[1]"], capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "--engine spark" in refused.stderr
