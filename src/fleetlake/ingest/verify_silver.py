"""One silver table against its bronze table: each good event id once, and what it says of it."""

from __future__ import annotations

import duckdb
import pyarrow as pa
from pyiceberg.schema import Schema

from fleetlake.contracts.events import Event
from fleetlake.contracts.tables import bronze_of, silver_of
from fleetlake.ingest.offsets import Offsets
from fleetlake.lake.digest import Digest, digest_of

BATCH_ROWS = 100_000


def compare_silver(con: duckdb.DuckDBPyConnection, event: Event, schema: Schema, read: Offsets) -> tuple[int, int, int, list[str]]:
    """Compares the view `silver` with the bronze rows, of the view `bronze`, that it has read.

    schema: bronze's. Returns its rows, the late ones, how many bronze rows are still to be read, and the problems. What silver adds
    to a bronze row (is_late, late_by_s) is not looked at.
    """
    con.execute("CREATE TEMP TABLE read (kafka_partition INTEGER, next BIGINT)")
    if read:
        con.executemany("INSERT INTO read VALUES (?, ?)", list(read.items()))
    missing, extra = _row(
        con,
        """WITH good AS (SELECT DISTINCT event_id FROM bronze JOIN read USING (kafka_partition)
                        WHERE reject_reason IS NULL AND kafka_offset < next)
           SELECT count(*) FILTER (silver.event_id IS NULL), count(*) FILTER (good.event_id IS NULL)
           FROM good FULL JOIN (SELECT DISTINCT event_id FROM silver) AS silver USING (event_id)""",
    )
    rows, distinct, late = _row(con, "SELECT count(*), count(DISTINCT event_id), count(*) FILTER (is_late) FROM silver")
    waiting = _row(
        con, "SELECT count(*) FROM bronze LEFT JOIN read USING (kafka_partition) WHERE kafka_offset >= coalesce(next, 0)"
    )[0]
    problems = []
    if rows != distinct:
        problems.append(f"silver: {rows - distinct} event ids are there twice")
    if missing:
        problems.append(f"silver: {missing} good event ids of bronze are missing")
    if extra:
        problems.append(f"silver: {extra} event ids are not in bronze")
    if not problems and (different := _count_different(con, event, schema)):
        problems.append(f"silver: {different} rows are not what bronze has at their places")
    return rows, late, waiting, problems


def _count_different(con: duckdb.DuckDBPyConnection, event: Event, schema: Schema) -> int:
    """Rows that are not the bronze row of their place. They are joined only if the digests say that there are any."""
    there = {field.name for field in schema.fields} & set(con.sql("SELECT * FROM silver LIMIT 0").columns)
    ours = {column.name for column in bronze_of(event).columns} & there
    names = [column.name for column in silver_of(event).columns if column.name in ours]
    columns = ", ".join(f'"{name}"' for name in names)
    of_silver = _digest(con, f"SELECT {columns} FROM silver", schema)
    if of_silver == _digest(con, f"SELECT {columns} FROM bronze SEMI JOIN silver USING (kafka_partition, kafka_offset)", schema):
        return 0
    differs = " OR ".join(f'silver."{name}" IS DISTINCT FROM bronze."{name}"' for name in names)
    (different,) = _row(con, f"SELECT count(*) FROM silver LEFT JOIN bronze USING (kafka_partition, kafka_offset) WHERE {differs}")
    return max(1, different)


def _digest(con: duckdb.DuckDBPyConnection, select: str, schema: Schema) -> Digest:
    return sum(
        (digest_of(pa.Table.from_batches([batch]), schema) for batch in con.sql(select).to_arrow_reader(BATCH_ROWS)), start=Digest()
    )


def _row(con: duckdb.DuckDBPyConnection, sql: str) -> tuple[int, ...]:
    (row,) = con.execute(sql).fetchall()  # all: a result that is not read to its end keeps the connection busy
    return tuple(row)
