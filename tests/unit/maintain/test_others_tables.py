"""Tables of the user's own in the catalog: maintenance leaves them alone, an erasure takes the device out of them, ours first."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import Table as IcebergTable
from pyiceberg.transforms import BucketTransform, DayTransform, IdentityTransform
from pyiceberg.typedef import Record
from pyiceberg.types import NestedField, StringType, TimestamptzType
from test_erase import GONE, GPS, NO_BYTE, STAYS, fill, holders, ingest, row

from fleetlake.cli.main import main
from fleetlake.foundation.errors import Missing, Unproven
from fleetlake.lake.catalog import Lake
from fleetlake.lake.commits import commit
from fleetlake.lake.partitions import Partition
from fleetlake.lake.write import describe_file
from fleetlake.maintain import erase_attempts
from fleetlake.maintain.compaction import CompactionPolicy, compact
from fleetlake.maintain.erase import count_device, erase_device
from fleetlake.maintain.erase_rows import without_times
from fleetlake.maintain.orphans import delete_orphans
from fleetlake.workflows.erase import ErasureReport, erase_wiring, require_gone

NOTES = "analytics.notes"
GPS_TABLE = "bronze.gps"
SCHEMA = Schema(NestedField(1, "device_id", StringType()), NestedField(2, "note", StringType()))
ROWS = pa.table({"device_id": [GONE, STAYS], "note": ["x", f"after {GONE}"]})


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    made = fill(tmp_path, transformed=False)
    made.catalog.create_namespace("analytics")
    yield made
    made.close()


def make(lake: Lake, name: str = NOTES, by: str = "", **properties: str) -> IcebergTable:
    """A table of two files, of which each has a row of the device."""
    spec = PartitionSpec(PartitionField(SCHEMA.find_field(by).field_id, 1000, IdentityTransform(), by)) if by else PartitionSpec()
    lake.catalog.create_table(name, SCHEMA, partition_spec=spec, properties=properties)
    for _ in range(2):
        lake.table(name).append(ROWS)
    return lake.table(name)


def rows_of(lake: Lake, name: str) -> list[tuple[str, str]]:
    return sorted((one["device_id"], one["note"]) for one in lake.table(name).scan().to_arrow().to_pylist())


LEFT = [(STAYS, "after [erased]")] * 2


@pytest.mark.parametrize("by", ["", "device_id", "note"])
def test_the_device_goes_from_a_table_of_the_users_own(lake: Lake, tmp_path: Path, by: str) -> None:
    make(lake, by=by)
    counted = count_device(lake, GONE)
    erased = erase_device(lake, GONE, erase_wiring())
    assert erased.tables[0].table == "bronze.gps"
    assert [(one.table, one.rows, one.masked) for one in erased.tables] == [(o.table, o.rows, o.masked) for o in counted.tables]
    assert (erased.tables[-1].table, erased.tables[-1].rows, erased.tables[-1].masked) == (NOTES, 2, {STAYS: 2})
    assert (erased.remaining, erased.left) == ((), ())
    assert rows_of(lake, NOTES) == LEFT
    assert holders(tmp_path) == set()
    assert not [path for path in (tmp_path / "warehouse").rglob("*.parquet") if NO_BYTE.search(str(path).encode())]
    value = {"": None, "device_id": STAYS, "note": "after [erased]"}[by]
    assert {tuple(task.file.partition._data) for task in lake.table(NOTES).scan().plan_files()} == {(value,) if by else ()}
    if by:
        assert lake.table(NOTES).scan(row_filter=f"{by} = '{value}'").to_arrow().num_rows == 2
    with pytest.raises(Missing):
        erase_device(lake, GONE, erase_wiring())


def by_bucket_of_note(lake: Lake) -> str:
    """Each masked text may belong to another bucket: that can't be said in one file's partition."""
    spec = PartitionSpec(PartitionField(2, 1000, BucketTransform(2), "bucket"))
    lake.catalog.create_table(NOTES, SCHEMA, partition_spec=spec)
    table = lake.table(NOTES)
    location = f"{table.location()}/data/one.parquet"
    output = table.io.new_output(location)

    with output.create() as stream:
        pq.write_table(ROWS.cast(SCHEMA.as_arrow()), stream)
    footer = pq.read_metadata(location.removeprefix("file://"))
    commit(table, added=[describe_file(table, location, Partition(0, Record(1)), footer, len(output))], properties={})
    return "partitioned"


def with_kept_files(lake: Lake) -> str:
    make(lake, **{"gc.enabled": "false"})
    return "gc.enabled is false"


def of_version_1(lake: Lake) -> str:
    make(lake, **{"format-version": "1"})
    return "format version 1"


def with_a_missing_file(lake: Lake) -> str:
    table = make(lake)
    for task in table.scan().plan_files():
        Path(task.file.file_path.removeprefix("file://")).unlink()
    return "missing or damaged"


def without_its_metadata(lake: Lake) -> str:
    Path(make(lake).metadata_location.removeprefix("file://")).unlink()
    return "metadata"


@pytest.mark.parametrize("spoil", [by_bucket_of_note, with_kept_files, of_version_1, with_a_missing_file, without_its_metadata])
def test_a_table_that_it_can_not_be_taken_out_of_is_named_and_ours_are_rid_of_it(lake: Lake, spoil: Any) -> None:
    reason = spoil(lake)
    make(lake, "analytics.other")
    erased = erase_device(lake, GONE, erase_wiring())
    assert [one.table for one in erased.left] == [NOTES]
    assert reason in erased.left[0].reason
    for name in ("bronze.gps", "bronze.traffic_camera"):
        assert not NO_BYTE.search(repr(lake.table(name).scan().to_arrow().to_pylist()).encode())
        assert len(lake.table(name).snapshots()) == 1
    assert rows_of(lake, "analytics.other") == LEFT
    with pytest.raises(Unproven, match=r"1 tables that are none of fleetlake's .* analytics\.notes"):
        require_gone(ErasureReport(GONE, False, erased, (), (), ()))


def test_whatever_a_reader_makes_of_such_a_table_the_erasure_goes_on(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    make(lake)
    real = erase_attempts.count_rows

    def count_rows(table: IcebergTable, *given: Any) -> Any:
        if table.name()[0] == "analytics":
            raise NotImplementedError("no such thing")
        return real(table, *given)

    monkeypatch.setattr(erase_attempts, "count_rows", count_rows)
    erased = erase_device(lake, GONE, erase_wiring())
    assert [(one.table, one.reason) for one in erased.left] == [(NOTES, "NotImplementedError: no such thing")]
    assert lake.table("bronze.gps").scan(row_filter=f"device_id = '{GONE}'").to_arrow().num_rows == 0
    assert any(NOTES.replace(".", "/") in path for path in erased.remaining)


def test_nothing_unused_is_deleted_as_long_as_a_table_does_not_tell_its_files(lake: Lake, tmp_path: Path) -> None:
    """A table that was renamed lies in the folder of the one that took its place."""

    location = Path(lake.table("bronze.gps").location().removeprefix("file://"))
    lake.catalog.rename_table("bronze.gps", "analytics.gps_before")
    files = set(location.rglob("*.parquet"))
    for path in files:
        os.utime(path, (0, 0))
    lake.catalog.create_table("bronze.gps", lake.table("silver.gps").schema(), location=f"file://{location}")
    Path(lake.table("analytics.gps_before").metadata_location.removeprefix("file://")).unlink()
    erased = erase_device(lake, GONE, erase_wiring())
    assert set(location.rglob("*.parquet")) >= files
    assert [one.table for one in erased.left] == ["analytics.gps_before"]
    assert erased.remaining


def by_day_with_other_columns(lake: Lake) -> str:
    """As the user's own gold: in our layer, partitioned as ours are."""
    schema = Schema(NestedField(1, "day", TimestamptzType()), NestedField(2, "km", StringType()))
    spec = PartitionSpec(PartitionField(1, 1000, DayTransform(), "day_day"))
    lake.catalog.create_namespace_if_not_exists("gold")
    lake.catalog.create_table("gold.my_daily", schema, partition_spec=spec)
    return "gold.my_daily"


