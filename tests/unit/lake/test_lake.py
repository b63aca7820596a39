"""Files, commits and scans on a real local catalog."""

import errno
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.expressions import GreaterThanOrEqual
from pyiceberg.table.update import AssertTableUUID, SetPropertiesUpdate

from fleetlake.contracts.arrow import table_schema
from fleetlake.contracts.events import GPS
from fleetlake.contracts.gold import TRIPS
from fleetlake.contracts.tables import all_tables, bronze_of
from fleetlake.foundation.errors import Missing, Retryable
from fleetlake.lake import write
from fleetlake.lake.catalog import Lake, LakeSettings, open_lake
from fleetlake.lake.commits import Conflict, commit, commit_staged
from fleetlake.lake.places import local_path
from fleetlake.lake.scan import added_files, expose, expose_added
from fleetlake.lake.write import write_files

TABLE = bronze_of(GPS)
DAY = datetime(2026, 1, 1, 23, 0, tzinfo=UTC)


def local(home: Path) -> dict[str, str]:
    return {"type": "sql", "uri": f"sqlite:///{home}/c.db", "warehouse": f"file://{home}/w"}


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    home = tmp_path / "it's a lake"  # quotes and spaces belong to paths
    made = open_lake(LakeSettings("test", local(home)))
    made.ensure([TABLE])
    yield made
    made.close()


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    yield connection
    connection.close()


def rows(first: int, after: int, start: datetime = DAY) -> pa.Table:
    n = after - first
    times = [start + timedelta(minutes=20 * i) for i in range(n)]
    columns = {name: [None] * n for name in table_schema(TABLE).names}
    return pa.table(
        columns | {"kafka_partition": [0] * n, "kafka_offset": range(first, after), "event_time": times}, table_schema(TABLE)
    )


def append(lake: Lake, first: int, after: int, folder: str) -> None:
    table = lake.table(TABLE.name)
    commit(table, added=write_files(table, rows(first, after), folder=folder), properties={"to": str(after)})


def offsets(con: duckdb.DuckDBPyConnection, view: str) -> list[int]:
    return [offset for (offset,) in con.sql(f"SELECT kafka_offset FROM {view} ORDER BY 1").fetchall()]


def test_tables_follow_from_the_contracts(lake: Lake) -> None:
    lake.ensure(all_tables())
    lake.ensure(all_tables())
    assert lake.names() == sorted(table.name for table in all_tables())
    for contract in all_tables():
        made = lake.table(contract.name)
        assert {field.name: field.required for field in made.schema().fields} == {c.name: c.required for c in contract.columns}
        assert [field.name for field in made.spec().fields] == [f"{contract.partition_by}_day"]
        assert made.metadata.format_version == 2


def test_field_ids_of_a_table_are_unique() -> None:
    for contract in all_tables():
        ids = [column.id for column in contract.columns]
        assert len(ids) == len(set(ids)), contract.name


def test_a_missing_table_is_named_with_those_there_are(lake: Lake) -> None:
    with pytest.raises(Missing, match=r"no table gold\.tirps.*bronze\.gps"):
        lake.table("gold.tirps")


def test_an_unreachable_catalog_is_one_line() -> None:
    with pytest.raises(Missing, match="can't be opened") as caught:
        open_lake(LakeSettings("broken", {"type": "sql", "uri": "sqlite:////proc/nowhere/c.db", "warehouse": "file:///tmp/w"}))
    assert "\n" not in str(caught.value)


