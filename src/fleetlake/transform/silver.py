"""Bronze to silver: the rows of one kind of event that no run has read yet, deduplicated and marked, in one commit."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import duckdb
import pyarrow as pa
from pyiceberg.expressions.parser import parse
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table as IcebergTable

from fleetlake.contracts.events import Event
from fleetlake.contracts.tables import Table, bronze_of, silver_of
from fleetlake.lake.catalog import Lake
from fleetlake.lake.commits import Conflict, commit
from fleetlake.lake.scan import expose, expose_added
from fleetlake.lake.write import write_files
from fleetlake.transform.engine import engine, materialise
from fleetlake.transform.marker import Marker, Source, read_marker, source_now
from fleetlake.transform.models import Model, table_model
from fleetlake.transform.settings import TransformSettings


@dataclass(frozen=True, slots=True)
class SilverCounts:
    """Rows of one run: read = rejected + duplicates + inserted; late of those inserted."""

    topic: str
    table: str
    read: int = 0
    rejected: int = 0
    duplicates: int = 0
    inserted: int = 0
    late: int = 0
    rebuilt: bool = False


def refresh_silver(lake: Lake, event: Event, settings: TransformSettings, *, full: bool) -> SilverCounts:
    """Brings the silver table of an event up to its bronze table, by one commit or, if bronze has nothing new, by none.

    Bronze files are read only if they were added since the last run, and of them only the rows from the stored offsets on: files
    that a compaction wrote hold rows read before. The offsets and the rows are committed together, so each bronze row is accounted
    for once whenever a run is killed. `full`, or another model than the one silver was made with, replaces all rows.
    Raises Conflict if silver was changed meanwhile; nothing was changed then.
    """
    table, bronze_name = silver_of(event), bronze_of(event).name
    bronze, silver = lake.table(bronze_name), lake.table(table.name)
    model = table_model(table, settings.thresholds)
    before = read_marker(silver)
    rebuild = full or (before is not None and before.definition != model.digest)
    start = before.sources[bronze_name] if before and not rebuild else Source()
    counts = SilverCounts(event.topic, table.name, rebuilt=rebuild)
    if not rebuild and source_now(bronze).sequence == start.sequence:
        return counts
    with engine(settings) as con:
        offsets = _expose_arrived(con, bronze, start)
        if offsets == start.offsets and not rebuild:
            return counts
        _expose_silver(con, silver, empty=rebuild)
        counts = _compute(con, model, counts)
        marker = Marker(model.digest, {bronze_name: source_now(bronze, offsets)})
        _commit(silver, _write(con, table, silver), marker, replace_all=rebuild)
    return counts


def _expose_arrived(con: duckdb.DuckDBPyConnection, bronze: IcebergTable, start: Source) -> dict[int, int]:
    """Makes the view `arrived` of the rows from `start` on; returns the offsets that follow them, of all partitions ever seen."""
    expose_added(con, bronze, "bronze.added", after_sequence=start.sequence)
    con.register("read_before", pa.table({"kafka_partition": pa.array(start.offsets.keys(), pa.int32()),
                                          "next_offset": pa.array(start.offsets.values(), pa.int64())}))  # fmt: skip
    con.execute("""
        CREATE OR REPLACE TEMP VIEW arrived AS
        SELECT added.* FROM bronze.added LEFT JOIN read_before USING (kafka_partition)
        WHERE added.kafka_offset >= coalesce(read_before.next_offset, 0)
    """)
    found = con.execute("SELECT kafka_partition, max(kafka_offset) + 1 FROM arrived GROUP BY ALL").fetchall()
    return {**start.offsets, **dict(found)}


def _expose_silver(con: duckdb.DuckDBPyConnection, silver: IcebergTable, *, empty: bool) -> None:
    """Makes the tables `seen` and `latest`: what the model has to know of the rows silver has."""
    (earliest,) = con.sql("SELECT min(event_time) AS t FROM arrived WHERE reject_reason IS NULL").to_arrow_table()["t"].to_pylist()
    if empty or earliest is None:
        con.execute("CREATE OR REPLACE TEMP TABLE seen (event_id VARCHAR)")
        con.execute("CREATE OR REPLACE TEMP TABLE latest (device_id VARCHAR, event_time TIMESTAMPTZ)")
        return
    expose(con, silver, "silver.all_rows")
    expose(con, silver, "silver.recent", row_filter=parse(f"event_time >= '{earliest.isoformat()}'"))
    # A semi join from the small side: its range of ids (they begin with the time) keeps DuckDB from reading the older row groups.
    con.execute("""
        CREATE OR REPLACE TEMP TABLE seen AS
        SELECT event_id FROM silver.all_rows WHERE event_id IN (SELECT event_id FROM arrived WHERE reject_reason IS NULL)
    """)
    # A device whose latest time is before all that arrived makes none of it late.
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE latest AS
        SELECT device_id, max(event_time) AS event_time FROM silver.recent WHERE event_time >= $earliest GROUP BY device_id
        """,
        {"earliest": earliest},
    )


def _compute(con: duckdb.DuckDBPyConnection, model: Model, counts: SilverCounts) -> SilverCounts:
    materialise(con, "fresh", model)
    read, rejected = _pair(con, "SELECT count(*), count(reject_reason) FROM arrived")
    inserted, late = _pair(con, "SELECT count(*), count(*) FILTER (WHERE is_late) FROM fresh")
    return SilverCounts(counts.topic, counts.table, read, rejected, read - rejected - inserted, inserted, late, counts.rebuilt)


def _pair(con: duckdb.DuckDBPyConnection, sql: str) -> tuple[int, int]:
    ((first, second),) = con.execute(sql).fetchall()
    return first, second


def _write(con: duckdb.DuckDBPyConnection, table: Table, silver: IcebergTable) -> Iterator[DataFile]:
    """The rows of `fresh` as files of silver, a day in memory at a time."""
    folder = f"transform/{uuid.uuid4().hex}"
    days = con.execute("SELECT DISTINCT CAST(event_time AS DATE) AS day FROM fresh ORDER BY day").fetchall()
    for (day,) in days:
        rows = con.sql("SELECT * FROM fresh WHERE CAST(event_time AS DATE) = $day", params={"day": day}).to_arrow_table()
        yield from write_files(silver, rows, folder=folder, sort=table.sort)


def _commit(silver: IcebergTable, files: Iterator[DataFile], marker: Marker, *, replace_all: bool) -> None:
    added = list(files)
    removed = [task.file for task in silver.scan().plan_files()] if replace_all else []
    try:
        commit(silver, added=added, removed=removed, properties=marker.properties())
    except Conflict:
        for file in added:
            silver.io.delete(file.file_path)
        raise
