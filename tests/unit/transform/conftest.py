"""The models run on rows, without a lake."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import duckdb
import pyarrow as pa
import pytest
from transform_rows import Rows

from fleetlake.contracts.arrow import table_schema
from fleetlake.contracts.events import EMERGENCY, GPS, VEHICLE, WEATHER, Event
from fleetlake.contracts.gold import GOLD
from fleetlake.contracts.positions import POSITIONS
from fleetlake.contracts.table import Table
from fleetlake.contracts.tables import all_tables, silver_of
from fleetlake.transform.models import Model, relation_model, table_model
from fleetlake.transform.native import NativeEngine, native_engine
from fleetlake.transform.settings import Thresholds, TransformSettings
from fleetlake.transform.sources import material_of

SETTINGS = TransformSettings(threads=2)
READING_SCHEMA = pa.schema(
    [
        *(field for field in table_schema(POSITIONS) if field.name in table_schema(POSITIONS).names[:16]),
        pa.field("ingested_at", pa.timestamp("us", tz="UTC")),
        pa.field("has_fix", pa.bool_()),
    ]
)


@pytest.fixture(scope="module")
def engine() -> Iterator[NativeEngine]:
    with native_engine(SETTINGS) as made:
        for event in (WEATHER, EMERGENCY):
            fill(made, f"silver.{event.kind}", [], table_schema(silver_of(event)))
        for name, rows in SETTINGS.references.tables.items():
            made.load(name, rows)
        yield made


@pytest.fixture
def con(engine: NativeEngine) -> duckdb.DuckDBPyConnection:
    return engine.con


@pytest.fixture
def judge(engine: NativeEngine) -> Callable[..., Rows]:
    """Runs the model of silver.positions on readings, as transform_rows.fix makes them; its rows by device, time and id."""

    def run(
        readings: Rows,
        thresholds: Thresholds = Thresholds(),  # noqa: B008  # frozen
        *,
        weather: Rows = [],  # noqa: B006  # not changed
        incidents: Rows = [],  # noqa: B006
    ) -> Rows:
        fill(engine, "readings", complete(readings), READING_SCHEMA)
        fill_events(engine, WEATHER, weather)
        fill_events(engine, EMERGENCY, incidents)
        return sorted(run_model(engine, table_model(POSITIONS, thresholds)), key=lambda row: tuple(map(str, by_time(row))))

    return run


@pytest.fixture
def read(engine: NativeEngine) -> Callable[..., Rows]:
    """Joins rows of silver.gps and silver.vehicle, as transform_rows.fix makes them, to readings; by device, time and id."""

    def run(gps: Rows, vehicle: Rows) -> Rows:
        fill_events(engine, GPS, gps)
        fill_events(engine, VEHICLE, vehicle)
        rows = run_model(engine, relation_model("silver", "readings", Thresholds()))
        return sorted(rows, key=lambda row: tuple(map(str, by_time(row))))

    return run


@pytest.fixture
def periods(engine: NativeEngine) -> Callable[..., Rows]:
    """Runs the model of a gold table of devices and periods on the rows of what it reads, by name; columns they lack are null."""

    def run(kind: str, relations: Mapping[str, Rows], thresholds: Thresholds = Thresholds()) -> Rows:  # noqa: B008  # frozen
        table = gold_table(kind)
        for name in table.reads:
            fill(engine, name, relations.get(name, []), table_schema(next(read for read in all_tables() if read.name == name)))
        rows = run_model(engine, table_model(table, thresholds))
        return sorted(rows, key=lambda row: [row[column] for column in table.sort])

    return run


@pytest.fixture
def episodes(engine: NativeEngine, judge: Callable[..., Rows]) -> Callable[..., Rows]:
    """Runs the model of gold.<kind> on fixes, judged; its rows by device and start."""

    def run(kind: str, fixes: Rows, thresholds: Thresholds = Thresholds()) -> Rows:  # noqa: B008  # frozen
        expose_positions(engine, judge(fixes, thresholds))
        table = gold_table(kind)
        material = material_of(table, thresholds)
        engine.define("positions", material.model.sql)
        material.define_views(engine)
        rows = run_model(engine, table_model(table, thresholds))
        return sorted(rows, key=lambda row: (row["device_id"], row[table.partition_by], row[table.columns[0].name]))

    return run


def by_time(row: dict[str, object]) -> tuple[object, ...]:
    return row["device_id"], row["event_time"], row["event_id"]


def gold_table(kind: str) -> Table:
    return next(table for table in GOLD if table.kind == kind)


def complete(readings: Rows) -> Rows:
    """With what a reading always has; they arrive when they are measured unless they say otherwise."""
    return [
        {"ingested_at": row["event_time"], "has_fix": row.get("latitude") is not None, "is_speed_derived": False} | row
        for row in readings
    ]


def fill_events(engine: NativeEngine, event: Event, rows: Rows) -> None:
    """Makes the silver table of an event."""
    fill(engine, f"silver.{event.kind}", [{"ingested_at": row["event_time"]} | row for row in rows], table_schema(silver_of(event)))


def expose_positions(engine: NativeEngine, rows: Rows) -> None:
    """Makes the relation silver.positions."""
    fill(engine, "silver.positions", rows, table_schema(POSITIONS))


def fill(engine: NativeEngine, name: str, rows: Rows, schema: pa.Schema) -> None:
    """Makes a relation `name` of rows; columns they lack are null."""
    relation = f"rows_of_{name.replace('.', '_')}"
    engine.con.register(relation, pa.Table.from_pylist(rows, schema=schema))
    engine.define(name, f"SELECT * FROM {relation}")


def run_model(engine: NativeEngine, model: Model) -> Rows:
    rows: Rows = engine.con.sql(model.sql, params=model.settings).to_arrow_table().to_pylist()
    return rows
