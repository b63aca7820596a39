"""Does the lake hold what Kafka holds, each record once? Counted from the tables and the broker's watermarks, not from any log."""

from __future__ import annotations

from dataclasses import dataclass, field

import duckdb

from fleetlake.contracts.events import Event
from fleetlake.contracts.tables import bronze_of, silver_of
from fleetlake.ingest.offsets import Marker, Offsets, Source
from fleetlake.lake.catalog import Lake
from fleetlake.lake.scan import expose


@dataclass(frozen=True, slots=True)
class TopicCheck:
    """One topic's books, in records.

    kafka: between the watermarks. landed: rows of bronze. rejected: those with a reason. duplicates: good rows whose event_id an
    earlier one has. silver, late: rows of silver; None before the first transform. problems: what does not add up.
    """

    topic: str
    kafka: int
    landed: int
    rejected: int
    duplicates: int
    silver: int | None
    late: int | None
    problems: tuple[str, ...] = field(default=())


def check_topic(lake: Lake, event: Event, source: Source, silver_read: Offsets | None) -> TopicCheck:
    """Compares a topic with its tables.

    silver_read: the next offset of each partition the silver table has not read yet; None if there was no transform. Offsets of a
    topic without transactions and compaction are contiguous, so each partition's rows have to be, from its first offset to its end.
    """
    kafka = sum(high - low for low, high in source.watermarks.values())
    if not lake.has(bronze_of(event).name):
        absent = (f"{kafka} records are in Kafka, none in the lake",) if kafka else ()
        return TopicCheck(source.topic, kafka, 0, 0, 0, None, None, absent)
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    bronze = lake.table(bronze_of(event).name)
    expose(con, bronze, "bronze")
    problems = _compare_offsets(con, source, Marker.of(bronze.properties))
    rejected, duplicates, landed = _row(
        con,
        """SELECT count(reject_reason), count(*) FILTER (reject_reason IS NULL) - count(DISTINCT event_id)
           FILTER (reject_reason IS NULL), count(*) FROM bronze""",
    )
    silver = late = None
    if silver_read is not None:
        expose(con, lake.table(silver_of(event).name), "silver")
        silver, late, more = _compare_silver(con, silver_read)
        problems += more
    return TopicCheck(source.topic, kafka, landed, rejected, duplicates, silver, late, tuple(problems))


def _compare_offsets(con: duckdb.DuckDBPyConnection, source: Source, marker: Marker | None) -> list[str]:
    rows = con.execute(
        """SELECT kafka_partition, count(*), count(DISTINCT kafka_offset), min(kafka_offset), max(kafka_offset)
           FROM bronze GROUP BY ALL ORDER BY ALL"""
    ).fetchall()
    seen = {partition: counts for partition, *counts in rows}
    lost = {} if marker is None else {gap.partition: gap.after for gap in marker.gaps}
    problems = []
    for partition, (low, high) in sorted(source.watermarks.items()):
        rows_of, distinct, first, last = seen.pop(partition, (0, 0, low, low - 1))
        first, low = max(first, lost.get(partition, 0)), max(low, lost.get(partition, 0))
        where = f"partition {partition}"
        if rows_of != distinct:
            problems.append(f"{where}: {rows_of - distinct} records are in the table twice")
        if first > low:
            problems.append(f"{where}: begins at offset {first}, Kafka at {low}")
        if last != high - 1:
            problems.append(f"{where}: ends at offset {last}, Kafka at {high - 1}")
        if distinct and partition not in lost and distinct != last - first + 1:
            problems.append(f"{where}: {last - first + 1 - distinct} offsets between {first} and {last} are missing")
    problems += [f"partition {partition}: in the table, but not in the topic" for partition in seen]
    return problems


def _compare_silver(con: duckdb.DuckDBPyConnection, read: Offsets) -> tuple[int, int, list[str]]:
    """Silver against the good event ids of the bronze rows it has read."""
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
    if waiting:
        problems.append(f"silver: {waiting} bronze rows are waiting for fleetlake transform")
    return rows, late, problems


def _row(con: duckdb.DuckDBPyConnection, sql: str) -> tuple[int, ...]:
    row: tuple[int, ...] | None = con.execute(sql).fetchone()
    return row or ()