def test_compaction_leaves_them_alone(lake: Lake) -> None:
    make(lake)
    for name in (NOTES, by_day_with_other_columns(lake)):
        before = lake.table(name).metadata
        done = compact(lake, name, CompactionPolicy(), wait=lambda attempt: None)
        assert (done.removed, done.left_alone) == (0, "it is none of fleetlake's tables")
        assert lake.table(name).metadata == before


def test_commands_leave_them_alone_unless_they_are_named(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def command(*arguments: str) -> str:
        monkeypatch.setattr("sys.argv", ["fleetlake", "--home", str(tmp_path), "maintain", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        assert not end.value.code
        return capsys.readouterr().out

    make(lake)
    for offset in range(100, 104):
        ingest(lake, [row(offset, STAYS)], GPS)
    stray = Path(lake.table(NOTES).location().removeprefix("file://"), "data", "stray.parquet")
    stray.write_bytes(b"theirs")

    os.utime(stray, (0, 0))
    before = lake.table(NOTES).metadata
    (notes, gps) = (one for one in json.loads(command("compact", "--json")) if one["table"] in (NOTES, "bronze.gps"))
    assert (notes["left_alone"], gps["removed"] > 1) == ("it is none of fleetlake's tables", True)
    told = command("expire", "--keep", "1", "--keep-hourly", "0", "--reading", "0")
    assert f"{NOTES}: left alone, it is none of fleetlake's tables; --table" in told
    assert f"{NOTES}: left alone" in command("orphans")
    assert (stray.exists(), lake.table(NOTES).metadata) == (True, before)
    assert f"{NOTES}: 1 orphans deleted" in command("orphans", "--table", NOTES)
    assert not stray.exists()


def test_a_table_that_can_not_be_read_leaves_unused_files_alone_and_says_so(lake: Lake, tmp_path: Path) -> None:
    make(lake)
    stray = tmp_path / "warehouse" / "bronze" / "gps" / "data" / "stray.parquet"
    stray.write_bytes(b"12345")
    os.utime(stray, (0, 0))
    Path(lake.table(NOTES).metadata_location.removeprefix("file://")).unlink()
    found = delete_orphans(lake, GPS_TABLE, timedelta(days=3), wait=lambda attempt: None)
    assert (found.deleted, found.files) == (0, ())
    assert f"{NOTES}, which may have files there, can't be read" in found.left_alone
    assert stray.exists()


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (pa.timestamp("us"), [300_000_000_000_000_000]),
        (pa.date32(), [3_000_000]),
        (pa.struct([("note", pa.string()), ("at", pa.timestamp("us"))]), [{"note": GONE, "at": 300_000_000_000_000_000}]),
        (pa.struct([("note", pa.string()), ("at", pa.timestamp("ns"))]), [{"note": GONE, "at": 1_500_000_000_123_456_789}]),
        (pa.map_(pa.string(), pa.timestamp("ns")), [[("note", 1_500_000_000_123_456_789)]]),
    ],
)
@pytest.mark.parametrize("statistics", [True, False])
def test_a_file_of_anybodys_with_times_that_python_has_not_stops_no_erasure(
    lake: Lake, tmp_path: Path, column: pa.DataType, values: list[Any], statistics: bool
) -> None:
    other = tmp_path / "warehouse" / "other" / "x.parquet"
    other.parent.mkdir()
    pq.write_table(pa.table({"odd": pa.array(values, without_times(column)).cast(column)}), other, write_statistics=statistics)
    erased = erase_device(lake, GONE, erase_wiring())
    assert erased.remaining == ()
    assert list(erased.foreign) == ([str(other)] if GONE in str(values) else [])