def test_a_locked_catalog_is_one_line_whatever_it_is_asked(tmp_path: Path) -> None:
    settings = LakeSettings("test", local(tmp_path) | {"uri": f"sqlite:///{tmp_path}/c.db?timeout=0.01"})
    with closing(open_lake(settings)) as lake:
        lake.ensure([TABLE])
        with closing(sqlite3.connect(tmp_path / "c.db", isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            for question in (
                lake.names,
                partial(lake.has, TABLE.name),
                partial(lake.table, TABLE.name),
                partial(lake.ensure, [TABLE]),
                partial(open_lake, settings),
            ):
                with pytest.raises(Retryable, match=r"the catalog did not answer: .*database is locked") as caught:
                    question()
                assert "\n" not in caught.value.what
        assert lake.has(TABLE.name)


def test_files_are_split_by_day_and_sorted(lake: Lake) -> None:
    table = lake.table(TABLE.name)
    made = rows(0, 6)
    made = made.set_column(made.schema.get_field_index("event_time"), "event_time", [[*made["event_time"].to_pylist()[:5], None]])
    files = write_files(table, made, folder="x/1", sort=("kafka_offset",))
    assert [file.record_count for file in files] == [3, 2, 1]
    assert [file.file_path.rsplit("/", 1)[1] for file in files] == ["2026-01-01.parquet", "2026-01-02.parquet", "none.parquet"]
    commit(table, added=files, properties={})
    assert table.scan().count() == 6
    assert [len(list(table.scan("event_time >= '2026-01-02T00:00:00+00:00'").plan_files()))] == [1]


def test_rows_of_very_many_days_are_not_looked_through_for_each(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every day's file has its rows in their order; 30,000 filters took 9 s."""
    days, first = 30_000, datetime(1970, 1, 1, tzinfo=UTC)
    times = pa.array([first + timedelta(days=n % days) for n in range(2 * days)], pa.timestamp("us", tz="UTC"))
    names = table_schema(TABLE).names
    made = rows(0, 2 * days).set_column(names.index("event_time"), "event_time", times)
    written: list[tuple[date, pa.Table]] = []
    monkeypatch.setattr(write, "_write_file", lambda table, parts, location, day, page: written.append((day, *parts)))
    began = time.process_time()
    write_files(lake.table(TABLE.name), made, folder="x/1")
    assert time.process_time() - began < 3
    assert [day for day, _ in written] == [(first + timedelta(days=n)).date() for n in range(days)]
    assert [part["kafka_offset"].to_pylist() for _, part in written[::1000]] == [[n, n + days] for n in range(0, days, 1000)]


def test_numbers_that_repeat_are_kept_as_a_dictionary(lake: Lake) -> None:
    n, random = 20_000, np.random.default_rng(1)
    made = rows(0, n, DAY)
    made = made.set_column(made.schema.get_field_index("event_time"), "event_time", [[DAY] * n])
    for name, values in {"speed_kmh": random.integers(0, 1300, n) / 10, "latitude": random.random(n)}.items():
        made = made.set_column(made.schema.get_field_index(name), name, [values])
    (file,) = write_files(lake.table(TABLE.name), made, folder="x/1")
    group = pq.ParquetFile(file.file_path.removeprefix("file://")).metadata.row_group(0)
    columns = {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}
    assert {name: columns[name].has_dictionary_page for name in ("speed_kmh", "latitude", "event_id", "reject_reason")} == {
        "speed_kmh": True, "latitude": False, "event_id": False, "reject_reason": True,
    }  # fmt: skip
    assert columns["speed_kmh"].total_compressed_size < columns["latitude"].total_compressed_size / 2


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "no room left on the disk"),
        (OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)), "no room left on the disk"),
        (
            OSError("When completing multiple part upload: AWS Error SLOW_DOWN during CompleteMultipartUpload operation"),
            "AWS is busy",
        ),
    ],
)
def test_a_storage_that_takes_nothing_is_one_line_and_nothing_is_committed(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, error: OSError, said: str
) -> None:
    def refuse(*_: object) -> None:
        raise error

    append(lake, 0, 3, "a")
    table = lake.table(TABLE.name)
    files = write_files(table, rows(3, 5), folder="b")
    monkeypatch.setattr(table.io, "new_output", refuse)
    with pytest.raises(Retryable, match=f"{said}.*bronze.gps"):
        write_files(table, rows(5, 7), folder="c")
    with pytest.raises(Retryable, match=f"{said}.*bronze.gps"):
        commit(table, added=files, properties={})
    assert len(lake.table(TABLE.name).snapshots()) == 1


