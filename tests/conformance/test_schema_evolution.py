"""Producers and lakes of other versions of the contracts: what docs/contracts.md says becomes of their records and tables.

What Spark makes of the same records is in test_decoding.py, of the same tables in test_engines.py: their sessions are up already.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from fleetlake.contracts.columns import Column, Type
from fleetlake.contracts.events import GPS, VEHICLE
from fleetlake.contracts.table import Table
from fleetlake.contracts.tables import bronze_of, silver_of
from fleetlake.foundation.errors import BadInput
from fleetlake.ingest.decode import RAW_SCHEMA, Decoder
from fleetlake.lake.catalog import Lake, LakeSettings, open_lake
from fleetlake.lake.commits import commit
from fleetlake.lake.scan import expose
from fleetlake.lake.write import write_files
from tests.event_documents import check_rows
from tests.other_producers import EXPECTED, records_of_other_producers

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BATTERY = Column("battery_v", Type.DOUBLE, "Voltage of the battery", "V")
BRONZE = bronze_of(GPS)
LATER = replace(BRONZE, columns=(*BRONZE.columns, BATTERY))


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    made = open_lake(
        LakeSettings("evolving", {"type": "sql", "uri": f"sqlite:///{tmp_path}/c.db", "warehouse": f"file://{tmp_path}/warehouse"})
    )
    yield made
    made.close()


def append(lake: Lake, table: Table, offset: int, **values: object) -> None:
    """One row, as the version whose contract `table` is would write it."""
    columns = {"kafka_partition": 0, "kafka_offset": offset, "event_time": NOW, **values}
    stored = lake.table(table.name)
    types = {field.name: field.type for field in stored.schema().as_arrow()}
    row = pa.table({column.name: pa.array([columns.get(column.name)], types[column.name]) for column in table.columns})
    commit(stored, added=write_files(stored, row, folder=f"test/{offset}"), properties={})


def read(lake: Lake, table: Table, *columns: str) -> list[tuple[object, ...]]:
    with duckdb.connect() as con:
        expose(con, lake.table(table.name), "stored")
        return con.execute(f"SELECT kafka_offset, {', '.join(columns)} FROM stored ORDER BY kafka_offset").fetchall()


def test_records_of_other_producers_natively() -> None:
    n, records = len(EXPECTED), records_of_other_producers()
    raw = pa.table([[0] * n, list(range(n)), [NOW] * n, records], schema=RAW_SCHEMA)
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        rows = check_rows(VEHICLE, records, Decoder(VEHICLE, con).decode(raw, NOW), NOW)
    assert [row["reject_reason"] for row in rows] == list(EXPECTED.values())


def test_old_and_new_versions_write_side_by_side(lake: Lake) -> None:
    lake.ensure([BRONZE])
    append(lake, BRONZE, 0, speed_kmh=1.0)
    before = lake.table(BRONZE.name)
    lake.ensure([LATER])
    after = lake.table(BRONZE.name)
    assert before.current_snapshot() == after.current_snapshot()
    assert after.schema().find_field("battery_v").field_id == len(LATER.columns), "the contract's own number"
    assert not after.schema().find_field("battery_v").required
    append(lake, LATER, 1, battery_v=12.5)
    append(lake, BRONZE, 2, speed_kmh=3.0)
    lake.ensure([BRONZE])  # the old version starts again and takes nothing away
    assert read(lake, BRONZE, "speed_kmh", "battery_v") == [(0, 1.0, None), (1, None, 12.5), (2, 3.0, None)]
    lake.ensure([LATER])
    assert lake.table(BRONZE.name).schema() == after.schema()


def test_a_writer_that_loaded_the_table_before_the_change_lands_its_rows(lake: Lake) -> None:
    lake.ensure([BRONZE])
    stale = lake.table(BRONZE.name)
    lake.ensure([LATER])
    row = pa.table(
        {f.name: pa.array([{"kafka_partition": 0, "kafka_offset": 7}.get(f.name)], f.type) for f in stale.schema().as_arrow()}
    )
    commit(stale, added=write_files(stale, row, folder="stale"), properties={})
    assert read(lake, BRONZE, "battery_v") == [(7, None)]


def test_a_wider_type_and_a_column_that_may_be_null_now(lake: Lake) -> None:
    lake.ensure([BRONZE, silver_of(VEHICLE)])
    append(lake, BRONZE, 0, satellites=7)
    wider = replace(BRONZE, columns=tuple(replace(c, type=Type.LONG) if c.name == "satellites" else c for c in BRONZE.columns))
    lake.ensure([wider])
    append(lake, wider, 1, satellites=2**40)
    append(lake, BRONZE, 2, satellites=9)
    lake.ensure([BRONZE])  # an older version takes a wider column as it is
    assert read(lake, BRONZE, "satellites") == [(0, 7), (1, 2**40), (2, 9)]
    silver = silver_of(VEHICLE)
    without = tuple(column for column in silver.columns if column.name != "longitude")
    relaxed = tuple(replace(column, required=False) if column.name == "latitude" else column for column in without)
    lake.ensure([replace(silver, columns=relaxed)])
    schema = lake.table(silver.name).schema()
    assert [schema.find_field(name).required for name in ("latitude", "longitude", "device_id")] == [False, False, True]


@pytest.mark.parametrize("kind", [Type.DOUBLE, Type.STRING])
def test_a_type_iceberg_can_not_change_is_refused_and_nothing_is_changed(lake: Lake, kind: Type) -> None:
    lake.ensure([BRONZE])
    other = replace(LATER, columns=tuple(replace(c, type=kind) if c.name == "satellites" else c for c in LATER.columns))
    with pytest.raises(BadInput, match=rf"column satellites is int in the table and {kind}.*bronze.gps.*allowed: int to long"):
        lake.ensure([other])
    assert "battery_v" not in lake.table(BRONZE.name).schema().column_names
