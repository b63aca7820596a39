"""Columns of types that no contract has, added by another tool: nothing breaks, nothing of theirs is lost, no device hides."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.types import (
    DateType,
    DecimalType,
    FixedType,
    IcebergType,
    ListType,
    MapType,
    NestedField,
    StringType,
    StructType,
    TimeType,
    UUIDType,
)

from fleetlake.contracts.arrow import table_schema
from fleetlake.contracts.events import GPS
from fleetlake.contracts.tables import all_tables, bronze_of
from fleetlake.ingest.offsets import KafkaTopicState
from fleetlake.ingest.table_writer import TableWriter
from fleetlake.ingest.verify import CheckState, check_topic
from fleetlake.lake import scan
from fleetlake.lake.catalog import Lake, LakeSettings, open_lake
from fleetlake.lake.commits import commit
from fleetlake.lake.scan import expose
from fleetlake.lake.write import write_files
from fleetlake.maintain.compaction import CompactionPolicy, compact
from fleetlake.maintain.erase import erase_device
from fleetlake.maintain.erase_fields import Role, role_of
from fleetlake.maintain.erase_name import DeviceName
from fleetlake.maintain.erase_rows import examine, without, without_views
from fleetlake.serve.query import run_query
from fleetlake.transform.marker import read_marker
from fleetlake.transform.runner import run_transform
from fleetlake.transform.settings import TransformSettings
from fleetlake.workflows.erase import erase_wiring

T0 = datetime(2026, 1, 1, 8, tzinfo=UTC)
NAME, GONE, STAYS = bronze_of(GPS).name, "quokka-7", "quokka-70"
SETTINGS = TransformSettings(threads=1)
READ: dict[IcebergType, Any] = {
    DecimalType(10, 2): Decimal("1.50"), TimeType(): time(1, 2), DateType(): T0.date(),
}  # fmt: skip
LEFT_OUT: dict[IcebergType, Any] = {
    UUIDType(): uuid.UUID(int=7).bytes, FixedType(2): b"ab", ListType(9001, StringType(), False): ["a", None, "b"],
    MapType(9001, StringType(), 9002, StringType(), False): [("a", "b")],
    StructType(NestedField(9001, "x", StringType())): {"x": "a"},
}  # fmt: skip


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    uri, warehouse = f"sqlite:///{tmp_path}/catalog.db", f"file://{tmp_path}/warehouse"
    made = open_lake(LakeSettings("local", {"type": "sql", "uri": uri, "warehouse": warehouse}))
    made.ensure(all_tables())
    yield made
    made.close()


def rows(first: int, after: int) -> pa.Table:
    made = [
        {
            "kafka_partition": 0, "kafka_offset": at, "ingested_at": T0 + timedelta(days=1, seconds=at),
            "event_id": f"{(STAYS, GONE)[at % 2]}/{at}", "device_id": (STAYS, GONE)[at % 2],
            "event_time": T0 + timedelta(seconds=10 * at), "latitude": 52.0, "longitude": -1.0, "speed_kmh": 50.0,
        }
        for at in range(first, after)
    ]  # fmt: skip
    schema = table_schema(bronze_of(GPS))
    return pa.Table.from_pylist([{name: one.get(name) for name in schema.names} for one in made], schema=schema)


def add_column(lake: Lake, type_: IcebergType) -> None:
    for name in (NAME, "silver.gps", "silver.positions", "gold.trips"):
        with lake.table(name).update_schema() as update:
            update.add_column("note", type_)


def with_notes(lake: Lake, first: int, after: int, note: Any) -> None:
    """Rows with a note, as another tool may add them."""
    table = lake.table(NAME)
    notes = pa.array([note] * (after - first), table.schema().as_arrow().field("note").type)
    commit(table, added=write_files(table, rows(first, after).append_column("note", notes), folder=uuid.uuid4().hex), properties={})


def checked(lake: Lake, high: int) -> CheckState:
    marker = read_marker(lake.table("silver.gps"))
    assert marker
    source = KafkaTopicState(GPS.topic, "c", "t", {0: (0, high)})
    return check_topic(lake, GPS, source, marker.sources[NAME].offsets).state


@pytest.mark.parametrize(("type_", "note"), [*READ.items(), *LEFT_OUT.items()], ids=str)
def test_nothing_breaks_and_nothing_is_lost(lake: Lake, type_: IcebergType, note: Any) -> None:
    writer = TableWriter(lake, NAME, job="test", wait=lambda attempt: None)
    writer.take_over(KafkaTopicState(GPS.topic, "c", "t", {0: (0, 1000)}))
    writer.append([rows(0, 4)], {0: 4}, 0)
    run_transform(lake, SETTINGS)
    add_column(lake, type_)
    for first in (4, 5, 6, 7):
        writer.append([rows(first, first + 1)], {0: first + 1}, 0)
    run_transform(lake, SETTINGS)
    assert checked(lake, 8) is CheckState.OK
    with_notes(lake, 8, 10, note)
    notes = [None] * 8 + lake.table(NAME).scan().to_arrow().slice(0, 2)["note"].to_pylist()
    run_transform(lake, SETTINGS)
    assert run_query(lake, "SELECT count(*) AS n FROM bronze.gps")["n"].to_pylist() == [10]
    assert run_query(lake, "SELECT count(*) AS n FROM silver.positions")["n"].to_pylist() == [10]
    assert ("note" in run_query(lake, "SELECT * FROM bronze.gps").column_names) is (type_ in READ)
    done = compact(lake, NAME, CompactionPolicy(), wait=lambda attempt: None)
    assert (done.removed > 0, done.left_alone == "") == (type_ in READ, type_ in READ)
    kept = lake.table(NAME).scan().to_arrow().sort_by("kafka_offset")
    assert list(map(repr, kept["note"].to_pylist())) == list(map(repr, notes))
    erase_device(lake, GONE, erase_wiring())
    kept = lake.table(NAME).scan().to_arrow().sort_by("kafka_offset")
    assert kept["kafka_offset"].to_pylist() == [0, 2, 4, 6, 8]
    assert repr(kept["note"].to_pylist()[-1]) == repr(notes[-1])


def test_an_object_store_and_delete_files_go_through_arrow(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    add_column(lake, ListType(9001, StringType(), False))
    with_notes(lake, 0, 2, ["a"])
    monkeypatch.setattr(scan, "local_path", lambda location: None)
    with duckdb.connect() as con:
        expose(con, lake.table(NAME), "read")
        assert con.sql("SELECT * FROM read").fetchall()
        assert "note" not in con.sql("SELECT * FROM read").columns


NESTED = {
    "list": (ListType(9001, StringType(), False), ["a", f"by {GONE}"], ["a", "by [erased]"]),
    "map": (
        MapType(9001, StringType(), 9002, StringType(), False), [("k", "v"), (GONE, GONE)], [("k", "v"), ("[erased]", "[erased]")],
    ),
    "struct": (
        StructType(NestedField(9001, "device_id", StringType()), NestedField(9002, "x", StringType())),
        {"device_id": GONE, "x": f"{STAYS}, {GONE}"}, {"device_id": "[erased]", "x": f"{STAYS}, [erased]"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", NESTED)
def test_no_device_hides_within_another_value(lake: Lake, tmp_path: Path, kind: str) -> None:
    type_, note, masked = NESTED[kind]
    add_column(lake, type_)
    with_notes(lake, 0, 4, note)
    erased = erase_device(lake, GONE, erase_wiring())
    assert erased.remaining == ()
    assert [(table.rows, table.masked) for table in erased.tables] == [(2, {STAYS: 2})]
    assert lake.table(NAME).scan().to_arrow()["note"].to_pylist() == [masked] * 2
    for path in (tmp_path / "warehouse").rglob("*.parquet"):
        assert not re.search(f"{GONE}(?!0)", repr(pq.read_table(path).to_pylist()))


KEPT_AS = [pa.string_view(), pa.dictionary(pa.int32(), pa.string()), pa.string(), pa.large_string()]


@pytest.mark.parametrize("type_", KEPT_AS, ids=str)
def test_texts_are_found_however_their_writer_kept_them(type_: pa.DataType) -> None:
    made = pa.table({"device_id": pa.array([GONE, STAYS, None], type_), "text": pa.array(["a", f"by {GONE}", None], type_)})
    assert [role_of(name, type_) for name in made.column_names] == [Role.DEVICE, Role.TEXT]
    examined = examine(made, DeviceName(GONE))
    left = without(made.cast(without_views(made.schema)), examined)
    assert left.schema == without_views(made.schema)
    assert left.to_pylist() == [{"device_id": STAYS, "text": "by [erased]"}, {"device_id": None, "text": None}]