def test_a_table_that_finds_no_room_is_not_made(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as full:
        full.setattr(lake.catalog, "_write_metadata", refuse)
        with pytest.raises(Retryable, match="no room left on the disk"):
            lake.ensure([TRIPS])
    assert lake.names() == [TABLE.name]
    lake.ensure([TRIPS])
    assert lake.names() == [TABLE.name, TRIPS.name]


def test_an_error_of_the_storage_that_is_none_of_these_stays(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    table = lake.table(TABLE.name)
    monkeypatch.setattr(table.io, "new_output", refuse)
    with pytest.raises(PermissionError):
        write_files(table, rows(0, 2), folder="c")


def test_files_carry_the_contracts_field_ids(lake: Lake) -> None:
    table = lake.table(TABLE.name)
    (file,) = write_files(table, rows(0, 2), folder="x/1")
    schema = pq.read_schema(local_path(file.file_path))
    assert {f.name: int(f.metadata[b"PARQUET:field_id"]) for f in schema} == {c.name: c.id for c in TABLE.columns}


def test_a_commit_on_an_older_table_is_refused_and_changes_nothing(lake: Lake) -> None:
    stale = lake.table(TABLE.name)
    append(lake, 0, 3, "a")
    with pytest.raises(Conflict):
        commit(stale, added=write_files(stale, rows(0, 3), folder="b"), properties={"to": "wrong"})
    table = lake.table(TABLE.name)
    assert table.scan().count() == 3
    assert table.properties["to"] == "3"


def test_properties_are_in_the_snapshot_and_the_table(lake: Lake) -> None:
    table = commit(lake.table(TABLE.name), properties={"fleetlake.x": "1"})
    snapshot = table.current_snapshot()
    assert snapshot is not None
    assert snapshot.summary is not None
    assert snapshot.summary["fleetlake.x"] == table.properties["fleetlake.x"] == "1"


def test_files_can_be_replaced(lake: Lake, con: duckdb.DuckDBPyConnection) -> None:
    append(lake, 0, 2, "a")
    append(lake, 2, 4, "b")
    table = lake.table(TABLE.name)
    first = next(file for file in added_files(table, 0) if "/a/" in file.file_path)
    commit(table, added=write_files(table, rows(10, 11), folder="c"), removed=[first], properties={})
    expose(con, lake.table(TABLE.name), "bronze.gps")
    assert offsets(con, "bronze.gps") == [2, 3, 10]


def test_views_of_snapshots(lake: Lake, con: duckdb.DuckDBPyConnection) -> None:
    expose(con, lake.table(TABLE.name), "bronze.gps")
    assert con.sql("SELECT * FROM bronze.gps").columns == [column.name for column in TABLE.columns]
    assert offsets(con, "bronze.gps") == []
    append(lake, 0, 2, "a")
    first = lake.table(TABLE.name).current_snapshot()
    append(lake, 2, 4, "b")
    expose(con, lake.table(TABLE.name), "bronze.gps")
    assert offsets(con, "bronze.gps") == [0, 1, 2, 3]
    assert first is not None
    expose(con, lake.table(TABLE.name), "bronze.gps", snapshot_id=first.snapshot_id)
    assert offsets(con, "bronze.gps") == [0, 1]
    assert con.sql("SELECT typeof(event_time) FROM bronze.gps LIMIT 1").fetchall() == [("TIMESTAMP WITH TIME ZONE",)]


def test_only_what_was_added_since(lake: Lake, con: duckdb.DuckDBPyConnection) -> None:
    assert expose_added(con, lake.table(TABLE.name), "new", after_sequence=0) == 0
    append(lake, 0, 2, "a")
    read = expose_added(con, lake.table(TABLE.name), "new", after_sequence=0)
    assert offsets(con, "new") == [0, 1]
    append(lake, 2, 4, "b")
    append(lake, 4, 6, "c")
    read = expose_added(con, lake.table(TABLE.name), "new", after_sequence=read)
    assert offsets(con, "new") == [2, 3, 4, 5]
    assert expose_added(con, lake.table(TABLE.name), "new", after_sequence=read) == read
    assert offsets(con, "new") == []
    expose_added(con, lake.table(TABLE.name), "new", after_sequence=0, row_filter=GreaterThanOrEqual("kafka_offset", 4))
    assert offsets(con, "new") == [4, 5]


def test_a_column_is_found_by_its_id_after_a_rename(lake: Lake, con: duckdb.DuckDBPyConnection) -> None:
    append(lake, 0, 2, "a")
    table = lake.table(TABLE.name)
    with table.update_schema() as update:
        update.rename_column("kafka_offset", "log_offset")
    expose(con, lake.table(TABLE.name), "bronze.gps")
    assert con.sql("SELECT log_offset FROM bronze.gps ORDER BY 1").fetchall() == [(0,), (1,)]


def test_many_appends_keep_the_list_of_manifests_short_and_lose_nothing(lake: Lake, con: duckdb.DuckDBPyConnection) -> None:
    for i in range(105):
        append(lake, i, i + 1, f"f{i}")
    table = lake.table(TABLE.name)
    snapshot = table.current_snapshot()
    assert snapshot is not None
    assert snapshot.summary is not None
    assert snapshot.summary["total-records"] == "105"
    assert len(snapshot.manifests(table.io)) < 25
    assert table.scan().count() == 105
    expose_added(con, table, "new", after_sequence=100)
    assert offsets(con, "new") == [100, 101, 102, 103, 104]
    middle = table.snapshots()[49]
    expose(con, table, "old", snapshot_id=middle.snapshot_id)
    assert offsets(con, "old") == list(range(50))


def test_old_metadata_files_go(lake: Lake, tmp_path: Path) -> None:
    """The catalog's own log of versions is what is kept; each file lists all snapshots, so that they would outgrow the data."""
    for number in range(30):
        commit(lake.table(TABLE.name), properties={"number": str(number)})
    stored = lake.table(TABLE.name)
    kept = {local_path(entry.metadata_file) for entry in stored.metadata.metadata_log} | {local_path(stored.metadata_location)}
    assert {str(path) for path in tmp_path.rglob("*.metadata.json") if path.parts[-3] == GPS.kind} == kept
    assert len(kept) == 21


def test_old_metadata_files_that_another_writer_has_deleted_are_not_spoken_of(lake: Lake, caplog: pytest.LogCaptureFixture) -> None:
    """Maintenance moves no branch, so a writer's next commit lands on a table of which it has not seen the latest metadata."""
    table = lake.table(TABLE.name)
    for number in range(25):
        commit(table, properties={"number": str(number)})
    of_maintenance = SetPropertiesUpdate(updates={"other": "writer"})
    commit_staged(lake.table(TABLE.name), (AssertTableUUID(uuid=table.metadata.table_uuid),), (of_maintenance,))
    commit(table, properties={"number": "25"})
    assert lake.table(TABLE.name).properties["other"] == "writer"
    assert caplog.messages == []


def test_a_derived_table_gets_the_columns_it_lacks(lake: Lake) -> None:
    """A lake of an earlier version: the table is there, some of its columns are not yet."""
    earlier = replace(TRIPS, columns=TRIPS.columns[:-3])
    lake.ensure([earlier])
    lake.ensure([TRIPS])
    assert lake.table("gold.trips").schema().column_names == [column.name for column in TRIPS.columns]
    assert [field.field_id for field in lake.table("gold.trips").schema().fields] == [column.id for column in TRIPS.columns]
    version = lake.table("gold.trips").metadata_location
    lake.ensure([TRIPS])
    assert lake.table("gold.trips").metadata_location == version


def test_a_column_is_added_though_another_commit_was_first(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.ensure([replace(TRIPS, columns=TRIPS.columns[:-1])])
    commit_table, calls = lake.catalog.commit_table, []

    def overtaken(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise CommitFailedException("branch main has changed")
        return commit_table(*arguments)

    monkeypatch.setattr(lake.catalog, "commit_table", overtaken)
    lake.ensure([TRIPS])
    assert lake.table("gold.trips").schema().column_names[-1] == TRIPS.columns[-1].name
    assert len(calls) == 2


@pytest.mark.parametrize("dictionary", [True, False])
def test_rejects_of_one_reason_beside_good_rows(con: duckdb.DuckDBPyConnection, tmp_path: Path, dictionary: bool) -> None:
    """DuckDB 2.0.0 took all rows of such a file for good ones: its statistics show one value only."""
    table = pa.table({"reject_reason": ["not_json: -: x", None, None], "kafka_offset": [0, 1, 2]})
    pq.write_table(table, tmp_path / "rows.parquet", use_dictionary=dictionary)
    good = con.execute("SELECT kafka_offset FROM read_parquet(?) WHERE reject_reason IS NULL", [str(tmp_path / "rows.parquet")])
    assert good.fetchall() == [(1,), (2,)]
