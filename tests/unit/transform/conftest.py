"""The models run on rows, without a lake."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

import duckdb
import pyarrow as pa
import pytest
from transform_rows import Rows

from fleetlake.contracts.gold import GOLD
from fleetlake.transform.models import table_model
from fleetlake.transform.native import native_engine
from fleetlake.transform.settings import Thresholds, TransformSettings

FIX_SCHEMA = pa.schema(
    [
        pa.field("device_id", pa.string()),
        pa.field("event_time", pa.timestamp("us", tz="UTC")),
        pa.field("event_id", pa.string()),
        pa.field("latitude", pa.float64()),
        pa.field("longitude", pa.float64()),
        pa.field("speed_kmh", pa.float64()),
        pa.field("ignition", pa.bool_()),
        pa.field("latest_time", pa.timestamp("us", tz="UTC")),
    ]
)


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with native_engine(TransformSettings(threads=2)) as engine:
        yield engine.con


@pytest.fixture
def episodes(con: duckdb.DuckDBPyConnection) -> Callable[[str, Rows], Rows]:
    """Runs the model of gold.<kind> on fixes; its rows by device and start."""

    def run(kind: str, fixes: Rows) -> Rows:
        latest: dict[str, datetime] = {}
        for row in fixes:
            latest[row["device_id"]] = max(row["event_time"], latest.get(row["device_id"], row["event_time"]))
        complete = [row | {"latest_time": latest[row["device_id"]]} for row in fixes]
        con.register("fixes", pa.Table.from_pylist(complete, schema=FIX_SCHEMA))
        model = table_model(next(table for table in GOLD if table.kind == kind), Thresholds())
        rows: Rows = con.sql(model.sql, params=model.settings).to_arrow_table().to_pylist()
        return sorted(rows, key=lambda row: (row["device_id"], row["start_time"]))

    return run
