"""SQL over the lake: what it can read, what it can't do, and how it says so."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fleetlake.foundation.errors import BadInput, Missing
from fleetlake.lake.catalog import Lake
from fleetlake.lake.places import local_path
from fleetlake.lake.scan import Damaged, expose
from fleetlake.serve import query
from fleetlake.serve.as_of import Moment
from fleetlake.serve.page import collect_drives
from fleetlake.serve.query import run_query
from fleetlake.serve.reports import REPORTS, read_report

T0 = datetime(2026, 1, 1, 8, tzinfo=UTC)
FIX = {
    "kafka_partition": 0, "kafka_offset": 1, "kafka_timestamp": T0, "ingested_at": T0, "event_id": "e1", "device_id": "v0",
    "event_time": T0, "is_late": False, "late_by_s": 0.0, "latitude": 51.5, "longitude": -0.1,
}  # fmt: skip


def next_millisecond() -> None:
    """Snapshots carry milliseconds: what is committed after this has a later one."""
    now = time.time_ns() // 1_000_000
    while time.time_ns() // 1_000_000 <= now:
        pass


def values(lake: Lake, sql: str, as_of: str | None = None) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in run_query(lake, sql, as_of).to_pylist()]


def test_tables_go_by_their_names(lake: Lake, history: Any) -> None:
    history.gps(1, 2, 3)
    history.trip(0)
    assert values(lake, "SELECT count(*), max(speed_kmh) FROM bronze.gps") == [(3, 30.0)]
    joined = 'SELECT g.kafka_offset FROM Bronze.GPS g, "gold"."trips" t WHERE EXISTS (FROM bronze.gps) ORDER BY 1'
    assert values(lake, joined) == [(1,), (2,), (3,)]
    assert values(lake, "WITH a AS (SELECT 1 AS x) SELECT x FROM a") == [(1,)]


def test_an_empty_table_has_its_columns(lake: Lake) -> None:
    assert values(lake, "SELECT * FROM silver.gps") == []
    described = {row[0]: row[1] for row in values(lake, "DESCRIBE silver.gps")}
    assert described["event_time"] == "TIMESTAMP WITH TIME ZONE"
    assert described["is_late"] == "BOOLEAN"


def test_times_are_utc(lake: Lake, history: Any) -> None:
    history.gps(0)
    assert values(lake, "SELECT CAST(event_time AS VARCHAR) FROM bronze.gps") == [("2026-01-01 08:00:00+00",)]


def test_show_tables_lists_all(lake: Lake) -> None:
    assert values(lake, "show tables;") == [(name,) for name in [*lake.names(), "quarantine"]]
    assert ("trips",) in values(lake, "SHOW TABLES FROM gold")
    assert ("quarantine",) in values(lake, "SELECT name FROM (SHOW ALL TABLES)")


def test_only_tables_that_are_named_are_looked_at(lake: Lake, history: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    history.gps(1)
    looked_at: list[str] = []

    def noting(con: Any, table: Any, view: str, **more: Any) -> None:
        looked_at.append(view)
        expose(con, table, view, **more)

    monkeypatch.setattr(query, "expose", noting)
    run_query(lake, "SELECT 1 FROM bronze.gps")
    assert looked_at == ["bronze.gps"]


@pytest.mark.parametrize(
    "sql",
    [
        "COPY (SELECT 1) TO '{folder}/made.csv'",
        "CREATE TABLE x AS SELECT 1",
        "ATTACH '{folder}/catalog.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "DROP VIEW bronze.gps",
        "DELETE FROM bronze.gps",
        "SET lock_configuration = false",
        "PRAGMA database_list",
        "EXPORT DATABASE '{folder}/made'",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP VIEW bronze.gps",
        "",
        "   -- nothing",
        "SELECT * FROM read_csv('{folder}/secret.csv')",
        "SELECT * FROM read_text('{folder}/secret.csv')",
        "SELECT * FROM read_blob('{folder}/catalog.db')",
        "SELECT * FROM glob('{folder}/*')",
        "SELECT * FROM '{folder}/secret.csv'",
        "SELECT * FROM query('SELECT * FROM read_text(''{folder}/secret.csv'')')",
        "SELECT * FROM sniff_csv('{folder}/secret.csv')",
        "SELECT * FROM values_of_python",
        "SELECT getenv('HOME')",
    ],
)
def test_a_query_only_reads_the_tables(lake: Lake, history: Any, tmp_path: Path, sql: str) -> None:
    history.gps(1)
    (tmp_path / "secret.csv").write_text("a,b\n1,2\n")
    before = sorted(tmp_path.rglob("*"))
    values_of_python = run_query(lake, "SELECT 1")
    with pytest.raises(BadInput) as caught:
        run_query(lake, sql.format(folder=tmp_path))
    assert "\n" not in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before
    assert values_of_python.num_rows == 1


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELEC 1", 'syntax error at or near "SELEC"'),
        ("SELECT nosuch FROM bronze.gps", 'Referenced column "nosuch" not found'),
        ("SELECT CAST('x' AS INTEGER)", "Could not convert string 'x' to INT32"),
        ("SELECT nosuch(1)", "Scalar Function with name nosuch does not exist"),
    ],
)
def test_errors_say_what_is_wrong_and_nothing_else(lake: Lake, sql: str, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        run_query(lake, sql)
    assert said in caught.value.what
    assert (caught.value.allowed, caught.value.hint) == ("", "")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("sql", "name", "hint"),
    [
        ("SELECT * FROM silver.cars", "silver.cars", ""),
        ("SELECT * FROM gps", "gps", "bronze.gps or silver.gps"),
        ("WITH cars AS (FROM Trips) FROM cars", "Trips", "gold.trips"),
        ("SELECT * FROM cars", "cars", ""),
    ],
)
def test_an_unknown_table_is_told_with_those_there_are(lake: Lake, sql: str, name: str, hint: str) -> None:
    with pytest.raises(BadInput) as caught:
        run_query(lake, sql)
    assert caught.value.what == f"there is no table {name}"
    assert "bronze.gps" in caught.value.allowed
    assert "quarantine" in caught.value.allowed
    assert caught.value.hint == hint


def test_a_table_that_is_not_made_yet_is_told_with_the_command_that_makes_it(lake: Lake) -> None:
    lake.catalog.drop_table("gold.trips")
    with pytest.raises(BadInput, match=r"no table gold\.trips.*try: fleetlake transform"):
        run_query(lake, "SELECT * FROM gold.trips")
    with pytest.raises(Missing, match=r"no table gold\.trips.*try: fleetlake transform"):
        read_report(lake, REPORTS["trips"])


def file_of(lake: Lake, name: str) -> Path:
    (task,) = lake.table(name).scan().plan_files()
    path = local_path(task.file.file_path)
    assert path
    return Path(path)


def missing(file: Path) -> None:
    file.unlink()


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-10])


def overwritten(file: Path) -> None:
    file.write_bytes(b"x" * file.stat().st_size)


def without_a_footer(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-300:-20] = b"\x5a" * 280
    file.write_bytes(content)


@pytest.mark.parametrize(
    ("table", "hint"), [("silver.gps", "transform --full"), ("gold.trips", "transform --full"), ("bronze.gps", "restore")]
)
def test_what_to_do_about_a_damaged_file(table: str, hint: str) -> None:
    assert hint in Damaged("x.parquet", table).hint


def test_a_metadata_file_that_is_missing_is_named(lake: Lake, history: Any) -> None:
    history.gps(1)
    snapshot = lake.table("bronze.gps").current_snapshot()
    path = snapshot and local_path(snapshot.manifest_list)
    assert path
    Path(path).unlink()
    with pytest.raises(Damaged, match=r"metadata file .*\.avro.* of table bronze\.gps is missing"):
        run_query(lake, "SELECT count(*) FROM bronze.gps")


@pytest.mark.parametrize("damage", [missing, cut, overwritten, without_a_footer])
def test_a_file_that_is_missing_or_damaged_is_named(lake: Lake, history: Any, damage: Callable[[Path], None]) -> None:
    history.gps(1)
    history.trip(0)
    history.add("silver.gps", [FIX])
    damaged = {name: file_of(lake, name) for name in ("bronze.gps", "gold.trips")}
    for file in damaged.values():
        damage(file)
    for name, read in (
        ("bronze.gps", lambda: run_query(lake, "SELECT max(speed_kmh), max(event_id) FROM bronze.gps")),
        ("gold.trips", lambda: read_report(lake, REPORTS["trips"])),
        ("gold.trips", lambda: collect_drives(lake)),
    ):
        with pytest.raises(Damaged, match=rf"data file .*\.parquet of table {name} is missing or damaged") as caught:
            read()
        assert str(damaged[name]) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_as_of_a_snapshot(lake: Lake, history: Any) -> None:
    first = history.gps(1)
    second = history.gps(2, 3)
    history.gps(4)
    count = "SELECT count(*) FROM bronze.gps"
    assert [values(lake, count, snapshot)[0][0] for snapshot in (first, second)] == [1, 3]
    assert values(lake, count) == [(4,)]


def test_as_of_a_snapshot_reads_other_tables_at_its_time(lake: Lake, history: Any) -> None:
    history.trip(0)
    next_millisecond()
    first = history.gps(1)
    next_millisecond()
    history.trip(1)
    assert values(lake, "SELECT count(*) FROM gold.trips", first) == [(1,)]
    assert values(lake, "SELECT count(*) FROM gold.trips, bronze.gps", first) == [(1,)]


def test_as_of_a_time(lake: Lake, history: Any) -> None:
    history.gps(1)
    snapshot = lake.table("bronze.gps").current_snapshot()
    assert snapshot is not None
    next_millisecond()
    history.gps(2)
    at = Moment(snapshot.timestamp_ms)
    for text in (str(at), str(at).removesuffix("Z"), str(at).replace("Z", "+00:00")):
        assert values(lake, "SELECT count(*) FROM bronze.gps", text) == [(1,)]
    assert values(lake, "SELECT count(*) FROM bronze.gps", "2100-01-01") == [(2,)]
    assert values(lake, "SELECT count(*) FROM bronze.gps, silver.gps", str(at)) == [(0,)], "silver was empty then"


def test_as_of_before_there_was_anything(lake: Lake, history: Any) -> None:
    history.gps(1)
    with pytest.raises(
        BadInput, match=r"nothing was committed to bronze\.gps by 2020-01-01T00:00:00\.000Z.*allowed: 20.*Z or later"
    ):
        run_query(lake, "SELECT * FROM bronze.gps", "2020-01-01")


@pytest.mark.parametrize("as_of", ["yesterday", "1234567890123456789", "", "2026-13-01"])
def test_as_of_something_else(lake: Lake, history: Any, as_of: str) -> None:
    history.gps(1)
    with pytest.raises(BadInput, match="--as-of"):
        run_query(lake, "SELECT * FROM bronze.gps", as_of)
